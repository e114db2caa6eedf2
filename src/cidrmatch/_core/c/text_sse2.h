/* Two steps of text.h with SSE2, which every x86-64 has: finding separators and converting characters.
 *
 *     separators    [ 2 0 0 1 : d b 8 : : 1 f ... ] == ':'    ->    ....1...11..
 *     characters    [ '2' '0' '0' '1' ... ] - '0'  ->  [ 2 0 0 1 ... ]  ->  [ 20 01 ... ]
 *
 * Their portable twins are in text.h.
 */
#ifndef CIDRMATCH_TEXT_SSE2_H
#define CIDRMATCH_TEXT_SSE2_H

#include <stdint.h>

#include "bits.h"
#include "vectors.h"

#if CIDRMATCH_VECTORS
/* Which of 16 bytes equal the wanted byte?  Bit 0 stands for the first of them.
 *
 * Needs: 16 readable bytes from `start` on.
 * Reads: these. */
static inline uint64_t positions16(const uint8_t *start, uint8_t wanted) {
    __m128i block = _mm_loadu_si128((const __m128i *)start);
    return (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8((char)wanted)));
}

/* Four words in one register.  Not through memory, because a load that spans several stores has to wait for all of
 * them. */
static inline __m128i pack_words(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    __m128i front = _mm_cvtsi64_si128((long long)((uint64_t)b << 32 | a));
    __m128i back = _mm_cvtsi64_si128((long long)((uint64_t)d << 32 | c));
    return _mm_unpacklo_epi64(front, back);
}

/* As `portable_octets`.  Needs: four groups. */
static inline int sse2_octets(const uint32_t groups[4], uint32_t *value) {
    __m128i digits = _mm_sub_epi8(pack_words(groups[0], groups[1], groups[2], groups[3]), _mm_set1_epi8('0'));
    __m128i good = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    /* [0 h t o] -> 100 h + o and 10 t, as 32 bits each */
    __m128i hundreds = _mm_madd_epi16(_mm_srli_epi16(digits, 8), _mm_set1_epi32(1 << 16 | 100));
    __m128i tens = _mm_madd_epi16(_mm_and_si128(digits, _mm_set1_epi16(0xff)), _mm_set1_epi32(10 << 16));
    __m128i octets = _mm_add_epi32(hundreds, tens);
    __m128i large = _mm_cmpgt_epi32(octets, _mm_set1_epi32(255));
    __m128i packed = _mm_packs_epi32(octets, octets);
    uint32_t network;
    if (_mm_movemask_epi8(_mm_andnot_si128(large, good)) != 0xffff) {
        return 0;
    }
    network = (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(packed, packed));
    *value = swap32(network);
    return 1;
}

/* 16 hexadecimal characters to 16 numbers below 16; `bad` is set where a character is no hexadecimal digit. */
static inline __m128i nibbles(__m128i text, __m128i *bad) {
    __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(_mm_or_si128(text, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    *bad = _mm_or_si128(*bad, _mm_cmpeq_epi8(_mm_or_si128(is_digit, is_letter), _mm_setzero_si128()));
    return _mm_or_si128(
        _mm_and_si128(is_digit, digit), _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
}

/* Join two neighbouring numbers to one byte; the first is the upper half. */
static inline __m128i join_nibbles(__m128i numbers) {
    __m128i both = _mm_or_si128(_mm_slli_epi16(numbers, 4), _mm_srli_epi16(numbers, 8));
    return _mm_and_si128(both, _mm_set1_epi16(0xff));
}

/* As `portable_hextets`.  Needs: eight groups. */
static inline int sse2_hextets(const uint32_t groups[8], uint64_t *upper, uint64_t *lower) {
    __m128i bad = _mm_setzero_si128();
    __m128i front = nibbles(pack_words(groups[0], groups[1], groups[2], groups[3]), &bad);
    __m128i back = nibbles(pack_words(groups[4], groups[5], groups[6], groups[7]), &bad);
    __m128i network = _mm_packus_epi16(join_nibbles(front), join_nibbles(back));
    if (_mm_movemask_epi8(bad) != 0) {
        return 0;
    }
    *upper = swap64((uint64_t)_mm_cvtsi128_si64(network));
    *lower = swap64((uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(network, network)));
    return 1;
}
#endif

#endif
