/* Counting keys of a node with SSE2, which every x86-64 has: the twins of `portable_count4` and `portable_scan4` in
 * count.h.
 *
 * SSE2 cannot compare 64-bit numbers, so `portable_count6` counts IPv6 keys.
 */
#ifndef CIDRMATCH_COUNT_SSE2_H
#define CIDRMATCH_COUNT_SSE2_H

#include "bits.h"
#include "layout.h"
#include "vectors.h"

#if CIDRMATCH_VECTORS
/* Keys are sorted, so the comparisons give ones and then zeros; the position of the first zero is the count.
 *
 * Needs: NODE4 keys, sorted.
 * Reads: these alone. */
static inline uint32_t sse2_count4(const int32_t *node, int32_t wanted) {
    const __m128i *keys = (const __m128i *)node;
    __m128i all = _mm_set1_epi32(wanted);
    __m128i front = _mm_packs_epi32(
        _mm_cmplt_epi32(_mm_loadu_si128(keys), all), _mm_cmplt_epi32(_mm_loadu_si128(keys + 1), all));
    __m128i back = _mm_packs_epi32(
        _mm_cmplt_epi32(_mm_loadu_si128(keys + 2), all), _mm_cmplt_epi32(_mm_loadu_si128(keys + 3), all));
    return (uint32_t)trailing_zeros(~(uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(front, back)));
}

/* Needs, Reads: as `portable_scan4`. */
static inline int sse2_scan4(const Table4 *table, uint32_t address) {
    const __m128i *node = (const __m128i *)table->firsts.keys;
    __m128i all = _mm_set1_epi32(order4(address)), outside = _mm_set1_epi32(-1);
    for (uint32_t i = 0; i < table->firsts.ladder.nodes; i++, node += 4) {
        __m128i front = _mm_cmpgt_epi32(_mm_sub_epi32(all, _mm_loadu_si128(node)), _mm_loadu_si128(node + 2));
        __m128i back = _mm_cmpgt_epi32(_mm_sub_epi32(all, _mm_loadu_si128(node + 1)), _mm_loadu_si128(node + 3));
        outside = _mm_and_si128(outside, _mm_and_si128(front, back));
    }
    return _mm_movemask_epi8(outside) != 0xffff;
}
#endif

#endif
