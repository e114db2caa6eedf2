/* Halving: how many of some sorted items stand before an address?
 *
 *     items    [ before | before | before | not | not ]     the answer is 3
 *     asked                        1st      3rd   2nd       each question leaves half of the items
 *
 * The loop is said once; each kind of items says how one of them is asked.  It is inlined, so the question costs no call.
 *
 * Cost: a load for each halving, and each waits for the last.  Ladders are quicker (layout.h); this is for the few cases
 * that they cannot decide.
 */
#ifndef CIDRMATCH_HALVE_H
#define CIDRMATCH_HALVE_H

#include <stdint.h>

#include "bits.h"

/* Does item `at` stand before the address?  All that do come before all that do not. */
typedef int (*StandsBefore)(const void *items, uint32_t at, uint64_t upper, uint64_t lower);

/* Needs: `stands_before` may be asked for each of `count` items.  Where they are not sorted, the answer is some number
 *     up to `count`, and the reads are the same.
 * Reads: what `stands_before` reads of some of these items. */
CIDRMATCH_INLINE uint32_t count_by_halving(
    const void *items, uint32_t count, uint64_t upper, uint64_t lower, StandsBefore stands_before) {
    uint32_t from = 0;
    while (count > 0) {
        uint32_t half = count >> 1;
        if (stands_before(items, from + half, upper, lower)) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

#endif
