/* The entries of a record, eight at a time: the twin of `portable_covers4` in covers.h for processors with AVX2.
 *
 *     firsts   [ 8 of 32 bits ] ^ address  >>  32 - length  == 0 ?   and length <= 32
 */
#ifndef CIDRMATCH_COVERS_AVX2_H
#define CIDRMATCH_COVERS_AVX2_H

#include <stdint.h>

#include "_core/c/vectors.h"

#if CIDRMATCH_VECTORS
/* Needs: a processor with AVX2, and what `portable_covers4` needs.
 * Reads: up to seven firsts and lengths behind the last, which is why STORE_PAD bytes follow the records. */
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
#endif

#endif
