/* Sixteen packed addresses at a time, with AVX-512: the twins of `each4_by` and `each6_by` in each.h for map and trie.
 *
 * A search of the map or the trie is little more than a few loads.  If gathers are fast, sixteen addresses in a
 * register can be searched together:
 *
 *     addresses  [ a0 | a1 | ... | a15 ]
 *     places     [ map[a0 >> 16] | map[a1 >> 16] | ... ]          one gather
 *     bits       [ of block and /24 ... ]                         another: the answers
 *
 * This is two to three times as fast.  The few addresses that map or trie leave to the ladder are searched again, one
 * by one.
 *
 * What was tried and was slower: gathers of 64 bits, because eight of these take as long as sixteen of 32 bits; a first
 * pass over a block of addresses that collects the addresses for the ladder, because the two passes wait for each
 * other.
 */
#ifndef CIDRMATCH_EACH_AVX512_H
#define CIDRMATCH_EACH_AVX512_H

#include "each.h"
#include "search.h"
#include "vectors.h"

#if CIDRMATCH_VECTORS
/* Swap the bytes of each number. */
CIDRMATCH_AVX512 __m512i swap_each32(__m512i words) {
    return _mm512_shuffle_epi8(
        words, _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)));
}

/* For each of sixteen addresses: is it in the table?
 *
 * Needs: a processor with AVX-512, and a table with a map; room for sixteen answers.
 * Reads: the words of these addresses in the map and its blocks; for a few addresses also the ladder. */
CIDRMATCH_AVX512 void gather_sixteen4(const Table4 *table, __m512i addresses, uint8_t *out) {
    __m512i places = _mm512_i32gather_epi32(_mm512_srli_epi32(addresses, 16), table->map, 4);
    __m512i eighths = _mm512_and_si512(_mm512_srli_epi32(addresses, 13), _mm512_set1_epi32(7));
    __m512i at = _mm512_or_si512(_mm512_slli_epi32(places, 3), eighths);       /* MAP_PIECES falls off the end */
    __m512i bits = _mm512_i32gather_epi32(at, table->blocks, 4);
    __m512i places_of_bits = _mm512_and_si512(_mm512_srli_epi32(addresses, 8), _mm512_set1_epi32(31));
    __mmask16 is_in = _mm512_test_epi32_mask(bits, _mm512_sllv_epi32(_mm512_set1_epi32(1), places_of_bits));
    uint32_t open = (uint32_t)_mm512_movepi32_mask(places) & ~(uint32_t)is_in;
    _mm_storeu_si128((__m128i *)out, _mm_maskz_set1_epi8(is_in, 1));
    if (open) {
        uint32_t values[16];
        _mm512_storeu_si512(values, addresses);
        for (; open; open &= open - 1) {
            int i = trailing_zeros(open);
            out[i] = (uint8_t)contains4_by(table, values[i], &AVX512_WAYS);
        }
    }
}

/* As `each4_by`.  Needs: a table with a map, and what `each4_by` needs.  Reads: as `each4_by`. */
CIDRMATCH_AVX512 void gather_each4(
    const Table4 *table, const uint8_t *packed, ptrdiff_t size, int is_reversed, uint8_t *out) {
    ptrdiff_t i = 0;
    for (; i + 16 <= size; i += 16) {
        __m512i words = _mm512_loadu_si512(packed + 4 * i);
        gather_sixteen4(table, is_reversed ? words : swap_each32(words), out + i);
    }
    each4_by(table, packed + 4 * i, size - i, is_reversed, out + i, &AVX512_WAYS);
}

/* The state of sixteen addresses during their search of the trie. */
typedef struct {
    __m512i firsts;                 /* the first 32 bits of each address */
    __m512i keys;                   /* bits 16 to 47 of each address, which are searched below its /16 */
    __m512i nodes;
} Sixteen6;

/* Needs: 256 readable bytes.  Reads: these. */
CIDRMATCH_AVX512 Sixteen6 load_sixteen6(const uint8_t *packed) {
    const __m512i firsts_and_seconds = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    __m512i front = _mm512_permutex2var_epi32(
        _mm512_loadu_si512(packed), firsts_and_seconds, _mm512_loadu_si512(packed + 64));
    __m512i back = _mm512_permutex2var_epi32(
        _mm512_loadu_si512(packed + 128), firsts_and_seconds, _mm512_loadu_si512(packed + 192));
    __m512i firsts = swap_each32(_mm512_shuffle_i64x2(front, back, 0x44));
    __m512i seconds = swap_each32(_mm512_shuffle_i64x2(front, back, 0xee));
    Sixteen6 these = {
        firsts, _mm512_or_si512(_mm512_slli_epi32(firsts, 16), _mm512_srli_epi32(seconds, 16)), _mm512_setzero_si512()};
    return these;
}

/* The words at some places.
 *
 * Needs: every place is inside the array; one more word lies behind its end.
 * Reads: the word at each place and the next word, because a gather reads 32 bits. */
CIDRMATCH_AVX512 __m512i gather_words(const uint16_t *words, __m512i places) {
    return _mm512_and_si512(_mm512_i32gather_epi32(places, words, 2), _mm512_set1_epi32(0xffff));
}

/* One step: `bits` bits of each key, from bit `shift` on, choose the word in its node or row.
 *
 * Needs, Reads: as above; the nodes exist. */
CIDRMATCH_AVX512 void step_sixteen6(const uint16_t *words, Sixteen6 *these, int shift, unsigned bits) {
    __m512i parts = _mm512_and_si512(
        _mm512_srli_epi32(these->keys, (unsigned)shift), _mm512_set1_epi32((1 << bits) - 1));
    these->nodes = gather_words(words, _mm512_add_epi32(_mm512_slli_epi32(these->nodes, bits), parts));
}

/* Another thread may write to the buffer meanwhile. So an address that is read again may now be an IPv4-mapped address.
 *
 * Needs: 256 readable bytes, and room for sixteen answers.
 * Reads: some of these again, and the table. */
CIDRMATCH_AVX512 void answer_sixteen6(
    const Table *table, const Sixteen6 *these, const uint8_t *packed, uint8_t *out) {
    uint32_t open = _mm512_cmpeq_epi32_mask(these->nodes, _mm512_set1_epi32(PARTLY_IN));
    _mm_storeu_si128((__m128i *)out, _mm512_cvtepi32_epi8(these->nodes));
    for (; open; open &= open - 1) {
        int i = trailing_zeros(open);
        out[i] = one6_by(table, packed + 16 * i, &AVX512_WAYS);
    }
}

/* Two groups of sixteen: while the gather of one group waits, the gather of the other runs.  Returns 0 and does nothing
 * if an address may be IPv4-mapped.
 *
 * Needs: a table with a trie; 512 readable bytes, and room for 32 answers.
 * Reads: these, and the table. */
CIDRMATCH_AVX512 int gather_some6(const Table *table, const uint8_t *packed, uint8_t *out) {
    const MultibitTrie *trie = &table->table6.trie;
    Sixteen6 a = load_sixteen6(packed), b = load_sixteen6(packed + 256);
    if (_mm512_testn_epi32_mask(a.firsts, a.firsts) | _mm512_testn_epi32_mask(b.firsts, b.firsts)) {
        return 0;
    }
    a.nodes = gather_words(trie->index, _mm512_srli_epi32(a.firsts, 16));
    b.nodes = gather_words(trie->index, _mm512_srli_epi32(b.firsts, 16));
    step_sixteen6(trie->rows, &a, 32 - ROW_BITS6, ROW_BITS6);
    step_sixteen6(trie->rows, &b, 32 - ROW_BITS6, ROW_BITS6);
    for (int shift = 32 - ROW_BITS6 - FORK_BITS6; shift >= 0; shift -= FORK_BITS6) {
        step_sixteen6(trie->nodes, &a, shift, FORK_BITS6);
        step_sixteen6(trie->nodes, &b, shift, FORK_BITS6);
    }
    answer_sixteen6(table, &a, packed, out);
    answer_sixteen6(table, &b, packed + 256, out + 16);
    return 1;
}

/* As `each6_by`.  Needs: a table with a trie, and what `each6_by` needs.  Reads: as `each6_by`. */
CIDRMATCH_AVX512 void gather_each6(const Table *table, const uint8_t *packed, ptrdiff_t size, uint8_t *out) {
    for (ptrdiff_t i = 0; i < size; i += 32) {
        ptrdiff_t count = size - i < 32 ? size - i : 32;
        if (count < 32 || !gather_some6(table, packed + 16 * i, out + i)) {
            each6_by(table, packed + 16 * i, count, out + i, &AVX512_WAYS);
        }
    }
}
#endif

#endif
