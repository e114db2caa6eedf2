/* Bisection (also called halving here): how many of some sorted items are before an address?
 *
 *     items    [ before | before | before | not | not ]     the answer is 3
 *     asked                        1st      3rd   2nd       each comparison leaves half of the items
 *
 * The loop is written once; each kind of items brings its own comparison.  Both are inlined, so a comparison is no
 * call.
 *
 * Cost: a load for each step, and each load waits for the load before it.  Ladders are faster (layout.h); this is for
 * the few cases that ladders cannot decide.
 */
#ifndef CIDRMATCH_HALVE_H
#define CIDRMATCH_HALVE_H

#include <stdint.h>

#include "bits.h"

/* Is item `at` before the address?  All items that are before it come first. */
typedef int (*StandsBefore)(const void *items, uint32_t at, uint64_t upper, uint64_t lower);

/* Needs: `stands_before` may be asked for each of `count` items.  If they are not sorted, the answer is some number up
 *     to `count`, and the reads are the same.
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
