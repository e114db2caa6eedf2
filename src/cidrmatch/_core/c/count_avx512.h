/* Counting keys of a node with AVX-512: the twins of count.h, which compare a node at once; and a scan of IPv6 with all
 * 128 bits.
 */
#ifndef CIDRMATCH_COUNT_AVX512_H
#define CIDRMATCH_COUNT_AVX512_H

#include "layout.h"
#include "vectors.h"

#if CIDRMATCH_VECTORS
/* Needs: a processor with AVX-512, and what `portable_count4` needs.
 * Reads: the keys alone. */
CIDRMATCH_AVX512 uint32_t avx512_count4(const int32_t *node, int32_t wanted) {
    return (uint32_t)_mm_popcnt_u32(_mm512_cmplt_epi32_mask(_mm512_loadu_si512(node), _mm512_set1_epi32(wanted)));
}

/* Needs: a processor with AVX-512, and what `portable_count6` needs.
 * Reads: the keys alone. */
CIDRMATCH_AVX512 uint32_t avx512_count6(const int64_t *node, int64_t wanted) {
    return (uint32_t)_mm_popcnt_u32(_mm512_cmple_epi64_mask(_mm512_loadu_si512(node), _mm512_set1_epi64(wanted)));
}
/* Is the address in one of the ranges?  `all` is the address eight times, as `order4` gives it.
 *
 * Needs: a processor with AVX-512, and what `portable_scan4` needs.
 * Reads: the nodes alone. */
CIDRMATCH_AVX512 int avx512_scan_all(const Table4 *table, __m256i all) {
    const __m256i *node = (const __m256i *)table->firsts.keys;
    __mmask8 outside = 0xff;
    for (uint32_t i = 0; i < table->firsts.ladder.nodes; i++, node += 2) {
        __m256i behind = _mm256_sub_epi32(all, _mm256_loadu_si256(node));
        outside = _kand_mask8(outside, _mm256_cmpgt_epi32_mask(behind, _mm256_loadu_si256(node + 1)));
    }
    return outside != 0xff;
}

/* Needs, Reads: as above. */
CIDRMATCH_AVX512 int avx512_scan4(const Table4 *table, uint32_t address) {
    return avx512_scan_all(table, _mm256_set1_epi32(order4(address)));
}

/* How many first addresses are at or before the address, compared by all 128 bits?  A first address counts if its upper
 * half is smaller, or if its upper half is equal and its lower half is not larger.
 *
 * Needs: a processor with AVX-512; `ladder.nodes` nodes of `keys` and of `lower`, padded alike.
 * Reads: these alone. */
CIDRMATCH_AVX512 uint32_t avx512_scan6(const Firsts6 *firsts, uint64_t upper, uint64_t lower) {
    __m512i uppers = _mm512_set1_epi64(order6(upper)), lowers = _mm512_set1_epi64((int64_t)lower);
    uint32_t begun = 0;
    for (uint32_t i = 0; i < firsts->ladder.nodes; i++) {
        __m512i keys = _mm512_loadu_si512(firsts->keys + (size_t)i * NODE6);
        __mmask8 equal = _mm512_cmpeq_epi64_mask(keys, uppers);
        __mmask8 begins = _mm512_mask_cmple_epu64_mask(
            equal, _mm512_loadu_si512(firsts->lower + (size_t)i * NODE6), lowers);
        begun += (uint32_t)_mm_popcnt_u32(_kor_mask8(_mm512_cmplt_epi64_mask(keys, uppers), begins));
    }
    return begun;
}
#endif

#endif
