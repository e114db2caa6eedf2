/* Bit operations that Cython does not have: counting zeros at an end of a word, swapping its bytes, reading numbers
 * from bytes.
 *
 * All functions take integers and return integers.  For a word of 0 the count
 * of zeros is not defined, so callers must pass a word with a set bit (asserted
 * in debug builds).  With GCC and Clang the functions use the processor's
 * instructions, elsewhere a loop; tests compare both.
 *
 * In all our headers, a comment says what a function requires of its arguments
 * (Needs:) and which memory it reads (Reads:).  If it says neither, any
 * arguments are allowed.
 */
#ifndef CIDRMATCH_BITS_H
#define CIDRMATCH_BITS_H

#include <assert.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CIDRMATCH_INLINE static inline __attribute__((always_inline))
#else
#define CIDRMATCH_INLINE static inline
#endif

/* The portable twin: six steps, each halves the word.  Needs: a word that is not 0. */
static inline int portable_leading_zeros(uint64_t word) {
    int count = 0;
    for (int step = 32; step > 0; step >>= 1) {
        if (word >> (64 - step) == 0) {
            count += step;
            word <<= step;
        }
    }
    return count;
}

/* Needs: a word that is not 0. */
static inline int portable_trailing_zeros(uint64_t word) {
    return 63 - portable_leading_zeros(word & (~word + 1));
}

/* How many zeros stand before the first one?  Needs: a word that is not 0. */
static inline int leading_zeros(uint64_t word) {
    assert(word != 0);
#if defined(__GNUC__)
    return __builtin_clzll(word);
#else
    return portable_leading_zeros(word);
#endif
}

/* How many zeros stand behind the last one?  Needs: a word that is not 0. */
static inline int trailing_zeros(uint64_t word) {
    assert(word != 0);
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    return portable_trailing_zeros(word);
#endif
}

static inline uint64_t portable_swap64(uint64_t word) {
    uint64_t swapped = 0;
    for (int i = 0; i < 8; i++) {
        swapped = swapped << 8 | (word >> (8 * i) & 0xff);
    }
    return swapped;
}

static inline uint64_t swap64(uint64_t word) {
#if defined(__GNUC__)
    return __builtin_bswap64(word);
#else
    return portable_swap64(word);
#endif
}

static inline uint32_t swap32(uint32_t word) {
    return (uint32_t)(swap64(word) >> 32);
}

/* Is address a before b?  Without a branch, because the processor cannot predict the result. */
static inline int is_before(uint64_t a_upper, uint64_t a_lower, uint64_t b_upper, uint64_t b_lower) {
    return (a_upper < b_upper) | ((a_upper == b_upper) & (a_lower < b_lower));
}

/* Is this IPv6 address inside ::ffff:0:0/96, and so an IPv4 address (C16)?  It is a macro, because as a function it
 * takes five more instructions for each address: the compiler then always makes both comparisons, although the first
 * mostly decides. */
#define CIDRMATCH_IS_MAPPED6(upper, lower) ((upper) == 0 && (lower) >> 32 == 0xffff)

/* A number in network order, at any address.
 *
 * Needs: four readable bytes.
 * Reads: these. */
static inline uint32_t load_network32(const uint8_t *packed) {
    return (uint32_t)packed[0] << 24 | (uint32_t)packed[1] << 16 | (uint32_t)packed[2] << 8 | packed[3];
}

/* Needs: eight readable bytes.  Reads: these. */
static inline uint64_t load_network64(const uint8_t *packed) {
    return (uint64_t)load_network32(packed) << 32 | load_network32(packed + 4);
}

/* Needs: four writable bytes. */
static inline void store_network32(uint8_t *packed, uint32_t word) {
    for (int i = 0; i < 4; i++) {
        packed[i] = (uint8_t)(word >> (24 - 8 * i));
    }
}

/* Needs: eight writable bytes. */
static inline void store_network64(uint8_t *packed, uint64_t word) {
    store_network32(packed, (uint32_t)(word >> 32));
    store_network32(packed + 4, (uint32_t)word);
}

/* Fetch a cache line without waiting for it; an invalid address does no harm. */
#if defined(__GNUC__)
#define CIDRMATCH_PREFETCH(where) __builtin_prefetch(where)
#else
#define CIDRMATCH_PREFETCH(where) ((void)(where))
#endif

#endif
