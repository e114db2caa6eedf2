/* The two bit operations that Cython cannot say: how many zeros stand at an end of a word.
 *
 * Leaves: integers in, integers out.  A word of 0 has no answer, so callers pass
 * at least one set bit (asserted in debug builds).  Each compiler's own
 * instruction where there is one, a loop elsewhere; tests compare both.
 */
#ifndef CIDRMATCH_BITS_H
#define CIDRMATCH_BITS_H

#include <assert.h>
#include <stdint.h>

/* The portable twin: halves the word, six steps. */
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

static inline int portable_trailing_zeros(uint64_t word) {
    return 63 - portable_leading_zeros(word & (~word + 1));
}

static inline int leading_zeros(uint64_t word) {
    assert(word != 0);
#if defined(__GNUC__)
    return __builtin_clzll(word);
#else
    return portable_leading_zeros(word);
#endif
}

static inline int trailing_zeros(uint64_t word) {
    assert(word != 0);
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    return portable_trailing_zeros(word);
#endif
}

#endif
