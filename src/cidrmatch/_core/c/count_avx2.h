/* Counting keys of a node with AVX2: the twins of `portable_count4` and `portable_count6` in count.h.
 */
#ifndef CIDRMATCH_COUNT_AVX2_H
#define CIDRMATCH_COUNT_AVX2_H

#include "layout.h"
#include "vectors.h"

#if CIDRMATCH_VECTORS
/* Needs: a processor with AVX2, and what `portable_count4` needs.
 * Reads: the keys alone. */
CIDRMATCH_AVX2 uint32_t avx2_count4(const int32_t *node, int32_t wanted) {
    const __m256i *keys = (const __m256i *)node;
    __m256i all = _mm256_set1_epi32(wanted);
    int front = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(all, _mm256_loadu_si256(keys))));
    int back = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(all, _mm256_loadu_si256(keys + 1))));
    return (uint32_t)_mm_popcnt_u32((uint32_t)(front | back << 8));
}

/* Needs: a processor with AVX2, and what `portable_count6` needs.
 * Reads: the keys alone. */
CIDRMATCH_AVX2 uint32_t avx2_count6(const int64_t *node, int64_t wanted) {
    const __m256i *keys = (const __m256i *)node;
    __m256i all = _mm256_set1_epi64x(wanted);
    int front = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_loadu_si256(keys), all)));
    int back = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_loadu_si256(keys + 1), all)));
    return NODE6 - (uint32_t)_mm_popcnt_u32((uint32_t)(front | back << 4));
}
#endif

#endif
