/* The block: key id -> allow list, for millions of keys, in one piece of memory without a pointer in it.  This file tells
 * how it is laid out, and nobody else does; docs/snapshot-format.md is the same for people.
 *
 *     0        128              records_end                 + STORE_PAD
 *     [ header | record record ... | zeros that vectors may read | about ... | bucket bucket ... ]
 *
 *     header    what it is, how large, where the parts are, checksums
 *     records   one a key, one behind the other, each whole in itself
 *     about     bytes about the whole that no check reads: policy, named lists
 *     buckets   where the record of a key lies; whole cache lines
 *
 * A check touches one bucket and one record:
 *
 *     hash(key) --high bits--> bucket   [ 8 tags | 8 places ]      a full bucket goes on in the next
 *               --low bits---> tag         |
 *                                          v  in units of 8 bytes
 *     record    [ Record | key | first first ... | length length ... | links | IPv6 ... | notes ]
 *
 * Here: the structs, where the parts of a record are, and what is wrong with a header.  In other files: finding a key
 * (find.h), asking the entries (covers.h), the answer to a question (answer.h), making a block (build.h), and looking at
 * every byte (verify.h).
 *
 * An entry of IPv4 takes five bytes: its first address and its length.  Twenty entries, the key and its share of a
 * bucket take 173 bytes.
 *
 * A block may come from a file that somebody else wrote.  Every number in it is checked against what it must stay inside
 * before it is used.  A record that does not fit is `DAMAGED`, which denies.  Numbers are those of the writer's machine;
 * the header's `order` says which, and a block of another machine is refused.
 *
 * Where the ideas come from: buckets of a cache line, CDB (Bernstein) and F14 (Facebook).
 */
#ifndef CIDRMATCH_BLOCK_H
#define CIDRMATCH_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    STORE_FORMAT = 2,
    STORE_ORDER = 0x01020304,
    UNIT = 8,                       /* bytes; records begin and end on it */
    BUCKET = 8,                     /* places in a bucket */
    MOST_PROBES = 64,               /* a block whose buckets need more is built again with another seed */
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
    uint32_t order;                 /* STORE_ORDER, as the writer's machine keeps numbers */
    uint64_t size;                  /* of the whole block */
    uint64_t generation;
    uint64_t keys;
    uint64_t records;               /* where they begin */
    uint64_t records_end;           /* and where they end */
    uint64_t about_size;            /* bytes about the whole, behind the records and STORE_PAD */
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

/* A file begins with these bytes, so no compiler may lay them out in another way. */
typedef char header_is_128_bytes[sizeof(StoreHeader) == 128 && offsetof(StoreHeader, epoch) == 112 ? 1 : -1];

typedef struct {
    uint32_t tags[BUCKET];
    uint32_t places[BUCKET];        /* 0: free, and so are all behind it */
} Bucket;

typedef struct {
    uint32_t size;                  /* of all of it, in units */
    uint32_t notes_size;            /* bytes at its end that no check reads */
    uint32_t key_size;
    uint32_t count4;                /* entries or ranges of IPv4 */
    uint32_t count6;                /* of IPv6 */
    uint16_t links;                 /* named lists that are united with the entries */
    uint16_t within;                /* named lists that must pass as well */
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
    uint64_t records_end;
    uint64_t seed[2];
    uint32_t most_probes;
    int vectors;
} Store;

/* -- The parts of a record ---------------------------------------------------- */

static inline uint64_t rounded(uint64_t size, uint64_t to) {
    return (size + to - 1) & ~(to - 1);
}

/* Point at the parts of a record, and tell how many bytes it takes.  Counts have 32 bits, so no sum overflows.
 *
 * Needs: nothing of the counts.  The parts may point anywhere; who uses them compares the size first.
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

/* The record at a place, if it and all of its parts lie where records are; else NULL.
 *
 * Needs: a store of a header that `refuse_header` took.  The place may be any number.
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

/* Point into a block by a header that was checked.
 *
 * Needs: a header that `refuse_header` took for the size of this block.  In a memory-mapped file it is a copy, because
 * the header in the file may change later.
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

/* What is wrong with a header, in words; NULL if a check stays inside the block, whatever its other bytes say.
 *
 * Needs: room for a whole header, also where `size` says that there is less.
 * Reads: the header alone.  Who maps a file gives a copy, so that what was checked is what is used. */
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
