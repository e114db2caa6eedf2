/* Searching a frozen list: is this address in, and which entry covers it?  Many addresses in one call are in many.h.
 *
 * layout.h draws a list in memory.  To find the range that could hold an address, the search counts the ranges that
 * begin at or before it.  One comparison with the last address of that range then decides.
 *
 *     scan, ladder     all keys of a node are compared (count.h)
 *     map, trie        each load leads to the next, and the last is the answer
 *
 * The scan, the ladder, the map and the trie give the same answer for every address, with every kind of vectors.
 *
 * IPv6 keys are upper halves, so ranges in the same /64 as the address need more.  If one of them begins behind the
 * address, one step back is enough.  If there are more, or if the upper half of the address is all ones like the
 * padding, all 128 bits are compared by halving.
 *
 * Of several entries with the same first address, the search finds the last, which is the most specific one (see
 * frozen.pyx).
 *
 * The values of a node's keys are fetched together with the keys, as soon as the node is known.  In a long list neither
 * is in a near cache, and waiting twice would take most of the time.
 *
 * Every function here needs structs that frozen.pyx filled as layout.h says; the address may be any.  They read nothing
 * outside the arrays of these structs, except one word behind the end of a trie's arrays.  Some prefetch an address
 * outside, which does no harm.  If a function needs more, its comment says so.
 *
 * `python -m benchmarks.forms` measures from which size on each form is the fastest.
 *
 * What was tried and was slower or larger.  Halving: a thousand ranges take ten loads, and each waits for the load
 * before it.  For IPv6: a ladder of 32-bit borders for each /16, all of the same height (six cache lines for each
 * address, twice as slow); words of 64 bits with a rank to find the next word (half the speed, because each step waits
 * for a count of bits).  For entries: an index of where each /16 begins, and counting all its keys (as fast as the
 * ladder, but 256 KiB more); fetching the keys before it is known that the address is in (slower by a sixth, because
 * unneeded lines push others out of the cache); nodes of sixteen words for IPv4 (68,000 nodes, more than a word can
 * number).
 */
#ifndef CIDRMATCH_SEARCH_H
#define CIDRMATCH_SEARCH_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "count.h"
#include "count_avx2.h"
#include "count_avx512.h"
#include "count_sse2.h"
#include "halve.h"
#include "layout.h"
#include "vectors.h"

/* -- Ways of counting -------------------------------------------------------- */

/* The steps that use vectors: how many keys of a node are below (4), or at or below (6) a number; is an address in one
 * of the ranges of a scan (4); how many first addresses of a scan are at or before an address (6).  A search gets them
 * as a constant argument, so its source is written once and the compiler inlines the steps. */
typedef struct {
    uint32_t (*count4)(const int32_t *node, int32_t wanted);
    uint32_t (*count6)(const int64_t *node, int64_t wanted);
    int (*scan4)(const Table4 *table, uint32_t address);
    uint32_t (*scan6)(const Firsts6 *firsts, uint64_t upper, uint64_t lower);    /* NULL: count as in a ladder */
} Ways;

#if CIDRMATCH_VECTORS
static const Ways PLAIN_WAYS = {sse2_count4, portable_count6, sse2_scan4, NULL};    /* SSE2 cannot compare 64 bits */
static const Ways AVX2_WAYS = {avx2_count4, avx2_count6, sse2_scan4, NULL};
static const Ways AVX512_WAYS = {avx512_count4, avx512_count6, avx512_scan4, avx512_scan6};
#else
static const Ways PLAIN_WAYS = {portable_count4, portable_count6, portable_scan4, NULL};
#endif

/* -- Ladders ----------------------------------------------------------------- */

/* Plan the steps above `nodes` nodes.  Up to `most_scanned` nodes need no steps.
 *
 * Needs: `nodes` is at most 2**28. */
static inline void plan_ladder(Ladder *ladder, uint32_t nodes, uint32_t node_size, uint32_t most_scanned) {
    uint32_t sizes[MOST_STEPS];
    ladder->nodes = nodes;
    ladder->height = 0;
    ladder->posts = 0;
    ladder->roots = 0;
    if (nodes <= most_scanned) {
        return;
    }
    for (; nodes > MOST_ROOTS * node_size + 1; ladder->height++) {
        assert(ladder->height < MOST_STEPS - 1);
        nodes = (uint32_t)(((uint64_t)nodes + node_size) / (node_size + 1));
        sizes[ladder->height] = nodes;
    }
    ladder->roots = (nodes + node_size - 2) / node_size;    /* a signpost for each node but the first */
    sizes[ladder->height++] = ladder->roots;
    for (uint32_t step = 0; step < ladder->height; step++) {
        ladder->offsets[step] = ladder->posts;
        ladder->posts += sizes[ladder->height - 1 - step];
    }
}

/* The node of keys whose first key is this signpost; `nodes` or more if there is no such node. */
static inline uint64_t signpost(const Ladder *ladder, uint32_t step, uint64_t node, uint32_t i, uint32_t node_size) {
    uint64_t child = node * (step == 0 ? node_size : node_size + 1) + i + 1;
    for (step++; step < ladder->height; step++) {
        child *= node_size + 1;
    }
    return child;
}

/* Write the signposts above the keys.
 *
 * Needs: a ladder that `plan_ladder` planned, its keys written, and room for `ladder.posts` nodes of signposts.
 * Reads: the first key of each node. */
static inline void fill_posts4(Firsts4 *firsts) {
    for (uint32_t step = 0; step < firsts->ladder.height; step++) {
        uint32_t begin = firsts->ladder.offsets[step];
        uint32_t end = step + 1 < firsts->ladder.height ? firsts->ladder.offsets[step + 1] : firsts->ladder.posts;
        for (uint32_t node = begin; node < end; node++) {
            for (uint32_t i = 0; i < NODE4; i++) {
                uint64_t to = signpost(&firsts->ladder, step, node - begin, i, NODE4);
                firsts->posts[(size_t)node * NODE4 + i] =
                    to < firsts->ladder.nodes ? firsts->keys[to * NODE4] : INT32_MAX;
            }
        }
    }
}

/* Needs, Reads: as above. */
static inline void fill_posts6(Firsts6 *firsts) {
    for (uint32_t step = 0; step < firsts->ladder.height; step++) {
        uint32_t begin = firsts->ladder.offsets[step];
        uint32_t end = step + 1 < firsts->ladder.height ? firsts->ladder.offsets[step + 1] : firsts->ladder.posts;
        for (uint32_t node = begin; node < end; node++) {
            for (uint32_t i = 0; i < NODE6; i++) {
                uint64_t to = signpost(&firsts->ladder, step, node - begin, i, NODE6);
                firsts->posts[(size_t)node * NODE6 + i] =
                    to < firsts->ladder.nodes ? firsts->keys[to * NODE6] : INT64_MAX;
            }
        }
    }
}

/* -- Finding ----------------------------------------------------------------- */

/* How many keys are below `wanted`?  `beside` has `size` bytes for each key, which are read next.  Those of a node are
 * fetched together with its keys.
 *
 * Needs: at least one node of keys; every signpost leads to an existing node, or is the padding.
 * Reads: one node of each step, and one node of keys.  `beside` is only prefetched. */
CIDRMATCH_INLINE uint32_t count_keys4(
    const Firsts4 *firsts, int32_t wanted, const void *beside, size_t size, const Ways *ways) {
    uint32_t node = 0;
    for (uint32_t root = 0; root < firsts->ladder.roots; root++) {
        node += ways->count4(firsts->posts + (size_t)root * NODE4, wanted);
    }
    for (uint32_t step = 1; step < firsts->ladder.height; step++) {
        size_t post = (size_t)firsts->ladder.offsets[step] + node;
        node = node * (NODE4 + 1) + ways->count4(firsts->posts + post * NODE4, wanted);
    }
    CIDRMATCH_PREFETCH((const char *)beside + (size_t)node * NODE4 * size);
    return node * NODE4 + ways->count4(firsts->keys + (size_t)node * NODE4, wanted);
}

/* How many keys are at or below `wanted`?  `beside` as above.
 *
 * Needs: `wanted` is not INT64_MAX, which is the padding.
 * Reads: as above; without steps, all nodes. */
CIDRMATCH_INLINE uint32_t count_keys6(
    const Firsts6 *firsts, int64_t wanted, const void *beside, size_t size, const Ways *ways) {
    uint32_t node = 0;
    assert(wanted < INT64_MAX);     /* that is the padding */
    if (firsts->ladder.height == 0) {
        uint32_t below = 0;
        for (uint32_t i = 0; i < firsts->ladder.nodes; i++) {
            below += ways->count6(firsts->keys + (size_t)i * NODE6, wanted);
        }
        return below;
    }
    for (uint32_t root = 0; root < firsts->ladder.roots; root++) {
        node += ways->count6(firsts->posts + (size_t)root * NODE6, wanted);
    }
    for (uint32_t step = 1; step < firsts->ladder.height; step++) {
        size_t post = (size_t)firsts->ladder.offsets[step] + node;
        node = node * (NODE6 + 1) + ways->count6(firsts->posts + post * NODE6, wanted);
    }
    CIDRMATCH_PREFETCH(firsts->lower + (size_t)node * NODE6);
    CIDRMATCH_PREFETCH((const char *)beside + (size_t)node * NODE6 * size);
    return node * NODE6 + ways->count6(firsts->keys + (size_t)node * NODE6, wanted);
}

/* The exact count, by all 128 bits and by halving. halve.h is not used: the registers that it needs would add ten
 * instructions to every check. */
static inline uint32_t count_begun_by_halving(const Firsts6 *firsts, uint64_t upper, uint64_t lower) {
    uint32_t from = 0, left = firsts->count;
    while (left > 0) {
        uint32_t half = left >> 1, at = from + half;
        if (is_before(upper, lower, (uint64_t)order6((uint64_t)firsts->keys[at]), firsts->lower[at])) {
            left = half;
        } else {
            from = at + 1;
            left -= half + 1;
        }
    }
    return from;
}

/* Does the last of `begun` first addresses lie in the /64 of the address, but behind it?
 *
 * Needs: at least one node of keys, also if `begun` is 0: then its first key is read and not used. */
static inline uint32_t begins_after(const Firsts6 *firsts, uint32_t begun, uint64_t upper, uint64_t lower) {
    uint32_t at = begun - (begun > 0);
    return (begun > 0) & (firsts->keys[at] == order6(upper)) & (firsts->lower[at] > lower);
}

/* How many first addresses are at or before the address?
 *
 * Needs: at least one node of keys; or a ladder without steps and nodes. */
CIDRMATCH_INLINE uint32_t count_begun6(
    const Firsts6 *firsts, uint64_t upper, uint64_t lower, const void *beside, size_t size, const Ways *ways) {
    uint32_t begun;
    if (upper == UINT64_MAX) {
        return count_begun_by_halving(firsts, upper, lower);    /* its key equals the padding */
    }
    if (ways->scan6 && firsts->ladder.height == 0) {
        return ways->scan6(firsts, upper, lower);
    }
    begun = count_keys6(firsts, order6(upper), beside, size, ways);
    /* Often one first address in the same /64 is behind the address.  No branch on this, because the processor cannot
     * predict it. */
    begun -= begins_after(firsts, begun, upper, lower);
    if (begins_after(firsts, begun, upper, lower)) {
        return count_begun_by_halving(firsts, upper, lower);
    }
    return begun;
}

/* -- One address ------------------------------------------------------------- */

CIDRMATCH_INLINE int contains4_by(const Table4 *table, uint32_t address, const Ways *ways) {
    uint32_t at;
    if (table->map) {
        uint32_t place = table->map[address >> 16];
        uint64_t bits = table->blocks[(size_t)(place & ~MAP_PIECES) * 4 + (address >> 14 & 3)];
        int is_in = bits >> (address >> 8 & 63) & 1;
        if (is_in | !(place & MAP_PIECES)) {    /* nearly always true, so this branch does not predict the answer */
            return is_in;
        }
    }
    if (table->is_scan) {
        return ways->scan4(table, address);
    }
    at = count_keys4(&table->firsts, order4(address), table->last, sizeof *table->last, ways);
    return (address <= table->last[at]) & (address >= table->first);
}

/* Does the last of `begun` ranges reach the address?  Item 0 is read even if there is no range. */
static inline int is_reached(const Table6 *table, uint32_t begun, uint64_t upper, uint64_t lower) {
    const Pair *last = &table->last[begun - (begun > 0)];
    return (begun > 0) & !is_before(last->upper, last->lower, upper, lower);
}

CIDRMATCH_INLINE int contains6_in_ladder(const Table6 *table, uint64_t upper, uint64_t lower, const Ways *ways) {
    const Firsts6 *firsts = &table->firsts;
    uint32_t begun, is_after;
    int by_this, by_previous;
    if (firsts->ladder.height == 0 || upper == UINT64_MAX) {
        return is_reached(
            table, count_begun6(firsts, upper, lower, table->last, sizeof *table->last, ways), upper, lower);
    }
    /* As in `count_begun6`.  The range is the last one or the one before it; both are read before it is known which. */
    begun = count_keys6(firsts, order6(upper), table->last, sizeof *table->last, ways);
    is_after = begins_after(firsts, begun, upper, lower);
    if (begins_after(firsts, begun - is_after, upper, lower)) {
        return is_reached(table, count_begun_by_halving(firsts, upper, lower), upper, lower);
    }
    by_this = is_reached(table, begun, upper, lower);
    by_previous = is_reached(table, begun - (begun > 0), upper, lower);
    return is_after ? by_previous : by_this;
}

/* Follow a trie down to the node that is the answer.
 *
 * Needs: a trie that exists; its words are numbers of existing rows and nodes.
 * Reads: one word of `index`, one of `rows`, and one of `nodes` for each step. */
CIDRMATCH_INLINE uint32_t follow(const MultibitTrie *trie, uint64_t upper, int row_bits, int fork_bits, int below) {
    const int left = 64 - INDEX_BITS - row_bits;
    uint32_t row = trie->index[upper >> (64 - INDEX_BITS)];
    uint32_t node = trie->rows[(row << row_bits) + (upper >> left & ((1u << row_bits) - 1))];
    for (int shift = left - fork_bits; shift >= below; shift -= fork_bits) {
        node = trie->nodes[(node << fork_bits) + (upper >> shift & ((1u << fork_bits) - 1))];
    }
    return node;
}

/* The answer of a trie of ranges, or of a trie of entries (FIRST_LENGTH plus the length of the longest match).
 * PARTLY_IN means that the ladder has to be asked; if there is a trie, this is rare.  An IPv4 address is the first 32
 * bits of `upper`. */
CIDRMATCH_INLINE uint32_t ask_trie4(const MultibitTrie *trie, uint64_t upper) {
    return trie->index ? follow(trie, upper, ROW_BITS4, FORK_BITS4, BELOW4) : PARTLY_IN;
}

CIDRMATCH_INLINE uint32_t ask_trie6(const MultibitTrie *trie, uint64_t upper) {
    return trie->index ? follow(trie, upper, ROW_BITS6, FORK_BITS6, BELOW6) : PARTLY_IN;
}

CIDRMATCH_INLINE int contains6_by(const Table6 *table, uint64_t upper, uint64_t lower, const Ways *ways) {
    uint32_t found = ask_trie6(&table->trie, upper);
    return found == PARTLY_IN ? contains6_in_ladder(table, upper, lower, ways) : found == ALL_IN;
}

static inline int contains4(const Table4 *table, uint32_t address) {
    return contains4_by(table, address, &PLAIN_WAYS);
}

#if CIDRMATCH_VECTORS
CIDRMATCH_TARGET2 __attribute__((noinline)) static int avx2_contains6_in_ladder(
    const Table6 *table, uint64_t upper, uint64_t lower) {
    return contains6_in_ladder(table, upper, lower, &AVX2_WAYS);
}
#endif

static inline int contains6(const Table6 *table, uint64_t upper, uint64_t lower, int vectors) {
    uint32_t found = ask_trie6(&table->trie, upper);
    if (found != PARTLY_IN) {
        return found == ALL_IN;
    }
#if CIDRMATCH_VECTORS
    if (vectors >= AVX2) {
        return avx2_contains6_in_ladder(table, upper, lower);
    }
#endif
    (void)vectors;
    return contains6_in_ladder(table, upper, lower, &PLAIN_WAYS);
}

/* -- Entries ----------------------------------------------------------------- */

/* How many entries begin at or before the address? */
CIDRMATCH_INLINE uint32_t begun4_by(const Entries4 *entries, uint32_t address, const Ways *ways) {
    if (address == UINT32_MAX) {
        return entries->firsts.count;       /* there is no next address */
    }
    return count_keys4(&entries->firsts, order4(address + 1), entries->lengths, 1, ways);
}

CIDRMATCH_INLINE uint32_t begun6_by(const Entries6 *entries, uint64_t upper, uint64_t lower, const Ways *ways) {
    return count_begun6(&entries->firsts, upper, lower, entries->lengths, 1, ways);
}

#if CIDRMATCH_VECTORS
CIDRMATCH_TARGET512 __attribute__((noinline)) static uint32_t avx512_begun4(
    const Entries4 *entries, uint32_t address) {
    return begun4_by(entries, address, &AVX512_WAYS);
}

CIDRMATCH_TARGET512 __attribute__((noinline)) static uint32_t avx512_begun6(
    const Entries6 *entries, uint64_t upper, uint64_t lower) {
    return begun6_by(entries, upper, lower, &AVX512_WAYS);
}
#endif

static inline uint32_t begun4(const Entries4 *entries, uint32_t address, int vectors) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_begun4(entries, address);
    }
#endif
    (void)vectors;
    return begun4_by(entries, address, &PLAIN_WAYS);
}

static inline uint32_t begun6(const Entries6 *entries, uint64_t upper, uint64_t lower, int vectors) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_begun6(entries, upper, lower);
    }
#endif
    (void)vectors;
    return begun6_by(entries, upper, lower, &PLAIN_WAYS);
}

/* -- Whole prefixes ----------------------------------------------------------- */

static inline int ends_before4(const void *items, uint32_t at, uint64_t upper, uint64_t lower) {
    (void)lower;
    return ((const uint32_t *)items)[at] < upper;
}

static inline int ends_before6(const void *items, uint32_t at, uint64_t upper, uint64_t lower) {
    const Pair *last = (const Pair *)items + at;
    return is_before(last->upper, last->lower, upper, lower);
}

/* How many ranges end before the address?  The next range, if there is one, is the first that reaches the address. */
static inline uint32_t count_ended4(const Table4 *table, uint32_t address) {
    return count_by_halving(table->last, table->firsts.count, address, 0, ends_before4);
}

static inline uint32_t count_ended6(const Table6 *table, uint64_t upper, uint64_t lower) {
    return count_by_halving(table->last, table->firsts.count, upper, lower, ends_before6);
}

#endif
