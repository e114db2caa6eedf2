/* Comparing an address with all keys of a node: how many keys are below it, and is it in one of the ranges of a scan?
 *
 *     keys     [ 5 | 9 | 31 | 40 ... ] < 33     ->     1 1 1 0 ...     ->     3
 *
 * Every key is compared, so there is no branch that could be mispredicted, and vectors can be used.  This file has the
 * portable twins. count_sse2.h, count_avx2.h and count_avx512.h do the same with vector registers, and give the same
 * answer for the same node. search.h chooses among them.
 *
 * What was tried and was slower: a plain loop on machines with vectors, because the compiler does not vectorise it (2.5
 * times as slow).
 */
#ifndef CIDRMATCH_COUNT_H
#define CIDRMATCH_COUNT_H

#include "layout.h"
#include "vectors.h"

/* How many keys of a node are below `wanted`?
 *
 * Needs: NODE4 keys, in any order.
 * Reads: these alone. */
static inline uint32_t portable_count4(const int32_t *node, int32_t wanted) {
    uint32_t count = 0;
    for (int i = 0; i < NODE4; i++) {
        count += node[i] < wanted;
    }
    return count;
}

/* How many keys of a node are at or below `wanted`?
 *
 * Needs: NODE6 keys, in any order.
 * Reads: these alone. */
static inline uint32_t portable_count6(const int64_t *node, int64_t wanted) {
    uint32_t count = 0;
    for (int i = 0; i < NODE6; i++) {
        count += node[i] <= wanted;
    }
    return count;
}

/* Is the address in one of the ranges of a scan?  Spans have the top bit flipped, and so has address - first.
 *
 * Needs: `ladder.nodes` nodes of firsts and spans; there may be none.
 * Reads: these alone. */
static inline int portable_scan4(const Table4 *table, uint32_t address) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < table->firsts.ladder.nodes * SCAN4; i++) {
        const int32_t *node = table->firsts.keys + (size_t)(i / SCAN4) * NODE4;
        found |= order4(address - (uint32_t)node[i % SCAN4]) <= node[SCAN4 + i % SCAN4];
    }
    return (int)found;
}

#endif
