/* From a text to yes or no: the whole of `text in allow`, without Python objects.
 *
 *     text --parse_text--> address --contains--> 1 or 0        NOT_COMMON: the careful parser has to look
 *
 * There is one function for each kind of vectors. So the compiler inlines the
 * parse and the search into it, and the kind is checked only once.
 */
#ifndef CIDRMATCH_ASK_H
#define CIDRMATCH_ASK_H

#include "parse.h"
#include "search.h"

enum { NOT_COMMON = -1 };

#if CIDRMATCH_VECTORS
/* A scan uses the octets in the vector register. Moving them to a plain register and back would take ten cycles.
 *
 * Needs: a processor with AVX-512; octets as `avx512_parse_octets` gives them.
 * Reads: the table. */
CIDRMATCH_AVX512 int avx512_contains_octets(const Table4 *table, __m128i octets) {
    const __m256i eight_times = _mm256_set1_epi32(0x0004080c);      /* the lowest byte of each, the last first */
    if (table->is_scan) {
        __m256i all = _mm256_permutexvar_epi8(eight_times, _mm256_castsi128_si256(octets));
        return avx512_scan_all(table, _mm256_xor_si256(all, _mm256_set1_epi32((int)0x80000000)));
    }
    return contains4_by(table, avx512_join_octets(octets), &AVX512_WAYS);
}

/* This is a function of its own, so that `avx512_ask_text` needs fewer registers.
 *
 * Needs: a processor with AVX-512 and VBMI2; `length` may be any number.
 * Reads: the text alone, and the table. */
CIDRMATCH_TARGET512 __attribute__((noinline)) static int avx512_ask_ipv6(
    const Table *table, const uint8_t *text, ptrdiff_t length) {
    uint64_t upper, lower;
    if (!avx512_parse_ipv6(text, length, &upper, &lower) || CIDRMATCH_IS_MAPPED6(upper, lower)) {
        return NOT_COMMON;
    }
    return contains6_by(&table->table6, upper, lower, &AVX512_WAYS);
}

/* Needs, Reads: as above. */
CIDRMATCH_TARGET512 __attribute__((noinline)) static int avx512_ask_text(
    const Table *table, const uint8_t *text, ptrdiff_t length) {
    __m128i octets;
    if (avx512_parse_octets(text, length, &octets)) {
        return avx512_contains_octets(&table->table4, octets);
    }
    return avx512_ask_ipv6(table, text, length);
}
#endif

/* Is the address of a text in the table? 1 or 0; NOT_COMMON if the careful parser has to parse the text.
 *
 * Needs: ROOM_BEFORE readable bytes before the text; `table->vectors` is not wider than the processor's.
 * Reads: the text, these bytes, and the table. */
static inline int ask_text(const Table *table, const uint8_t *text, ptrdiff_t length) {
    uint32_t value;
    uint64_t upper, lower;
#if CIDRMATCH_VECTORS
    if (table->vectors >= AVX512) {
        return avx512_ask_text(table, text, length);
    }
#endif
    if (parse_common_ipv4(text, length, &value)) {
        return contains4_by(&table->table4, value, &PLAIN_WAYS);
    }
    if (!parse_common_ipv6(text, length, &upper, &lower) || CIDRMATCH_IS_MAPPED6(upper, lower)) {
        return NOT_COMMON;      /* a mapped address is an IPv4 address (C16) */
    }
    return contains6(&table->table6, upper, lower, table->vectors);
}

#endif
