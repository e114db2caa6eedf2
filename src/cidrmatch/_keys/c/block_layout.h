/* The block: key id -> allow list, for millions of keys, in one piece of memory without a pointer in it.  Only this
 * file decides its layout; docs/snapshot-format.md describes the layout for people.
 *
 *     0        128              records_end                 + STORE_PAD
 *     [ header | record record ... | zeros that vectors may read | about ... | bucket bucket ... ]
 *
 *     header    format, size, places of the parts, checksums
 *     records   one for each key, one behind the other
 *     about     facts about the whole that no check reads: policy, named lists
 *     buckets   the places of the records; a bucket is a cache line
 *
 * A check touches one bucket and one record:
 *
 *     hash(key) --high bits--> bucket   [ 8 tags | 8 places ]      if a bucket is full, the next one is used
 *               --low bits---> tag         |
 *                                          v  in units of 8 bytes
 *     record    [ Record | key | first first ... | length length ... | links | IPv6 ... | notes ]
 *
 * This file has the structs, finds the parts of a record, and checks a header.  Other files find a key (find.h), search
 * the entries (covers.h), answer a question (answer.h), make a block (build.h), and check every byte (verify.h).
 *
 * An entry of IPv4 takes five bytes: its first address and its length.  Twenty entries, the key and its share of a
 * bucket take 173 bytes.
 *
 * A block may come from a file that somebody else wrote.  So every number in it is compared with its bounds before it
 * is used.  A record that does not fit is `DAMAGED`, which denies.  Numbers have the byte order of the writer's
 * machine; the header's `order` shows it, and a block of the other byte order is refused.
 *
 * Where the ideas come from: buckets of a cache line, CDB (Bernstein) and F14 (Facebook).
 */
#ifndef CIDRMATCH_BLOCK_LAYOUT_H
#define CIDRMATCH_BLOCK_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    STORE_FORMAT = 2,
    STORE_ORDER = 0x01020304,
    UNIT = 8,                       /* bytes; records begin and end on it */
    BUCKET = 8,                     /* places in a bucket */
    MOST_PROBES = 64,               /* if a block needs more, it is built again with another seed */
    STORE_PAD = 64                  /* bytes behind the last record that vectors may read */
};

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
    uint32_t order;                 /* STORE_ORDER, in the writer's byte order */
    uint64_t size;                  /* of the whole block */
    uint64_t generation;
    uint64_t keys;
    uint64_t records;               /* where they begin */
    uint64_t records_end;           /* and where they end */
    uint64_t about_size;            /* size of the part about the whole, behind the records and STORE_PAD */
    uint64_t buckets;               /* where they begin */
    uint64_t bucket_count;
    uint64_t seed[2];
    uint32_t most_probes;
    uint32_t lists;                 /* how many named lists there are; links are smaller numbers */
    uint32_t body_checksum;         /* CRC-32 of all bytes behind the header */
    uint32_t header_checksum;       /* CRC-32 of the header, where this field is 0 */
    uint64_t epoch;                 /* which history of the data; generations count within it */
    uint64_t unused;                /* 0 */
} StoreHeader;

/* A file begins with this struct, so its layout must be the same with every compiler. */
typedef char header_is_128_bytes[sizeof(StoreHeader) == 128 && offsetof(StoreHeader, epoch) == 112 ? 1 : -1];

typedef struct {
    uint32_t tags[BUCKET];
    uint32_t places[BUCKET];        /* 0: free; then all places behind it are free, too */
} Bucket;

typedef struct {
    uint32_t size;                  /* of the whole record, in units */
    uint32_t notes_size;            /* bytes of the notes at its end */
    uint32_t key_size;
    uint32_t count4;                /* entries or ranges of IPv4 */
    uint32_t count6;                /* of IPv6 */
    uint16_t links;                 /* named lists that are united with the entries */
    uint16_t within;                /* named lists that must allow as well */
    uint32_t flags;
    uint32_t unused;                /* 0 */
    int64_t created;                /* microseconds since 1970, UTC */
} Record;

typedef char record_is_40_bytes[sizeof(Record) == 40 && offsetof(Record, created) == 32 ? 1 : -1];

/* Where the parts of a record are. */
typedef struct {
    const uint8_t *key;
    const uint32_t *first4;
    const uint32_t *last4;          /* of ranges */
    const uint8_t *length4;         /* of entries */
    const uint32_t *links;          /* the linked lists, then the lists it lies within */
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
    uint64_t records_end;
    uint64_t seed[2];
    uint32_t most_probes;
    int vectors;
} Store;

/* -- The parts of a record ---------------------------------------------------- */

static inline uint64_t rounded(uint64_t size, uint64_t to) {
    return (size + to - 1) & ~(to - 1);
}

/* Point at the parts of a record, and return how many bytes the record takes.  Counts have 32 bits, so no sum
 * overflows.
 *
 * Needs: nothing: the counts may be any numbers.  Then the parts may point anywhere; so callers compare the size before
 * they use the parts.
 * Reads: the `Record` alone. */
static inline uint64_t find_parts(const Record *record, Parts *parts) {
    const uint8_t *start = (const uint8_t *)record;
    uint64_t count4 = record->count4, count6 = record->count6, at = sizeof(Record);
    parts->key = start + at;
    at = rounded(at + record->key_size, 4);
    parts->first4 = (const uint32_t *)(start + at);
    at += 4 * count4;
    parts->last4 = (const uint32_t *)(start + at);
    parts->length4 = start + at;
    at = rounded(at + (record->flags & IS_SORTED4 ? 4 * count4 : count4), 4);
    parts->links = (const uint32_t *)(start + at);
    at = rounded(at + 4 * ((uint64_t)record->links + record->within), 8);
    parts->first6 = (const uint64_t *)(start + at);
    at += 16 * count6;
    parts->last6 = (const uint64_t *)(start + at);
    parts->length6 = start + at;
    at += record->flags & IS_SORTED6 ? 16 * count6 : count6;
    parts->notes = start + at;
    return at + record->notes_size;
}

/* The record at a place, if the whole record lies inside the records of the block; else NULL.
 *
 * Needs: a store whose header `refuse_header` accepted.  The place may be any number.
 * Reads: nothing outside the records. */
static inline const Record *record_at(const Store *store, uint64_t place, Parts *parts) {
    uint64_t at = place * UNIT;
    const Record *record = (const Record *)(store->block + at);
    if (at < store->records || at > store->records_end || store->records_end - at < sizeof(Record)) {
        return NULL;
    }
    if ((uint64_t)record->size * UNIT > store->records_end - at) {
        return NULL;
    }
    return find_parts(record, parts) <= (uint64_t)record->size * UNIT ? record : NULL;
}

/* -- Opening a block --------------------------------------------------------- */

/* Set the pointers of a store by a checked header.
 *
 * Needs: a header that `refuse_header` accepted for the size of this block.  For a memory-mapped file, pass a copy,
 * because the header in the file may change later.
 * Reads: the header alone. */
static inline void point_into(Store *store, const StoreHeader *header, const uint8_t *block) {
    store->block = block;
    store->buckets = (const Bucket *)(block + header->buckets);
    store->bucket_count = header->bucket_count;
    store->records = header->records;
    store->records_end = header->records_end;
    store->seed[0] = header->seed[0];
    store->seed[1] = header->seed[1];
    store->most_probes = header->most_probes;
}

/* What is wrong with a header, in words; NULL if nothing is.  Then a check reads nothing outside the block, whatever
 * its other bytes are.
 *
 * Needs: memory of a whole header, also if `size` is less.
 * Reads: the header alone.  For a memory-mapped file, pass a copy, and use this copy afterwards. */
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
    if (header->records != sizeof(StoreHeader) || header->records_end < header->records || header->records_end > size
        || header->records_end % UNIT != 0) {
        return "its records do not lie in it";
    }
    if (size - header->records_end < STORE_PAD || header->about_size > size - header->records_end - STORE_PAD) {
        return "its rest does not lie in it";
    }
    if (header->buckets % sizeof(Bucket) != 0 || header->buckets > size || header->bucket_count == 0
        || header->bucket_count > UINT32_MAX || header->buckets < header->records_end + STORE_PAD + header->about_size
        || header->bucket_count > (size - header->buckets) / sizeof(Bucket)) {
        return "its buckets do not lie in it";
    }
    if (header->keys > (header->records_end - header->records) / sizeof(Record)
        || header->keys > header->bucket_count * BUCKET) {
        return "it says more keys than it has room for";
    }
    if (header->most_probes > MOST_PROBES || header->unused != 0 || header->generation > INT64_MAX
        || header->epoch > INT64_MAX) {
        return "its header says what no header says";
    }
    return NULL;
}

#endif
