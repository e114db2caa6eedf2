/* How a frozen list lies in memory: the structs, the constants and the picture. search.h searches it, frozen.pyx fills
 * it.
 *
 * Ranges are disjoint, sorted and not adjacent.  Their form depends on how many there are:
 *
 *     first   [ 10.0.0.0       | 198.51.100.0   | 203.0.113.5 ]
 *     last    [ 10.255.255.255 | 198.51.100.255 | 203.0.113.5 ]
 *
 * The scan.  If there are few IPv4 ranges, the address is compared with all of them: is address - first <= span, where
 * span is last - first?
 *
 *     node     [ 8 firsts | 8 spans ]      the last range is repeated to fill the node; spans have the top bit flipped
 *
 * The ladder.  Keys lie in nodes of one cache line, 16 keys of IPv4 or 8 of IPv6.  Above the keys are nodes of
 * signposts, of the same size.  The signposts of a node are the smallest keys of its children, without the first child:
 *
 *     posts            [ 40 | 80 ]                     a node leads to one of 17 (IPv6: 9) nodes below
 *     keys   [ 5 | 9 | 31 ][ 40 | 55 | 76 ][ 80 | 91 | max ]
 *
 * The top step may have a few nodes, which are all counted.  That is faster than one more step, because each step has
 * to wait for the step above it.  So a thousand ranges take two steps (IPv6: three).  Bisection would take ten loads,
 * and each would wait for the load before it.
 *
 * An IPv4 key is first - 1 of a range, for all ranges except the first.  The top bit of a key is flipped, because
 * vectors have only signed comparisons.  The search counts the keys with "key < address".  So no key overflows, and
 * padding with the largest number is never counted.  An IPv6 key is the upper half of first, with the top bit flipped;
 * the lower halves are in a separate array.
 *
 * The map.  An Internet table consists mostly of whole /24s.  A long list of this kind has a map: a word for each /16
 * says where the bits of its /24s are.  The map is small enough for the L2 cache.  A /24 that is only in part in the
 * list has the bit 0.  If a /16 has such a /24, the ladder decides where the bit is 0.
 *
 *     map     [ block | pieces ]  one for each /16
 *     blocks  [ 256 bits ]        one bit for each /24; block 0 has none of them, block 1 has all
 *
 * The trie.  It does the same for IPv6, with /48s.  A /16 has a row with a word for each /24.  Below that, a node has
 * sixteen words, one for each value of the next four bits.  A word is the number of the next node.  The first nodes are
 * the answers; their words lead back to themselves.  Equal nodes are stored once: an Internet table needs 14,000 nodes,
 * which fit into the L2 cache.
 *
 *     index     2001 -> row, 2a00 -> row, others -> the row of zeros
 *     row       [ 0 0 77 0 75 ... ]
 *     node 0    [ 0 0 0 ... ]         no address is in
 *     node 1    [ 1 1 1 ... ]         every address is in
 *     node 2    [ 2 2 2 ... ]         a /48 that is only in part in the list: the ladder decides
 *     node 77   [ 1 1 0 0 79 0 ... ]
 *
 * Entries (for "which one?") have ladders of their first addresses.  In a long list these take megabytes, so a search
 * waits for memory.  But a match is determined by its length, because its bits are the first bits of the address.  So a
 * long list of entries that are mostly not longer than /24 and /48 has one more trie for each family, whose answers are
 * lengths:
 *
 *     node 19   [ 19 19 19 ... ]      the longest match has 19 - FIRST_LENGTH bits, here a /16
 *
 * In the IPv4 trie a /16 has a row of 32 words, and each word leads to a node of eight words, down to /24s.  An
 * Internet table has 10,000 different nodes.
 *
 * The value of a key (the last address of a range, or the length of an entry) is in a separate array, so it can be
 * fetched together with the keys.
 *
 * Invariants: keys are sorted, and padded with the largest number to whole nodes.  A ladder of IPv4 has at least one
 * node.  Every `last` has at least one item.  A word of a trie is the number of an existing row or node.  One word
 * behind the end of `index`, `rows` and `nodes` may be read, because a gather reads two words at a time.
 *
 * Where the ideas come from: static B-trees (Khuong and Morin, "Array layouts for comparison-based searching", 2017),
 * DIR-24-8 (Gupta, Lin and McKeown, 1998).
 */
#ifndef CIDRMATCH_LAYOUT_H
#define CIDRMATCH_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    NODE4 = 16,                     /* keys in a node: 64 bytes */
    NODE6 = 8,
    SCAN4 = 8,                      /* ranges in a node of a scan */
    MOST_STEPS = 10,                /* a list has at most 2**28 nodes, which is less than 9**9 */
    MOST_ROOTS = 4                  /* nodes of the topmost step */
};
enum {                              /* a trie: how many bits choose a word, and how many low bits are not used */
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
    FIRST_LENGTH,                   /* plus the length of the longest match, 0 to 48 */
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
    Firsts4 firsts;                 /* all firsts except the first one; in a scan, firsts and spans */
    uint32_t first;                 /* first address of the first range; the largest address if there is no range */
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

/* Turn an unsigned number into a signed number of the same order; the same call turns it back. */
static inline int32_t order4(uint32_t address) {
    return (int32_t)(address ^ UINT32_C(0x80000000));
}

static inline int64_t order6(uint64_t upper) {
    return (int64_t)(upper ^ UINT64_C(0x8000000000000000));
}

#endif
