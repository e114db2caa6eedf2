/* Common texts of addresses to bits, some characters at a time.
 *
 * A loop over characters waits for each comparison, and the processor
 * mispredicts the end of every second group.  Here no branch depends on the
 * text:
 *
 *     text       2001:db8::1f          one bit for each separator in the last 48 bytes
 *     colons     ....1...11..          arithmetic on these bits gives the ends of all groups,
 *     groups     [2001][.db8][....][..1f]   each group is the four bytes before its end,
 *                                           cut to its size, filled with '0' on the left
 *     value      20 01 0d b8 00 1f     all groups are checked and converted together
 *
 * These functions accept common texts: dotted quads, and groups with at most
 * one "::" that is not at the start.  For any other text they give up and
 * return 0; the careful parser in address.pyx then accepts the text or finds
 * the reason.  They never accept a text that the careful parser would refuse;
 * tests compare both.
 *
 * They read the text and up to ROOM_BEFORE bytes before its first character,
 * but nothing behind the text.  Before the characters of a compact ASCII `str`
 * lies its own header, so all reads stay inside the object.  A text in a buffer
 * may be parsed if it begins far enough behind the buffer's start.
 *
 * Two steps use vectors: finding separators, and converting 16 characters.
 * Their portable twins are here, those with SSE2 are in text_sse2.h.  Every
 * x86-64 has SSE2, so the choice is made when this is compiled. text_avx512.h
 * does the same with wider registers; parse.h chooses between them.
 *
 * What was tried and was slower.  For IPv4: words of eight characters, cut by
 * variable shifts (more instructions, and not usable for IPv6).  For IPv6: a
 * careful loop over characters (three times as slow); and groups from right to
 * left, where the way to the next separator is longer (1.5 times as slow).
 */
#ifndef CIDRMATCH_TEXT_H
#define CIDRMATCH_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bits.h"
#include "text_sse2.h"
#include "vectors.h"

enum {
    ROOM_BEFORE = 40,           /* bytes before the text that are read and not used */
    SHORTEST_IPV4 = 7,
    LONGEST_IPV4 = 15,
    SHORTEST_FAST_IPV6 = 8,     /* 48 bytes are looked at, so 8 + ROOM_BEFORE */
    LONGEST_FAST_IPV6 = 39
};

/* -- Separators ------------------------------------------------------------- */

/* Which of the `count` bytes before `end` equal `wanted`?  Bit 0 stands for the first of these bytes.
 *
 * Needs: `count` is 64 at most, and so many bytes before `end` are readable.
 * Reads: these. */
static inline uint64_t portable_positions(const uint8_t *end, int count, uint8_t wanted) {
    uint64_t found = 0;
    for (int i = 0; i < count; i++) {
        found |= (uint64_t)(end[i - count] == wanted) << i;
    }
    return found;
}

/* -- Groups ----------------------------------------------------------------- */

/* Masks by the size of a group, for words as they lie in memory.  The characters of a group are the last bytes of a
 * word; '0' is written before them. */
typedef struct {
    uint32_t keep;
    uint32_t fill;
} Cut;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
static const Cut CUTS[5] = {
    {0, 0x30303030}, {0xff, 0x30303000}, {0xffff, 0x30300000}, {0xffffff, 0x30000000}, {0xffffffff, 0}};
#else
static const Cut CUTS[5] = {
    {0, 0x30303030}, {0xff000000, 0x00303030}, {0xffff0000, 0x00003030}, {0xffffff00, 0x00000030}, {0xffffffff, 0}};
#endif

/* The last `size` characters before `end`, as a group of four characters with '0' on the left.
 *
 * Needs: `size` is 4 at most.
 * Reads: four bytes before `end`, whatever the size. */
static inline uint32_t load_group(const uint8_t *end, size_t size) {
    uint32_t word;
    assert(size <= 4);
    memcpy(&word, end - 4, 4);
    return (word & CUTS[size].keep) | CUTS[size].fill;
}

/* Convert four groups of four decimal characters; return 0 if a character is no digit, or an octet is above 255.
 *
 * Needs: four groups, as `load_group` gives them. */
static inline int portable_octets(const uint32_t groups[4], uint32_t *value) {
    uint8_t text[16];
    uint32_t result = 0;
    memcpy(text, groups, 16);
    for (int i = 0; i < 16; i += 4) {
        uint32_t octet = 0;
        for (int k = i; k < i + 4; k++) {
            if (text[k] < '0' || text[k] > '9') {
                return 0;
            }
            octet = octet * 10 + (text[k] - '0');
        }
        if (octet > 255) {
            return 0;
        }
        result = result << 8 | octet;
    }
    *value = result;
    return 1;
}

/* Convert eight groups of four hexadecimal characters; return 0 if a character is no hexadecimal digit.
 *
 * Needs: eight groups, as `load_group` gives them. */
static inline int portable_hextets(const uint32_t groups[8], uint64_t *upper, uint64_t *lower) {
    uint8_t text[32];
    uint64_t words[2] = {0, 0};
    memcpy(text, groups, 32);
    for (int i = 0; i < 32; i++) {
        uint8_t letter = text[i] | 0x20;
        uint8_t nibble;
        if (text[i] >= '0' && text[i] <= '9') {
            nibble = text[i] - '0';
        } else if (letter >= 'a' && letter <= 'f') {
            nibble = letter - 'a' + 10;
        } else {
            return 0;
        }
        words[i >> 4] = words[i >> 4] << 4 | nibble;
    }
    *upper = words[0];
    *lower = words[1];
    return 1;
}

/* -- IPv4 ------------------------------------------------------------------- */

/* Parse a dotted quad, or give up.  `dots` and `zeros` are the positions of '.' and '0'.
 *
 * Needs: `length` is 7 to 15; `dots` and `zeros` have no bit at or above `length`; four readable bytes before the text.
 * Reads: the text, and these four bytes. */
static inline int join_octets(
    const uint8_t *text, size_t length, uint64_t dots, uint64_t zeros, int is_portable, uint32_t *value) {
    uint64_t ends = dots | (uint64_t)1 << length;
    uint64_t starts = dots << 1 | 1;
    uint64_t pairs = ~(ends | ends >> 1) & (((uint64_t)1 << length) - 1);   /* two characters in a row, no ends */
    uint64_t second_dot = dots & (dots - 1);
    uint64_t third_dot = second_dot & (second_dot - 1);
    size_t first, second, third;
    uint32_t groups[4];
    /* 1. refuse unless there are three dots, and no octet is empty, has four characters, or has a leading zero */
    if (third_dot == 0 || (third_dot & (third_dot - 1)) != 0
        || ((starts & ends) | (pairs & pairs >> 2) | (zeros & starts & ~(ends >> 1))) != 0) {
        return 0;
    }
    /* 2. each octet has one to three characters */
    first = (size_t)trailing_zeros(dots);
    second = (size_t)trailing_zeros(second_dot);
    third = (size_t)trailing_zeros(third_dot);
    groups[0] = load_group(text + first, first);
    groups[1] = load_group(text + second, second - first - 1);
    groups[2] = load_group(text + third, third - second - 1);
    groups[3] = load_group(text + length, length - third - 1);
#if CIDRMATCH_VECTORS
    if (!is_portable) {
        return sse2_octets(groups, value);
    }
#endif
    return portable_octets(groups, value);
}

/* Parse a dotted quad of at most 15 characters, or give up and return 0.
 *
 * Needs: ROOM_BEFORE readable bytes before the text; `length` may be any number.
 * Reads: the last 16 bytes before the text's end, and four before its beginning. */
static inline int parse_common_ipv4(const uint8_t *text, ptrdiff_t length, uint32_t *value) {
    uint64_t dots, zeros;
    if (length < SHORTEST_IPV4 || length > LONGEST_IPV4) {
        return 0;
    }
#if CIDRMATCH_VECTORS
    dots = positions16(text + length - 16, '.') >> (16 - length);
    zeros = positions16(text + length - 16, '0') >> (16 - length);
#else
    dots = portable_positions(text + length, (int)length, '.');
    zeros = portable_positions(text + length, (int)length, '0');
#endif
    return join_octets(text, (size_t)length, dots, zeros, !CIDRMATCH_VECTORS, value);
}

/* The same without vectors.  Needs: as above.  Reads: the text, and four bytes before its beginning. */
static inline int parse_common_ipv4_portably(const uint8_t *text, ptrdiff_t length, uint32_t *value) {
    if (length < SHORTEST_IPV4 || length > LONGEST_IPV4) {
        return 0;
    }
    return join_octets(
        text, (size_t)length, portable_positions(text + length, (int)length, '.'),
        portable_positions(text + length, (int)length, '0'), 1, value);
}

/* -- IPv6 ------------------------------------------------------------------- */

static inline int count_bits(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (int)(word * 0x0101010101010101 >> 56);
}

/* Put zero groups into the gap: the first `before` groups stay, the groups behind them move by `missing` groups.  This
 * is done even if `missing` is 0, because the processor cannot predict whether there is a gap.
 *
 * Needs: `before` and `missing` are 7 at most, and not negative. */
static inline void open_gap(uint64_t *upper, uint64_t *lower, int before, int missing) {
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 Word;
    Word value = (Word)*upper << 64 | *lower;
    Word moves = ~(Word)0 >> 16 * before;
    value = (value & ~moves) | (value & moves) >> 16 * missing;
    *upper = (uint64_t)(value >> 64);
    *lower = (uint64_t)value;
#else
    uint64_t moves_upper = before < 4 ? ~(uint64_t)0 >> 16 * before : 0;
    uint64_t moves_lower = before < 4 ? ~(uint64_t)0 : ~(uint64_t)0 >> 16 * (before - 4);
    for (; missing > 0; missing--) {
        uint64_t moved_upper = *upper & moves_upper, moved_lower = *lower & moves_lower;
        *lower = (*lower & ~moves_lower) | (((moved_upper << 48) | (moved_lower >> 16)) & moves_lower);
        *upper = (*upper & ~moves_upper) | (moved_upper >> 16 & moves_upper);
    }
#endif
}

/* Parse hexadecimal groups, or give up.  `colons` are the positions of ':'.
 *
 * Needs: `length` is 8 to 39; `colons` has no bit at or above `length`; four readable bytes before the text.
 * Reads: the text, and those four bytes. */
static inline int join_hextets(
    const uint8_t *text, size_t length, uint64_t colons, int is_portable, uint64_t *upper, uint64_t *lower) {
    uint64_t doubles = colons & colons >> 1;
    uint64_t ends, pairs, fours;
    uint32_t groups[8];
    size_t begin = 0, end = 0, before;
    ptrdiff_t missing;
    /* 1. a colon at the end must be the second of a "::"; it is dropped, and the last group is the empty one */
    if (colons >> (length - 1)) {
        length -= 1;
        if (!(doubles >> (length - 1))) {
            return 0;
        }
        colons ^= (uint64_t)1 << length;
    }
    /* 2. refuse a colon at the start, more than one "::", and a group of five characters */
    ends = colons | ~(uint64_t)0 << length;         /* each position behind the text counts as the end of a group */
    pairs = ~(ends | ends >> 1);
    fours = pairs & pairs >> 2;
    if (((colons & 1) | (doubles & (doubles - 1)) | (fours & ~(ends >> 4))) != 0) {
        return 0;
    }
    before = (size_t)count_bits(colons & (doubles | (doubles - 1)));
    /* 3. load eight groups; if there are fewer, the last ones are empty */
#if defined(__GNUC__)
#pragma GCC unroll 8            /* then they stay in registers */
#endif
    for (int i = 0; i < 8; i++) {
        end = (size_t)trailing_zeros(ends);
        ends &= ends - 1;
        groups[i] = load_group(text + (end < length ? end : length), end - begin);
        begin = end + 1;
    }
    /* 4. the eighth group ends at the end of the text, or one position behind it for each missing group */
    missing = (ptrdiff_t)(end - length);
#if CIDRMATCH_VECTORS
    if (!is_portable) {
        if (!sse2_hextets(groups, upper, lower)) {
            return 0;
        }
    } else
#endif
    if (!portable_hextets(groups, upper, lower)) {
        return 0;
    }
    if ((missing < 0) | ((missing > 0) & (doubles == 0))) {
        return 0;
    }
    /* 5. the number of groups before the gap is the number of colons up to the first colon of "::" */
    open_gap(upper, lower, (int)before, (int)missing);
    return 1;
}

/* Parse groups and at most one "::" that is not at the start, or give up and return 0.
 *
 * Needs: ROOM_BEFORE readable bytes before the text; `length` may be any number.
 * Reads: the last 48 bytes before the text's end. */
static inline int parse_common_ipv6(const uint8_t *text, ptrdiff_t length, uint64_t *upper, uint64_t *lower) {
    uint64_t colons;
    if (length < SHORTEST_FAST_IPV6 || length > LONGEST_FAST_IPV6) {
        return 0;
    }
#if CIDRMATCH_VECTORS
    colons = positions16(text + length - 48, ':') | positions16(text + length - 32, ':') << 16
        | positions16(text + length - 16, ':') << 32;
    colons >>= 48 - length;
#else
    colons = portable_positions(text + length, (int)length, ':');
#endif
    return join_hextets(text, (size_t)length, colons, !CIDRMATCH_VECTORS, upper, lower);
}

/* The same without vectors.  Needs: as above.  Reads: the text, and four bytes before its beginning. */
static inline int parse_common_ipv6_portably(
    const uint8_t *text, ptrdiff_t length, uint64_t *upper, uint64_t *lower) {
    if (length < SHORTEST_FAST_IPV6 || length > LONGEST_FAST_IPV6) {
        return 0;
    }
    return join_hextets(text, (size_t)length, portable_positions(text + length, (int)length, ':'), 1, upper, lower);
}

#endif
