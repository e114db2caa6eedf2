/* The frozen table: is this address in?  For many addresses at once, see many.h.
 *
 * Ranges are disjoint, sorted and not adjacent.  To find the one that could hold
 * an address is to count how many begin at or before it; one comparison with
 * that range's last address then decides.
 *
 *     first   [ 10.0.0.0       | 198.51.100.0   | 203.0.113.5 ]
 *     last    [ 10.255.255.255 | 198.51.100.255 | 203.0.113.5 ]
 *
 * The ladder.  Keys lie in nodes of one cache line, 16 keys of IPv4 or 8 of IPv6.
 * A node is counted whole, every key compared: no branch to miss, and vector
 * instructions do it.  Above the keys stand signposts, in nodes of the same size,
 * which name the least key of each child but the first:
 *
 *     posts            [ 40 | 80 ]                     one line of them leads to one of 17 (9) lines below
 *     keys   [ 5 | 9 | 31 ][ 40 | 55 | 76 ][ 80 | 91 | max ]
 *
 * The topmost step may be a few nodes in a row, all counted at once: that is
 * quicker than one more step, which would have to wait for the one above it.  So
 * a thousand ranges take two steps (IPv6: three) where halving takes ten loads,
 * each waiting for the last.
 *
 * IPv4 keys are first - 1 of every range but the first, with the top bit
 * flipped (signed comparisons are the ones vectors know), and "key < address"
 * is counted: no key overflows, and padding with the largest number is never
 * counted.  IPv6 keys are the upper 64 bits of first, flipped alike.  Where
 * ranges begin within the address's own /64, or its upper half is all ones like
 * the padding, all 128 bits are compared by halving.
 *
 * The scan.  A few ranges of IPv4 are all asked: is address - first <= span, where
 * span is last - first?  Nothing waits for a count.  A few nodes of IPv6 keys are
 * all counted, without signposts.
 *
 *     node     [ 8 firsts | 8 spans ]      the last range repeated to fill it
 *
 * The map.  An Internet table is mostly whole /24s.  For long lists that are, one
 * word for each /16 says where the bits of its /24s lie, all of it small enough
 * for L2, and two loads answer.  A /24 that is not whole has a 0; if its /16 has
 * such pieces, the ladder decides.
 *
 *     map     [ block | pieces ]  one for each /16
 *     blocks  [ 256 bits ]        one for each /24; block 0 is none of them, block 1 all
 *
 * The trie.  The same for IPv6, by /48s: a /16 has a row of words, one for each
 * /24, and after that each node has sixteen, one for each value of the next four
 * bits.  A word is the number of the next node.  The first nodes lead to themselves
 * and are the answers, so every address takes the same eight steps and nothing
 * branches.  Equal nodes are one: an Internet table needs 14,000 of them, which fit in L2.
 *
 *     index     2001 -> row, 2a00 -> row, others -> the row of zeros
 *     row       [ 0 0 77 0 75 ... ]
 *     node 0    [ 0 0 0 ... ]         nothing is in
 *     node 1    [ 1 1 1 ... ]         all is in
 *     node 2    [ 2 2 2 ... ]         a /48 that is in part: the ladder decides
 *     node 77   [ 1 1 0 0 79 0 ... ]
 *
 * Entries ("which one?") are found by ladders of their first addresses.  Of equal
 * ones the last is found, which is the most specific entry (table.pyx tells the rest).
 * These are megabytes, and a long list waits for them.  But who knows how long the
 * longest match is knows all of it, for the address has its bits; so a long list, mostly
 * of /24s and /48s or broader, has one more trie of each family, whose answers are lengths:
 *
 *     node 19   [ 19 19 19 ... ]      the longest match has 19 - FIRST_LENGTH bits, here a /16
 *
 * For IPv4 a /16 has a row of 32 words, and then comes one node of eight, down to /24s.
 * An Internet table has 10,000 different ones.
 *
 * What a key leads to (the last address of a range, the length of an entry) lies
 * in an array of its own.  It is fetched as soon as the node is known, together
 * with the keys: of a long list neither is in a near cache, and to wait twice is
 * what would cost the most.
 *
 * Every address gets the same answer from the scan, the ladder, the map and the
 * trie, and in every way of counting.  The sizes where one form follows another can be
 * measured by `python -m benchmarks.forms`.  What was tried and lost: halving (a thousand
 * ranges are ten loads, each waiting for the last); counting in a plain loop,
 * which the compiler does not vectorise (two and a half times as slow); for IPv6 a
 * ladder of 32-bit borders for each /16, all of one height (six lines an address, twice
 * as slow), and words of 64 bits with a rank to find the next (half the speed, for
 * the count of bits is waited for at each step); for entries an index of where each
 * /16 begins and all its keys counted (as quick as the ladder, in 256 KiB more), and
 * to fetch their keys before it is known that the address is in (slower by a sixth:
 * lines that nobody wanted push out those of others), and nodes of sixteen for IPv4 (68,000
 * of them, more than words have numbers for).
 * Where the ideas come from: static B-trees (Khuong and Morin, "Array layouts for
 * comparison-based searching", 2017), DIR-24-8 (Gupta, Lin and McKeown, 1998).
 */
#ifndef CIDRMATCH_SEARCH_H
#define CIDRMATCH_SEARCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bits.h"
#include "vectors.h"

enum {
    NODE4 = 16,                     /* keys in a node: 64 bytes */
    NODE6 = 8,
    SCAN4 = 8,                      /* ranges in a node of a scan */
    MOST_STEPS = 10,                /* a list has at most 2**28 nodes, and 9 to the 9th is more */
    MOST_ROOTS = 4                  /* nodes of the topmost step */
};
enum {                              /* a trie: bits of an address that choose a word, and those that none looks at */
    INDEX_BITS = 16,
    ROW_BITS4 = 5,
    FORK_BITS4 = 3,
    BELOW4 = 64 - 24,               /* of the upper half, where an IPv4 address fills the first 32 bits */
    ROW_BITS6 = 8,
    FORK_BITS6 = 4,
    BELOW6 = 64 - 48
};
enum {                              /* the nodes that are answers */
    NONE_IN,
    ALL_IN,
    PARTLY_IN,
    FIRST_LENGTH,                   /* with the length of the longest match added: 0 to 48 */
    ANSWERS = FIRST_LENGTH + 48 + 1
};
#define MAP_PIECES UINT32_C(0x80000000)     /* in a word of the map: some ranges begin or end inside a /24 */

/* How many nodes of keys there are, and how many steps of signposts above them (none: the scan). */
typedef struct {
    uint32_t nodes;
    uint32_t height;
    uint32_t posts;                 /* nodes of signposts */
    uint32_t roots;                 /* of these in step 0, the topmost */
    uint32_t offsets[MOST_STEPS];   /* where each step begins among these */
} Ladder;

/* Sorted first addresses, of ranges or of entries. */
typedef struct {
    uint32_t count;
    int32_t *keys;                  /* nodes * NODE4, padded; one node at least */
    int32_t *posts;
    Ladder ladder;
} Firsts4;

typedef struct {
    uint32_t count;
    int64_t *keys;                  /* nodes * NODE6, padded */
    uint64_t *lower;                /* the other half of each first address, padded alike */
    int64_t *posts;
    Ladder ladder;
} Firsts6;

/* Words are numbers of nodes. */
typedef struct {
    uint16_t *index;                /* the number of the row of each /16; NULL where there is no trie */
    uint16_t *rows;
    uint16_t *nodes;
} MultibitTrie;

typedef struct {
    Firsts4 firsts;                 /* without that of the first range; in a scan, firsts and spans */
    uint32_t first;                 /* of the first range; the largest address when there is none */
    uint32_t *last;                 /* one at least */
    uint32_t *map;                  /* 65,536 words, or NULL */
    uint64_t *blocks;               /* four words each */
    int is_scan;
} Table4;

typedef struct {
    uint64_t upper;
    uint64_t lower;
} Pair;

typedef struct {
    Firsts6 firsts;
    Pair *last;                     /* one at least */
    MultibitTrie trie;
} Table6;

typedef struct {
    int vectors;                    /* the widest that are used */
    Table4 table4;
    Table6 table6;
} Table;

/* Entries: which one? */
typedef struct {
    Firsts4 firsts;
    uint8_t *lengths;
    MultibitTrie trie;
} Entries4;

typedef struct {
    Firsts6 firsts;
    uint8_t *lengths;
    MultibitTrie trie;
} Entries6;

/* -- Counting ---------------------------------------------------------------- */

static inline int32_t order4(uint32_t address) {
    return (int32_t)(address ^ UINT32_C(0x80000000));
}

static inline int64_t order6(uint64_t upper) {
    return (int64_t)(upper ^ UINT64_C(0x8000000000000000));
}

/* The steps that know vectors: how many keys of a node are below (4) or not above (6) the wanted one, is an address in
 * one of the ranges of a scan, how many first addresses of one are at or before an address.  A search takes them as an
 * argument that the compiler knows, so there is one text of it and no call. */
typedef struct {
    uint32_t (*count4)(const int32_t *node, int32_t wanted);
    uint32_t (*count6)(const int64_t *node, int64_t wanted);
    int (*scan4)(const Table4 *table, uint32_t address);
    uint32_t (*scan6)(const Firsts6 *firsts, uint64_t upper, uint64_t lower);    /* NULL: as a ladder does it */
} Ways;

/* All keys are compared, then the bits of the answers counted. */
static inline uint32_t portable_count4(const int32_t *node, int32_t wanted) {
    uint32_t count = 0;
    for (int i = 0; i < NODE4; i++) {
        count += node[i] < wanted;
    }
    return count;
}

static inline uint32_t portable_count6(const int64_t *node, int64_t wanted) {
    uint32_t count = 0;
    for (int i = 0; i < NODE6; i++) {
        count += node[i] <= wanted;
    }
    return count;
}

#if CIDRMATCH_VECTORS
/* Keys are sorted, so the answers are ones and then zeros: the first zero is the count. */
static inline uint32_t sse2_count4(const int32_t *node, int32_t wanted) {
    const __m128i *keys = (const __m128i *)node;
    __m128i all = _mm_set1_epi32(wanted);
    __m128i front = _mm_packs_epi32(
        _mm_cmplt_epi32(_mm_loadu_si128(keys), all), _mm_cmplt_epi32(_mm_loadu_si128(keys + 1), all));
    __m128i back = _mm_packs_epi32(
        _mm_cmplt_epi32(_mm_loadu_si128(keys + 2), all), _mm_cmplt_epi32(_mm_loadu_si128(keys + 3), all));
    return (uint32_t)trailing_zeros(~(uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(front, back)));
}

CIDRMATCH_AVX2 uint32_t avx2_count4(const int32_t *node, int32_t wanted) {
    const __m256i *keys = (const __m256i *)node;
    __m256i all = _mm256_set1_epi32(wanted);
    int front = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(all, _mm256_loadu_si256(keys))));
    int back = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(all, _mm256_loadu_si256(keys + 1))));
    return (uint32_t)_mm_popcnt_u32((uint32_t)(front | back << 8));
}

CIDRMATCH_AVX2 uint32_t avx2_count6(const int64_t *node, int64_t wanted) {
    const __m256i *keys = (const __m256i *)node;
    __m256i all = _mm256_set1_epi64x(wanted);
    int front = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_loadu_si256(keys), all)));
    int back = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_loadu_si256(keys + 1), all)));
    return NODE6 - (uint32_t)_mm_popcnt_u32((uint32_t)(front | back << 4));
}

CIDRMATCH_AVX512 uint32_t avx512_count4(const int32_t *node, int32_t wanted) {
    return (uint32_t)_mm_popcnt_u32(_mm512_cmplt_epi32_mask(_mm512_loadu_si512(node), _mm512_set1_epi32(wanted)));
}

CIDRMATCH_AVX512 uint32_t avx512_count6(const int64_t *node, int64_t wanted) {
    return (uint32_t)_mm_popcnt_u32(_mm512_cmple_epi64_mask(_mm512_loadu_si512(node), _mm512_set1_epi64(wanted)));
}
#endif

/* -- Scans ------------------------------------------------------------------- */

/* Scan: is the address in one of the ranges?  Spans have the top bit flipped, and so has address - first. */
static inline int portable_scan4(const Table4 *table, uint32_t address) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < table->firsts.ladder.nodes * SCAN4; i++) {
        const int32_t *node = table->firsts.keys + (size_t)(i / SCAN4) * NODE4;
        found |= order4(address - (uint32_t)node[i % SCAN4]) <= node[SCAN4 + i % SCAN4];
    }
    return (int)found;
}

#if CIDRMATCH_VECTORS
static inline int sse2_scan4(const Table4 *table, uint32_t address) {
    const __m128i *node = (const __m128i *)table->firsts.keys;
    __m128i all = _mm_set1_epi32(order4(address)), outside = _mm_set1_epi32(-1);
    for (uint32_t i = 0; i < table->firsts.ladder.nodes; i++, node += 4) {
        __m128i front = _mm_cmpgt_epi32(_mm_sub_epi32(all, _mm_loadu_si128(node)), _mm_loadu_si128(node + 2));
        __m128i back = _mm_cmpgt_epi32(_mm_sub_epi32(all, _mm_loadu_si128(node + 1)), _mm_loadu_si128(node + 3));
        outside = _mm_and_si128(outside, _mm_and_si128(front, back));
    }
    return _mm_movemask_epi8(outside) != 0xffff;
}

/* `all` is the address eight times, as `order4` gives it. */
CIDRMATCH_AVX512 int avx512_scan_all(const Table4 *table, __m256i all) {
    const __m256i *node = (const __m256i *)table->firsts.keys;
    __mmask8 outside = 0xff;
    for (uint32_t i = 0; i < table->firsts.ladder.nodes; i++, node += 2) {
        __m256i behind = _mm256_sub_epi32(all, _mm256_loadu_si256(node));
        outside = _kand_mask8(outside, _mm256_cmpgt_epi32_mask(behind, _mm256_loadu_si256(node + 1)));
    }
    return outside != 0xff;
}

CIDRMATCH_AVX512 int avx512_scan4(const Table4 *table, uint32_t address) {
    return avx512_scan_all(table, _mm256_set1_epi32(order4(address)));
}

/* All 128 bits: what is before the address by its upper half, or equals that and is not behind it by the lower one. */
CIDRMATCH_AVX512 uint32_t avx512_scan6(const Firsts6 *firsts, uint64_t upper, uint64_t lower) {
    __m512i uppers = _mm512_set1_epi64(order6(upper)), lowers = _mm512_set1_epi64((int64_t)lower);
    uint32_t begun = 0;
    for (uint32_t i = 0; i < firsts->ladder.nodes; i++) {
        __m512i keys = _mm512_loadu_si512(firsts->keys + (size_t)i * NODE6);
        __mmask8 equal = _mm512_cmpeq_epi64_mask(keys, uppers);
        __mmask8 begins = _mm512_mask_cmple_epu64_mask(
            equal, _mm512_loadu_si512(firsts->lower + (size_t)i * NODE6), lowers);
        begun += (uint32_t)_mm_popcnt_u32(_kor_mask8(_mm512_cmplt_epi64_mask(keys, uppers), begins));
    }
    return begun;
}
#endif

#if CIDRMATCH_VECTORS
static const Ways PLAIN_WAYS = {sse2_count4, portable_count6, sse2_scan4, NULL};    /* SSE2 cannot compare 64 bits */
static const Ways AVX2_WAYS = {avx2_count4, avx2_count6, sse2_scan4, NULL};
static const Ways AVX512_WAYS = {avx512_count4, avx512_count6, avx512_scan4, avx512_scan6};
#else
static const Ways PLAIN_WAYS = {portable_count4, portable_count6, portable_scan4, NULL};
#endif

/* -- Ladders ----------------------------------------------------------------- */

/* Plan the steps above `nodes` nodes; up to `most_scanned` of them need none. */
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
    ladder->roots = (nodes + node_size - 2) / node_size;    /* a signpost to each but the first */
    sizes[ladder->height++] = ladder->roots;
    for (uint32_t step = 0; step < ladder->height; step++) {
        ladder->offsets[step] = ladder->posts;
        ladder->posts += sizes[ladder->height - 1 - step];
    }
}

/* The node of keys to whose first key a signpost points, or `nodes` and more when there is none. */
static inline uint64_t signpost(const Ladder *ladder, uint32_t step, uint64_t node, uint32_t i, uint32_t node_size) {
    uint64_t child = node * (step == 0 ? node_size : node_size + 1) + i + 1;
    for (step++; step < ladder->height; step++) {
        child *= node_size + 1;
    }
    return child;
}

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

/* How many keys are below the wanted one.  Beside each key lie so many bytes that will be read next: as soon as the node
 * is known they are fetched, together with it. */
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

/* How many keys are at or below the wanted one; `beside` as above. */
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

/* The exact way: all 128 bits, by halving. */
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

/* Does the last of `begun` first addresses lie in the /64 of the address, but behind it? */
static inline uint32_t begins_after(const Firsts6 *firsts, uint32_t begun, uint64_t upper, uint64_t lower) {
    uint32_t at = begun - (begun > 0);
    return (begun > 0) & (firsts->keys[at] == order6(upper)) & (firsts->lower[at] > lower);
}

/* How many first addresses are at or before the address. */
CIDRMATCH_INLINE uint32_t count_begun6(
    const Firsts6 *firsts, uint64_t upper, uint64_t lower, const void *beside, size_t size, const Ways *ways) {
    uint32_t begun;
    if (upper == UINT64_MAX) {
        return count_begun_by_halving(firsts, upper, lower);    /* it equals the padding, which leads nowhere */
    }
    if (ways->scan6 && firsts->ladder.height == 0) {
        return ways->scan6(firsts, upper, lower);
    }
    begun = count_keys6(firsts, order6(upper), beside, size, ways);
    /* One first address in the address's own /64 that comes after it is common, and whether it does nobody can guess. */
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
        if (is_in | !(place & MAP_PIECES)) {    /* nearly always, so this branch is no guess at the answer */
            return is_in;
        }
    }
    if (table->is_scan) {
        return ways->scan4(table, address);
    }
    at = count_keys4(&table->firsts, order4(address), table->last, sizeof *table->last, ways);
    return (address <= table->last[at]) & (address >= table->first);
}

/* Of so many ranges that have begun: does the last reach the address? */
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
    /* As in `count_begun6`, but it is the last range or the one before it: both are fetched before it is known which. */
    begun = count_keys6(firsts, order6(upper), table->last, sizeof *table->last, ways);
    is_after = begins_after(firsts, begun, upper, lower);
    if (begins_after(firsts, begun - is_after, upper, lower)) {
        return is_reached(table, count_begun_by_halving(firsts, upper, lower), upper, lower);
    }
    by_this = is_reached(table, begun, upper, lower);
    by_previous = is_reached(table, begun - (begun > 0), upper, lower);
    return is_after ? by_previous : by_this;
}

/* Down a trie, to the node that is the answer. */
CIDRMATCH_INLINE uint32_t follow(const MultibitTrie *trie, uint64_t upper, int row_bits, int fork_bits, int below) {
    const int left = 64 - INDEX_BITS - row_bits;
    uint32_t row = trie->index[upper >> (64 - INDEX_BITS)];
    uint32_t node = trie->rows[(row << row_bits) + (upper >> left & ((1u << row_bits) - 1))];
    for (int shift = left - fork_bits; shift >= below; shift -= fork_bits) {
        node = trie->nodes[(node << fork_bits) + (upper >> shift & ((1u << fork_bits) - 1))];
    }
    return node;
}

/* The answer of a trie (of ranges, or of entries: FIRST_LENGTH and the length of the longest match), or PARTLY_IN where
 * the ladder is to be asked: seldom, if there is a trie. */
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

/* How many begin at or before the address? */
CIDRMATCH_INLINE uint32_t begun4_by(const Entries4 *entries, uint32_t address, const Ways *ways) {
    if (address == UINT32_MAX) {
        return entries->firsts.count;       /* there is no next address to be below */
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

#endif
