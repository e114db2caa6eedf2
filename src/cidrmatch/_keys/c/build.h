/* Making a block: memory for it, its header, its buckets.
 *
 *     records, written one behind the other  --digest_keys--> seed --fill_buckets--> buckets
 *                                                  ^                    |
 *                                                  '---- next salt -----'  if too many keys need the same buckets
 *
 * Cost: two hashes for each key.  Threads: the block is the builder's alone until it is done.
 */
#ifndef CIDRMATCH_BUILD_H
#define CIDRMATCH_BUILD_H

#include <stdlib.h>

#include "_core/c/pages.h"
#include "find.h"

/* Memory for a block, which the caller gives back by `free`.  A large block begins at a large page. */
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

/* Write the header of a block whose parts lie as block_layout.h draws them.  The seed and the number of probes
 * are set later.
 *
 * Needs: a block of `block_size(...)` bytes.
 * Reads: nothing; writes the header. */
static inline StoreHeader *write_header(
    uint8_t *block, uint64_t records_end, uint64_t about_size, uint64_t keys, uint64_t bucket_count) {
    StoreHeader *header = (StoreHeader *)block;
    memset(header, 0, sizeof(StoreHeader));
    memcpy(header->magic, "cidrkeys", 8);
    header->format = STORE_FORMAT;
    header->order = STORE_ORDER;
    header->keys = keys;
    header->records = sizeof(StoreHeader);
    header->records_end = records_end;
    header->about_size = about_size;
    header->buckets = rounded(records_end + STORE_PAD + about_size, sizeof(Bucket));
    header->bucket_count = bucket_count;
    header->size = header->buckets + bucket_count * sizeof(Bucket);
    return header;
}

/* How many bytes a block of such parts takes. */
static inline uint64_t block_size(uint64_t records_end, uint64_t about_size, uint64_t bucket_count) {
    return rounded(records_end + STORE_PAD + about_size, sizeof(Bucket)) + bucket_count * sizeof(Bucket);
}

/* Enter every record into the buckets.  Returns 0 if this is done, 1 if it takes too many probes, and else the place of
 * a record whose key another record has, too.
 *
 * Needs: records that were written here, one behind the other, and buckets of zeros.
 * Reads: every record; writes the buckets. */
static inline uint64_t fill_buckets(Store *store, Bucket *buckets) {
    Parts parts, other;
    store->most_probes = 0;
    for (uint64_t place = store->records / UNIT; place * UNIT < store->records_end;) {
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

/* A number computed from all keys; their order does not matter.  Needs, Reads: as `fill_buckets`. */
static inline uint64_t digest_keys(const Store *store, uint64_t salt) {
    const uint64_t seed[2] = {salt, UINT64_C(0x63696472)};
    uint64_t digest = 0;
    Parts parts;
    for (uint64_t place = store->records / UNIT; place * UNIT < store->records_end;) {
        const Record *record = record_at(store, place, &parts);
        digest += siphash(seed, parts.key, record->key_size);
        place += record->size;
    }
    return siphash(seed, (const uint8_t *)&digest, sizeof(digest));
}

/* Compare the keys of two records, for sorting pointers to records.
 *
 * Needs: two pointers to pointers to whole records.
 * Reads: their heads and keys. */
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

#endif
