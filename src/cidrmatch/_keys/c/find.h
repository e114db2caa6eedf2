/* Finding a key in a block: one bucket, one record.
 *
 *     hash  [ high 32 bits | low 32 bits ]
 *              |              '-- the tag, compared eight at a time
 *              '-- * bucket_count >> 32 = the first bucket; if it is full, the next ones, at most `most_probes`
 *
 * The hash is SipHash-1-3.  Its seed is computed from all keys, so whoever does not know all keys cannot choose keys
 * that collide.  After the tags, the whole keys are compared, so an equal tag alone is no match.
 *
 * Cost: reads two places in memory.  Threads: safe, because nobody writes.  Source: SipHash (Aumasson and Bernstein,
 * 2012).
 */
#ifndef CIDRMATCH_FIND_H
#define CIDRMATCH_FIND_H

#include "_core/c/bits.h"
#include "_core/c/siphash.h"
#include "_core/c/vectors.h"
#include "block_layout.h"
#include "reason.h"

static inline uint64_t bucket_of(uint64_t hash, uint64_t bucket_count) {
    return (hash >> 32) * bucket_count >> 32;
}

/* Which tags of a bucket equal `tag`?  Bit 0 stands for the first.
 *
 * Needs: a whole bucket.
 * Reads: its tags. */
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

/* Find the record of a key.  Returns MATCHED and sets `record` and `parts`; or UNKNOWN_KEY; or DAMAGED.
 *
 * Needs: a store whose header `refuse_header` accepted; `size` bytes of key, and their hash under the store's seed.
 * Reads: at most `most_probes` + 1 buckets, and of each record with the same tag its head and its key. */
static inline Verdict find_record(
    const Store *store, const uint8_t *key, size_t size, uint64_t hash, const Record **record, Parts *parts) {
    uint64_t at = bucket_of(hash, store->bucket_count);
    for (uint32_t probe = 0; probe <= store->most_probes; probe++) {
        const Bucket *bucket = store->buckets + at;
        for (uint32_t found = find_tags(bucket, (uint32_t)hash); found != 0; found &= found - 1) {
            uint32_t place = bucket->places[trailing_zeros(found)];
            if (place == 0) {
                break;              /* free places have the tag 0 */
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

/* Prefetch the first cache lines of the record that a hash may belong to.
 *
 * Always inlined, because GCC would remove the call of a function that only prefetches.
 * Needs: a store whose header `refuse_header` accepted.
 * Reads: one bucket.  The fetched lines are not read here. */
CIDRMATCH_INLINE void fetch_record(const Store *store, uint64_t hash) {
    const Bucket *bucket = store->buckets + bucket_of(hash, store->bucket_count);
    uint32_t found = find_tags(bucket, (uint32_t)hash);
    if (found != 0) {
        uint64_t at = (uint64_t)bucket->places[trailing_zeros(found)] * UNIT;
        if (at < store->records_end) {
            CIDRMATCH_PREFETCH(store->block + at);
            CIDRMATCH_PREFETCH(store->block + at + 64);     /* STORE_PAD and buckets follow the records */
            CIDRMATCH_PREFETCH(store->block + at + 128);
        }
    }
}

#endif
