/* The key store: key id -> allow list, for millions of keys, in one block without a pointer in it.
 *
 *     header    what it is, how large, where the parts are, checksums
 *     records   one a key, one after the other, each whole in itself
 *     rest      what only the room above reads (records.py: policy, named lists)
 *     buckets   where the record of a key lies; whole cache lines
 *
 * A check touches one bucket and one record:
 *
 *     hash(key) --high bits--> bucket   [ 8 tags | 8 places ]      a full bucket goes on in the next
 *               --low bits---> tag         |
 *                                          v  in units of 8 bytes
 *     record    [ Record | key | first first ... | length length ... | links | IPv6 ... | notes ]
 *
 * An entry of IPv4 is five bytes, its first address and its length, and a short
 * list is asked entry by entry, many in one vector.  A long one is merged to
 * ranges and halved.  Twenty entries, the key and its share of a bucket take 173 bytes.
 *
 * The hash is SipHash-1-3, its seed made of the keys: nobody who does not know
 * all keys can choose some that fall together.  The full key is compared.  However
 * keys fall, a search looks at `most_probes` buckets and no more.
 *
 * A block may come from a file that somebody else wrote.  Every number read from
 * it is checked against what it must stay inside before it is used; a record that
 * does not fit is `DAMAGED`, which denies.  Numbers are little-endian as on the
 * machines we know, or the header's mark says otherwise and the block is refused.
 *
 * Where the ideas come from: SipHash (Aumasson and Bernstein, 2012); buckets of a
 * cache line, CDB (Bernstein) and F14 (Facebook).
 */
#ifndef CIDRMATCH_STORE_H
#define CIDRMATCH_STORE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_core/c/bits.h"
#include "_core/c/pages.h"
#include "_core/c/siphash.h"
#include "_core/c/text_avx512.h"
#include "_core/c/vectors.h"

enum {
    STORE_FORMAT = 2,
    STORE_ORDER = 0x01020304,
    UNIT = 8,                       /* bytes; records begin and end on it */
    BUCKET = 8,                     /* places in a bucket */
    MOST_PROBES = 64,               /* a block whose buckets need more is built again with another seed */
    STORE_PAD = 64                  /* bytes behind the last record that vectors may read */
};

/* What a check finds.  In the order of `Reason` in reasons.py; what is no reason comes last. */
typedef enum {
    UNRESTRICTED,
    MATCHED,
    NOT_ENFORCED,
    NOT_LISTED,
    DENIED_BY_ENTRY,
    CLIENT_IP_UNKNOWN,
    EMPTY_LIST,
    INACTIVE,
    UNKNOWN_KEY,
    DAMAGED,
    STALE_DATA,                     /* no store finds this; an engine whose file has not been seen for too long does */
    ASK_OBJECTS,                    /* the block does not say it all: conditions, a trial */
    ASK_PARSER,                     /* the text of the address is not a common one */
    LAST_ALLOWED = NOT_ENFORCED
} Verdict;

enum {                              /* flags of a record */
    IS_ENABLED = 1,
    NEEDS_LIST = 2,
    HAS_ENTRIES = 4,
    NEEDS_OBJECTS = 8,
    IS_SORTED4 = 16,                /* ranges, not entries */
    IS_SORTED6 = 32
};

typedef struct {
    char magic[8];
    uint32_t format;
    uint32_t order;                 /* STORE_ORDER, as the writer's machine keeps numbers */
    uint64_t size;                  /* of the whole block */
    uint64_t generation;
    uint64_t keys;
    uint64_t records;               /* where they begin */
    uint64_t rest;                  /* where the records end and the rest begins */
    uint64_t rest_size;
    uint64_t buckets;               /* where they begin */
    uint64_t bucket_count;
    uint64_t seed[2];
    uint32_t most_probes;
    uint32_t lists;                 /* how many named lists the links may name */
    uint32_t body_checksum;         /* CRC-32 of all bytes behind the header */
    uint32_t header_checksum;       /* CRC-32 of the header with 0 here */
    uint64_t epoch;                 /* which history of the data; generations count within it */
    uint64_t unused;                /* 0 */
} StoreHeader;

typedef struct {
    uint32_t tags[BUCKET];
    uint32_t places[BUCKET];        /* 0: free, and so are all behind it */
} Bucket;

typedef struct {
    uint32_t size;                  /* of all of it, in units */
    uint32_t notes_size;            /* bytes at its end that no check reads */
    uint32_t key_size;
    uint32_t narrow;                /* entries or ranges of IPv4 */
    uint32_t wide;                  /* of IPv6 */
    uint16_t links;                 /* named lists that are united with the entries */
    uint16_t within;                /* named lists that must pass as well */
    uint32_t flags;
    uint32_t unused;                /* 0 */
    int64_t created;                /* microseconds since 1970, UTC */
} Record;

/* Where the parts of a record are. */
typedef struct {
    const uint8_t *key;
    const uint32_t *first4;
    const uint32_t *last4;          /* of ranges */
    const uint8_t *length4;         /* of entries */
    const uint32_t *links;          /* and those it lies within */
    const uint64_t *first6;         /* upper halves, then lower halves */
    const uint64_t *last6;
    const uint8_t *length6;
    const uint8_t *notes;
} Parts;

/* A block, ready to be asked. */
typedef struct {
    const uint8_t *block;
    const Bucket *buckets;
    uint64_t bucket_count;
    uint64_t records;
    uint64_t rest;
    uint64_t seed[2];
    uint32_t most_probes;
    int vectors;
} Store;

/* An address to ask for; `family` is 0 where nobody knows it. */
typedef struct {
    uint64_t upper;
    uint64_t lower;
    uint32_t value;                 /* of IPv4 */
    int family;
} Asked;

/* -- Finding a bucket ----------------------------------------------------------- */

static inline uint64_t bucket_of(uint64_t hash, uint64_t bucket_count) {
    return (hash >> 32) * bucket_count >> 32;
}

/* -- The parts of a record ---------------------------------------------------- */

static inline uint64_t rounded(uint64_t size, uint64_t to) {
    return (size + to - 1) & ~(to - 1);
}

/* Point at the parts, and tell how many bytes they take; counts are 32 bits, so nothing overflows. */
static inline uint64_t find_parts(const Record *record, Parts *parts) {
    const uint8_t *start = (const uint8_t *)record;
    uint64_t narrow = record->narrow, wide = record->wide, at = sizeof(Record);
    parts->key = start + at;
    at = rounded(at + record->key_size, 4);
    parts->first4 = (const uint32_t *)(start + at);
    at += 4 * narrow;
    parts->last4 = (const uint32_t *)(start + at);
    parts->length4 = start + at;
    at = rounded(at + (record->flags & IS_SORTED4 ? 4 * narrow : narrow), 4);
    parts->links = (const uint32_t *)(start + at);
    at = rounded(at + 4 * ((uint64_t)record->links + record->within), 8);
    parts->first6 = (const uint64_t *)(start + at);
    at += 16 * wide;
    parts->last6 = (const uint64_t *)(start + at);
    parts->length6 = start + at;
    at += record->flags & IS_SORTED6 ? 16 * wide : wide;
    parts->notes = start + at;
    return at + record->notes_size;
}

/* The record at a place, if it and all of its parts lie where records are; else NULL. */
static inline const Record *record_at(const Store *store, uint64_t place, Parts *parts) {
    uint64_t at = place * UNIT;
    const Record *record = (const Record *)(store->block + at);
    if (at < store->records || at > store->rest || store->rest - at < sizeof(Record)) {
        return NULL;
    }
    if ((uint64_t)record->size * UNIT > store->rest - at) {
        return NULL;
    }
    return find_parts(record, parts) <= (uint64_t)record->size * UNIT ? record : NULL;
}

/* -- Finding a key ------------------------------------------------------------ */

/* Which of the tags are the wanted one: bit 0 is the first. */
static inline uint32_t find_tags(const Bucket *bucket, uint32_t tag) {
#if CIDRMATCH_VECTORS
    const __m128i *tags = (const __m128i *)bucket->tags;
    __m128i all = _mm_set1_epi32((int)tag);
    __m128i front = _mm_cmpeq_epi32(_mm_loadu_si128(tags), all), back = _mm_cmpeq_epi32(_mm_loadu_si128(tags + 1), all);
    __m128i both = _mm_packs_epi32(front, back);
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(both, both)) & 0xff;
#else
    uint32_t found = 0;
    for (int i = 0; i < BUCKET; i++) {
        found |= (uint32_t)(bucket->tags[i] == tag) << i;
    }
    return found;
#endif
}

/* Find the record of a key: MATCHED, and `record` and its parts are set; UNKNOWN_KEY; or DAMAGED. */
static inline Verdict find_record(
    const Store *store, const uint8_t *key, size_t size, uint64_t hash, const Record **record, Parts *parts) {
    uint64_t at = bucket_of(hash, store->bucket_count);
    for (uint32_t probe = 0; probe <= store->most_probes; probe++) {
        const Bucket *bucket = store->buckets + at;
        for (uint32_t found = find_tags(bucket, (uint32_t)hash); found != 0; found &= found - 1) {
            uint32_t place = bucket->places[trailing_zeros(found)];
            if (place == 0) {
                break;              /* free ones have tags, too: 0 */
            }
            *record = record_at(store, place, parts);
            if (*record == NULL) {
                return DAMAGED;
            }
            if ((*record)->key_size == size && memcmp(parts->key, key, size) == 0) {
                return MATCHED;
            }
        }
        if (bucket->places[BUCKET - 1] == 0) {
            return UNKNOWN_KEY;
        }
        at = at + 1 < store->bucket_count ? at + 1 : 0;
    }
    return UNKNOWN_KEY;
}

/* -- Asking the entries of a record -------------------------------------------- */

/* Entry by entry: the bits that differ, without those that do not count, are none.  A length that no prefix has covers
 * nothing. */
static inline int portable_covers4(const uint32_t *firsts, const uint8_t *lengths, uint32_t count, uint32_t address) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t differs = (uint64_t)(firsts[i] ^ address) >> ((32 - lengths[i]) & 63);
        found |= (lengths[i] <= 32) & (differs == 0);
    }
    return (int)found;
}

static inline uint64_t without_low(uint64_t word, uint32_t bits) {
    return bits < 64 ? word >> bits : 0;
}

static inline int portable_covers6(
    const uint64_t *uppers, const uint64_t *lowers, const uint8_t *lengths, uint32_t count, uint64_t upper,
    uint64_t lower) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = lengths[i], in_upper = length < 64 ? length : 64, in_lower = length - in_upper;
        uint64_t differs = without_low(uppers[i] ^ upper, 64 - in_upper) | without_low(lowers[i] ^ lower, 64 - in_lower);
        found |= (length <= 128) & (differs == 0);
    }
    return (int)found;
}

#if CIDRMATCH_VECTORS
/* Reads up to seven firsts and lengths behind the last, which is why STORE_PAD bytes stand behind the records. */
CIDRMATCH_TARGET2 __attribute__((noinline)) static int avx2_covers4(
    const uint32_t *firsts, const uint8_t *lengths, uint32_t count, uint32_t address) {
    const __m256i all = _mm256_set1_epi32((int)address), width = _mm256_set1_epi32(32);
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i += 8) {
        uint32_t wanted = count - i < 8 ? (1u << (count - i)) - 1 : 0xff;
        __m256i first = _mm256_loadu_si256((const __m256i *)(firsts + i));
        __m256i length = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(lengths + i)));
        __m256i differs = _mm256_srlv_epi32(_mm256_xor_si256(first, all), _mm256_sub_epi32(width, length));
        __m256i same = _mm256_andnot_si256(
            _mm256_cmpgt_epi32(length, width), _mm256_cmpeq_epi32(differs, _mm256_setzero_si256()));
        found |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same)) & wanted;
    }
    return found != 0;
}

CIDRMATCH_TARGET512 __attribute__((noinline)) static int avx512_covers4(
    const uint32_t *firsts, const uint8_t *lengths, uint32_t count, uint32_t address) {
    const __m512i all = _mm512_set1_epi32((int)address), width = _mm512_set1_epi32(32);
    __mmask16 found = 0;
    for (uint32_t i = 0; i < count; i += 16) {
        __mmask16 wanted = (__mmask16)(count - i < 16 ? (1u << (count - i)) - 1 : 0xffff);
        __m512i first = _mm512_maskz_loadu_epi32(wanted, firsts + i);
        __m512i length = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(wanted, lengths + i));
        __m512i differs = _mm512_srlv_epi32(_mm512_xor_si512(first, all), _mm512_sub_epi32(width, length));
        wanted = _mm512_mask_cmple_epu32_mask(wanted, length, width);
        found |= _mm512_mask_testn_epi32_mask(wanted, differs, differs);
    }
    return found != 0;
}

CIDRMATCH_TARGET512 __attribute__((noinline)) static int avx512_covers6(
    const uint64_t *uppers, const uint64_t *lowers, const uint8_t *lengths, uint32_t count, uint64_t upper,
    uint64_t lower) {
    const __m512i all_upper = _mm512_set1_epi64((int64_t)upper), all_lower = _mm512_set1_epi64((int64_t)lower);
    const __m512i half = _mm512_set1_epi64(64);
    __mmask8 found = 0;
    for (uint32_t i = 0; i < count; i += 8) {
        __mmask8 wanted = (__mmask8)(count - i < 8 ? (1u << (count - i)) - 1 : 0xff);
        __m512i length = _mm512_cvtepu8_epi64(_mm_maskz_loadu_epi8(wanted, lengths + i));
        __m512i in_upper = _mm512_min_epu64(length, half), in_lower = _mm512_sub_epi64(length, in_upper);
        __m512i differs_upper = _mm512_srlv_epi64(
            _mm512_xor_si512(_mm512_maskz_loadu_epi64(wanted, uppers + i), all_upper), _mm512_sub_epi64(half, in_upper));
        __m512i differs_lower = _mm512_srlv_epi64(
            _mm512_xor_si512(_mm512_maskz_loadu_epi64(wanted, lowers + i), all_lower), _mm512_sub_epi64(half, in_lower));
        __m512i differs = _mm512_or_si512(differs_upper, differs_lower);
        wanted = _mm512_mask_cmple_epu64_mask(wanted, length, _mm512_set1_epi64(128));
        found |= _mm512_mask_testn_epi64_mask(wanted, differs, differs);
    }
    return found != 0;
}
#endif

static inline int covers4(
    const uint32_t *firsts, const uint8_t *lengths, uint32_t count, uint32_t address, int vectors) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_covers4(firsts, lengths, count, address);
    }
    if (vectors == AVX2) {
        return avx2_covers4(firsts, lengths, count, address);
    }
#endif
    (void)vectors;
    return portable_covers4(firsts, lengths, count, address);
}

static inline int covers6(
    const uint64_t *uppers, const uint64_t *lowers, const uint8_t *lengths, uint32_t count, uint64_t upper,
    uint64_t lower, int vectors) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_covers6(uppers, lowers, lengths, count, upper, lower);
    }
#endif
    (void)vectors;
    return portable_covers6(uppers, lowers, lengths, count, upper, lower);
}

/* Sorted ranges, by halving: which is the last that begins at or before the address?  In bounds, sorted or not. */
static inline int holds4(const uint32_t *firsts, const uint32_t *lasts, uint32_t count, uint32_t address) {
    uint32_t from = 0, left = count;
    while (left > 0) {
        uint32_t half = left >> 1;
        int begins = firsts[from + half] <= address;
        from = begins ? from + half + 1 : from;
        left = begins ? left - half - 1 : half;
    }
    return from > 0 && address <= lasts[from - 1];
}

static inline int holds6(
    const uint64_t *firsts, const uint64_t *lasts, uint32_t count, uint64_t upper, uint64_t lower) {
    uint32_t from = 0, left = count;
    while (left > 0) {
        uint32_t half = left >> 1, at = from + half;
        int begins = !is_before(upper, lower, firsts[at], firsts[(size_t)count + at]);
        from = begins ? at + 1 : from;
        left = begins ? left - half - 1 : half;
    }
    return from > 0 && !is_before(lasts[from - 1], lasts[(size_t)count + from - 1], upper, lower);
}

/* Does one of the record's own entries cover the address? */
static inline int own_entries_cover(const Store *store, const Record *record, const Parts *parts, const Asked *asked) {
    if (asked->family == 4) {
        if (record->flags & IS_SORTED4) {
            return holds4(parts->first4, parts->last4, record->narrow, asked->value);
        }
        return covers4(parts->first4, parts->length4, record->narrow, asked->value, store->vectors);
    }
    if (record->flags & IS_SORTED6) {
        return holds6(parts->first6, parts->last6, record->wide, asked->upper, asked->lower);
    }
    return covers6(
        parts->first6, parts->first6 + record->wide, parts->length6, record->wide, asked->upper, asked->lower,
        store->vectors);
}

/* Most records are their own entries and nothing else. */
static inline int is_plain(const Record *record) {
    return (record->flags & (IS_ENABLED | HAS_ENTRIES | NEEDS_OBJECTS)) == (IS_ENABLED | HAS_ENTRIES)
        && record->links == 0 && record->within == 0;
}

/* -- Making and opening a block -------------------------------------------------- */

/* Memory for a block, `free` gives it back; a large one begins where a large page does. */
static inline void *block_memory(uint64_t size) {
#if defined(__linux__)
    void *memory;
    if (size >= LARGE_PAGE) {
        if (posix_memalign(&memory, LARGE_PAGE, (size_t)size) != 0) {
            return NULL;
        }
        wish_large_pages(memory, (size_t)size);
        return memory;
    }
#endif
    return malloc((size_t)size);
}

/* Point into a block by a header that was checked.  The header is a copy: the one in a mapped file may change later. */
static inline void point_into(Store *store, const StoreHeader *header, const uint8_t *block) {
    store->block = block;
    store->buckets = (const Bucket *)(block + header->buckets);
    store->bucket_count = header->bucket_count;
    store->records = header->records;
    store->rest = header->rest;
    store->seed[0] = header->seed[0];
    store->seed[1] = header->seed[1];
    store->most_probes = header->most_probes;
}

/* What is wrong with a header, in words; NULL if a check can stay inside the block whatever the rest of it says.  Who
 * maps a file gives a copy of its header: what was checked is then what is used. */
static inline const char *refuse_header(const StoreHeader *header, uint64_t size) {
    if (size < sizeof(StoreHeader)) {
        return "it is shorter than a header";
    }
    if (memcmp(header->magic, "cidrkeys", 8) != 0) {
        return "it does not begin as a snapshot does";
    }
    if (header->order != STORE_ORDER) {
        return "it was written on a machine of another byte order";
    }
    if (header->format != STORE_FORMAT) {
        return "it is of another format";
    }
    if (header->size != size) {
        return "it has another size than it says";
    }
    if (header->records != sizeof(StoreHeader) || header->rest < header->records || header->rest > size
        || header->rest % UNIT != 0) {
        return "its records do not lie in it";
    }
    if (size - header->rest < STORE_PAD || header->rest_size > size - header->rest - STORE_PAD) {
        return "its rest does not lie in it";
    }
    if (header->buckets % sizeof(Bucket) != 0 || header->buckets > size || header->bucket_count == 0
        || header->bucket_count > UINT32_MAX || header->buckets < header->rest + STORE_PAD + header->rest_size
        || header->bucket_count > (size - header->buckets) / sizeof(Bucket)) {
        return "its buckets do not lie in it";
    }
    if (header->keys > (header->rest - header->records) / sizeof(Record)
        || header->keys > header->bucket_count * BUCKET) {
        return "it says more keys than it has room for";
    }
    if (header->most_probes > MOST_PROBES || header->unused != 0 || header->generation > INT64_MAX
        || header->epoch > INT64_MAX) {
        return "its header says what no header says";
    }
    return NULL;
}

/* Enter every record into the buckets, which are zero.  0: done; 1: it takes too many probes; else the place of a key
 * that another record has, too. */
static inline uint64_t fill_buckets(Store *store, Bucket *buckets) {
    Parts parts, other;
    store->most_probes = 0;
    for (uint64_t place = store->records / UNIT; place * UNIT < store->rest;) {
        const Record *record = record_at(store, place, &parts);
        uint64_t hash = siphash(store->seed, parts.key, record->key_size);
        uint64_t at = bucket_of(hash, store->bucket_count);
        for (uint32_t probe = 0;; probe++) {
            Bucket *bucket = buckets + at;
            int i = 0;
            for (; i < BUCKET && bucket->places[i] != 0; i++) {
                if (bucket->tags[i] == (uint32_t)hash) {
                    const Record *there = record_at(store, bucket->places[i], &other);
                    if (there->key_size == record->key_size && memcmp(other.key, parts.key, record->key_size) == 0) {
                        return place;
                    }
                }
            }
            if (i < BUCKET) {
                bucket->tags[i] = (uint32_t)hash;
                bucket->places[i] = (uint32_t)place;
                store->most_probes = probe > store->most_probes ? probe : store->most_probes;
                break;
            }
            if (probe == MOST_PROBES) {
                return 1;
            }
            at = at + 1 < store->bucket_count ? at + 1 : 0;
        }
        place += record->size;
    }
    return 0;
}

/* A number made of all keys, in whatever order they come. */
static inline uint64_t digest_keys(const Store *store, uint64_t salt) {
    const uint64_t seed[2] = {salt, UINT64_C(0x63696472)};
    uint64_t digest = 0;
    Parts parts;
    for (uint64_t place = store->records / UNIT; place * UNIT < store->rest;) {
        const Record *record = record_at(store, place, &parts);
        digest += siphash(seed, parts.key, record->key_size);
        place += record->size;
    }
    return siphash(seed, (const uint8_t *)&digest, sizeof(digest));
}

/* Order of keys, for sorting pointers to records. */
static inline int compare_records(const void *a, const void *b) {
    Parts left_parts, right_parts;
    const Record *left = *(const Record *const *)a, *right = *(const Record *const *)b;
    size_t shorter = left->key_size < right->key_size ? left->key_size : right->key_size;
    int order;
    find_parts(left, &left_parts);
    find_parts(right, &right_parts);
    order = memcmp(left_parts.key, right_parts.key, shorter);
    return order != 0 ? order : (left->key_size > right->key_size) - (left->key_size < right->key_size);
}

/* -- Asking for many ----------------------------------------------------------- */

typedef struct {
    const uint8_t *key;             /* NULL: not ours to answer */
    size_t key_size;
    const uint8_t *text;            /* of the address; NULL: the careful parser has to look */
    ptrdiff_t text_size;
} Question;

enum { IN_FLIGHT = 16 };

/* Bring the first lines of the record that a hash may mean.  Always inlined: GCC finds that a function which only
 * prefetches does nothing, and leaves out the call. */
CIDRMATCH_INLINE void fetch_record(const Store *store, uint64_t hash) {
    const Bucket *bucket = store->buckets + bucket_of(hash, store->bucket_count);
    uint32_t found = find_tags(bucket, (uint32_t)hash);
    if (found != 0) {
        uint64_t at = (uint64_t)bucket->places[trailing_zeros(found)] * UNIT;
        if (at < store->rest) {
            CIDRMATCH_PREFETCH(store->block + at);
            CIDRMATCH_PREFETCH(store->block + at + 64);     /* STORE_PAD and buckets stand behind the records */
            CIDRMATCH_PREFETCH(store->block + at + 128);
        }
    }
}

static inline int parse_asked(const Store *store, const uint8_t *text, ptrdiff_t size, Asked *asked) {
    asked->family = parse_text(store->vectors, text, size, &asked->value, &asked->upper, &asked->lower);
    return asked->family == 4 || (asked->family == 6 && !(asked->upper == 0 && asked->lower >> 32 == 0xffff));
}

/* Answer by the record alone, or say who else has to look. */
static inline Verdict ask_record(
    const Store *store, const Question *question, uint64_t hash, const Record **record, Parts *parts) {
    Asked asked;
    int is_parsed = question->text != NULL && parse_asked(store, question->text, question->text_size, &asked);
    Verdict found = find_record(store, question->key, question->key_size, hash, record, parts);
    if (found != MATCHED) {
        return found;
    }
    if (!is_plain(*record)) {
        return ASK_OBJECTS;
    }
    if (!is_parsed) {
        return ASK_PARSER;
    }
    return own_entries_cover(store, *record, parts, &asked) ? MATCHED : NOT_LISTED;
}

/* One question: while memory brings the record, the address is parsed. */
static inline Verdict ask_one(const Store *store, const Question *question, const Record **record, Parts *parts) {
    uint64_t hash = siphash(store->seed, question->key, question->key_size);
    fetch_record(store, hash);
    return ask_record(store, question, hash, record, parts);
}

/* Several at a time, step by step, so that each waits for memory while others are looked at. */
static inline void ask_many(const Store *store, const Question *questions, ptrdiff_t count, uint8_t *verdicts) {
    uint64_t hashes[IN_FLIGHT] = {0};
    for (ptrdiff_t begin = 0; begin < count; begin += IN_FLIGHT) {
        const Question *group = questions + begin;
        int size = count - begin < IN_FLIGHT ? (int)(count - begin) : IN_FLIGHT;
        for (int i = 0; i < size; i++) {
            if (group[i].key != NULL) {
                hashes[i] = siphash(store->seed, group[i].key, group[i].key_size);
                CIDRMATCH_PREFETCH(store->buckets + bucket_of(hashes[i], store->bucket_count));
            }
        }
        for (int i = 0; i < size; i++) {
            if (group[i].key != NULL) {
                fetch_record(store, hashes[i]);
            }
        }
        for (int i = 0; i < size; i++) {
            const Record *record;
            Parts parts;
            verdicts[begin + i] = (uint8_t)(
                group[i].key != NULL ? ask_record(store, &group[i], hashes[i], &record, &parts) : ASK_OBJECTS);
        }
    }
}

#endif
