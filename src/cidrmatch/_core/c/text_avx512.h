/* The parsers of text.h for processors with AVX-512 VBMI2 (Ice Lake and later, Zen 4 and later).
 *
 * The same steps with better instructions: there is no loop over groups, and it
 * takes a third of the instructions.
 *
 *     text       2001:db8::1f            a masked load: nothing outside the text is read
 *     ends       4 8 9 12 13 14 15 16    the positions of separators, packed together (vpcompressb)
 *     indexes    0 1 2 3 . 5 6 7 . . . . . . 10 11 ...    the four before each end, without other groups
 *     nibbles    2 0 0 1 0 d b 8 0 0 0 0 0 0 1 f ...      picked by these indexes (vpermb)
 *     value      20 01 0d b8 00 00 00 1f ...              pairs joined, the gap left out (vpexpandb)
 *
 * They accept the same texts as their twins, and also IPv6 texts of two to
 * seven characters.  `widest_vectors` asks the processor, once.
 */
#ifndef CIDRMATCH_TEXT_AVX512_H
#define CIDRMATCH_TEXT_AVX512_H

#include "text.h"
#include "vectors.h"

#if CIDRMATCH_VECTORS

/* As `parse_common_ipv4`, but the result is four octets of 32 bits each.  The steps that the result depends on stay in
 * vector registers; checks that can only refuse run beside them.
 *
 * Needs: a processor with AVX-512 and VBMI2; `length` may be any number.
 * Reads: the text alone, for the load is masked. */
CIDRMATCH_AVX512 int avx512_parse_octets(const uint8_t *text, ptrdiff_t length, __m128i *value) {
    const __m128i positions = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m128i four_of_each = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const __m128i four_of_last = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2);
    const __m128i before_end = _mm_set1_epi32((int)0xfffefdfc);     /* -4, -3, -2, -1 */
    const __m128i minus_one = _mm_set1_epi8(-1), dot = _mm_set1_epi8('.');
    __m128i characters, digits, ends, indexes, octets, sizes, least;
    __mmask16 all, dots;
    if (length < SHORTEST_IPV4 || length > LONGEST_IPV4) {
        return 0;
    }
    /* 1. refuse characters that are neither digits nor dots; each position behind the text counts as the end of an
     * octet */
    all = (__mmask16)((1u << length) - 1);
    characters = _mm_mask_loadu_epi8(dot, all, text);
    dots = _mm_cmpeq_epi8_mask(characters, dot);
    digits = _mm_sub_epi8(characters, _mm_set1_epi8('0'));
    if ((_mm_cmple_epu8_mask(digits, _mm_set1_epi8(9)) | dots) != 0xffff || _mm_popcnt_u32(dots & all) != 3) {
        return 0;
    }
    /* 2. the four characters before each end; characters of the octet before are set to 0 */
    ends = _mm_maskz_compress_epi8(dots, positions);
    indexes = _mm_add_epi8(_mm_shuffle_epi8(ends, four_of_each), before_end);
    digits = _mm_maskz_permutexvar_epi8(
        _mm_cmpgt_epi8_mask(indexes, _mm_mask_shuffle_epi8(minus_one, 0xfff0, ends, four_of_last)), indexes, digits);
    octets = _mm_dpbusd_epi32(_mm_setzero_si128(), digits, _mm_set1_epi32(0x010a6400));
    /* 3. each octet has one to three digits and is at most 255; with two digits it is at least 10, with three at least
     * 100 */
    sizes = _mm_sub_epi8(ends, _mm_add_epi32(_mm_slli_epi32(ends, 8), _mm_set1_epi32(0x01010100)));
    least = _mm_cvtepu8_epi32(_mm_shuffle_epi8(_mm_cvtsi32_si128(0x640a0000), sizes));
    if ((_mm_cmpgt_epu8_mask(_mm_sub_epi8(sizes, _mm_set1_epi8(1)), _mm_set1_epi8(2)) & 0xf)
        | _mm_cmpgt_epu32_mask(octets, _mm_set1_epi32(255)) | _mm_cmplt_epu32_mask(octets, least)) {
        return 0;
    }
    *value = octets;
    return 1;
}

CIDRMATCH_AVX512 uint32_t avx512_join_octets(__m128i octets) {
    return swap32((uint32_t)_mm_cvtsi128_si32(_mm_cvtepi32_epi8(octets)));
}

/* As `parse_common_ipv4`.  Needs, Reads: as above. */
CIDRMATCH_AVX512 int avx512_parse_ipv4(const uint8_t *text, ptrdiff_t length, uint32_t *value) {
    __m128i octets;
    if (!avx512_parse_octets(text, length, &octets)) {
        return 0;
    }
    *value = avx512_join_octets(octets);
    return 1;
}

/* As `parse_common_ipv6`; it also accepts texts of two to seven characters.  Needs, Reads: as above. */
CIDRMATCH_AVX512 int avx512_parse_ipv6(const uint8_t *text, ptrdiff_t length, uint64_t *upper, uint64_t *lower) {
    const __m512i positions = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
        35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
        6, 5, 4, 3, 2, 1, 0);
    const __m256i four_of_each = _mm256_setr_epi8(
        0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7);
    const __m256i four_of_last = _mm256_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6);
    const __m256i minus_one = _mm256_set1_epi8(-1);
    const __m256i before_end = _mm256_set1_epi32((int)0xfffefdfc);  /* -4, -3, -2, -1 */
    __m512i characters, letters;
    __m256i indexes, nibbles;
    __m128i ends, begins, network;
    __m256i all_ends;
    __mmask64 all, are_letters, colons, doubles;
    int64_t missing;
    uint32_t before;
    if (length < 2 || length > LONGEST_FAST_IPV6) {
        return 0;
    }
    all = ((__mmask64)1 << length) - 1;
    characters = _mm512_maskz_loadu_epi8(all, text);
    colons = _mm512_mask_cmpeq_epi8_mask(all, characters, _mm512_set1_epi8(':'));
    /* 1. refuse characters that are neither hexadecimal digits nor colons */
    letters = _mm512_sub_epi8(_mm512_or_si512(characters, _mm512_set1_epi8(0x20)), _mm512_set1_epi8('a'));
    are_letters = _mm512_mask_cmple_epu8_mask(all, letters, _mm512_set1_epi8(5));
    characters = _mm512_sub_epi8(characters, _mm512_set1_epi8('0'));
    if ((_mm512_mask_cmple_epu8_mask(all, characters, _mm512_set1_epi8(9)) | are_letters | colons) != all) {
        return 0;
    }
    characters = _mm512_mask_add_epi8(characters, are_letters, letters, _mm512_set1_epi8(10));
    /* 2. a colon at the end must be the second of a "::"; refuse a colon at the start and more than one "::" */
    doubles = colons & colons >> 1;
    if (colons >> (length - 1)) {
        length -= 1;
        if (!(doubles >> (length - 1))) {
            return 0;
        }
        colons ^= (__mmask64)1 << length;
    }
    if ((colons & 1) | (doubles & (doubles - 1))) {
        return 0;
    }
    /* 3. the ends and beginnings of the eight groups; missing groups are behind the text; each group has at most four
     * digits */
    ends = _mm512_castsi512_si128(_mm512_maskz_compress_epi8(colons | ~(__mmask64)0 << length, positions));
    begins = _mm_add_epi8(_mm_slli_epi64(ends, 8), _mm_set1_epi64x(0x0101010101010100));
    missing = (int64_t)((uint64_t)_mm_cvtsi128_si64(ends) >> 56) - length;
    if ((_mm_cmpgt_epu8_mask(_mm_sub_epi8(ends, begins), _mm_set1_epi8(4)) & 0xff) | (missing < 0)
        | ((missing > 0) & (doubles == 0))) {
        return 0;
    }
    /* 4. the four characters before each end; characters of the group before are set to 0 */
    all_ends = _mm256_broadcastq_epi64(ends);
    indexes = _mm256_add_epi8(_mm256_shuffle_epi8(all_ends, four_of_each), before_end);
    nibbles = _mm512_castsi512_si256(_mm512_maskz_permutexvar_epi8(
        _mm256_cmpgt_epi8_mask(
            indexes, _mm256_mask_shuffle_epi8(minus_one, 0xfffffff0, all_ends, four_of_last)),
        _mm512_castsi256_si512(indexes), characters));
    network = _mm256_cvtepi16_epi8(_mm256_maddubs_epi16(nibbles, _mm256_set1_epi16(0x0110)));
    /* 5. move the groups before the gap to the left, and the others to the right */
    before = (uint32_t)_mm_popcnt_u64(colons & (doubles ^ (doubles - 1)));
    network = _mm_maskz_expand_epi8((__mmask16) ~(((1u << 2 * missing) - 1) << 2 * before), network);
    *upper = swap64((uint64_t)_mm_cvtsi128_si64(network));
    *lower = swap64((uint64_t)_mm_extract_epi64(network, 1));
    return 1;
}

/* As `parse_text` in parse.h.  Needs, Reads: as above. */
CIDRMATCH_TARGET512 __attribute__((noinline)) static int avx512_parse_text(
    const uint8_t *text, ptrdiff_t length, uint32_t *value, uint64_t *upper, uint64_t *lower) {
    if (avx512_parse_ipv4(text, length, value)) {
        return 4;
    }
    return avx512_parse_ipv6(text, length, upper, lower) ? 6 : 0;
}
#endif

#endif
