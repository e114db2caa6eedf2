/* How a frozen list lies in memory: the structs, the constants and the picture.  search.h asks it, frozen.pyx fills it.
 *
 * Ranges are disjoint, sorted and not adjacent.  Which form they have depends on how many there are:
 *
 *     first   [ 10.0.0.0       | 198.51.100.0   | 203.0.113.5 ]
 *     last    [ 10.255.255.255 | 198.51.100.255 | 203.0.113.5 ]
 *
 * The scan.  A few ranges of IPv4 are all asked: is address - first <= span, where span is last - first?
 *
 *     node     [ 8 firsts | 8 spans ]      the last range repeated to fill it; spans have the top bit flipped
 *
 * The ladder.  Keys lie in nodes of one cache line, 16 keys of IPv4 or 8 of IPv6.  Above the keys stand signposts, in
 * nodes of the same size, which name the least key of each child but the first:
 *
 *     posts            [ 40 | 80 ]                     one line of them leads to one of 17 (9) lines below
 *     keys   [ 5 | 9 | 31 ][ 40 | 55 | 76 ][ 80 | 91 | max ]
 *
 * The topmost step may be a few nodes in a row, all counted at once.  That is quicker than one more step, which would
 * have to wait for the one above it.  So a thousand ranges take two steps (IPv6: three) where halving takes ten loads,
 * each waiting for the last.
 *
 * IPv4 keys are first - 1 of every range but the first, with the top bit flipped: signed comparisons are the ones that
 * vectors know.  "key < address" is counted, so no key overflows, and padding with the largest number is never counted.
 * IPv6 keys are the upper 64 bits of first, flipped alike; the lower halves lie in an array of their own.
 *
 * The map.  An Internet table is mostly whole /24s.  For long lists that are, one word for each /16 says where the bits
 * of its /24s lie, all of it small enough for L2.  A /24 that is not whole has a 0; if its /16 has such pieces, the
 * ladder decides.
 *
 *     map     [ block | pieces ]  one for each /16
 *     blocks  [ 256 bits ]        one for each /24; block 0 is none of them, block 1 all
 *
 * The trie.  The same for IPv6, by /48s: a /16 has a row of words, one for each /24, and after that each node has
 * sixteen, one for each value of the next four bits.  A word is the number of the next node.  The first nodes lead to
 * themselves and are the answers.  Equal nodes are one: an Internet table needs 14,000 of them, which fit in L2.
 *
 *     index     2001 -> row, 2a00 -> row, others -> the row of zeros
 *     row       [ 0 0 77 0 75 ... ]
 *     node 0    [ 0 0 0 ... ]         nothing is in
 *     node 1    [ 1 1 1 ... ]         all is in
 *     node 2    [ 2 2 2 ... ]         a /48 that is in part: the ladder decides
 *     node 77   [ 1 1 0 0 79 0 ... ]
 *
 * Entries ("which one?") have ladders of their first addresses.  These are megabytes, and a long list waits for them.
 * But the match is determined by its length: its bits are the address's first bits.  So a long list, mostly of /24s and
 * /48s or broader, has one more trie of each family, whose answers are lengths:
 *
 *     node 19   [ 19 19 19 ... ]      the longest match has 19 - FIRST_LENGTH bits, here a /16
 *
 * For IPv4 a /16 has a row of 32 words, and then comes one node of eight, down to /24s.  An Internet table has 10,000
 * different ones.
 *
 * What a key leads to (the last address of a range, the length of an entry) lies in an array of its own, so that it can
 * be fetched together with the keys.
 *
 * Invariants: keys are sorted, and padded with the largest number to whole nodes.  A ladder of IPv4 has one node at
 * least.  Every `last` has one item at least.  A word of a trie names an existing row or node.  One word behind the last
 * of `index`, `rows` and `nodes` may be read, for a gather takes two words at a time.
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

/* A number that compares signed as the address compares unsigned; the same call turns it back. */
static inline int32_t order4(uint32_t address) {
    return (int32_t)(address ^ UINT32_C(0x80000000));
}

static inline int64_t order6(uint64_t upper) {
    return (int64_t)(upper ^ UINT64_C(0x8000000000000000));
}

#endif
