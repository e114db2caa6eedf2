/* The entries of a record, sixteen of IPv4 or eight of IPv6 at a time: the twins of covers.h for AVX-512.
 *
 *     firsts   [ 16 of 32 bits ] ^ address  >>  32 - length  == 0 ?   and length <= 32, for those that are wanted
 */
#ifndef CIDRMATCH_COVERS_AVX512_H
#define CIDRMATCH_COVERS_AVX512_H

#include <stdint.h>

#include "_core/c/vectors.h"

#if CIDRMATCH_VECTORS
/* Needs: a processor with AVX-512, and what `portable_covers4` needs.
 * Reads: the entries alone; what lies behind them is masked. */
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

/* Needs: a processor with AVX-512, and what `portable_covers6` needs.
 * Reads: the entries alone. */
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

#endif
