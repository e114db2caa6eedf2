/* Do the entries of one record cover an address, and which of them covers it best?
 *
 *     a short list    [ first first ... ] [ length length ... ]    every entry is compared, several in a vector
 *     a long list     [ first first ... ] [ last last ... ]        merged to sorted ranges, and searched by halving
 *
 * This file has the portable twins, and chooses among the twins. covers_avx2.h and covers_avx512.h do the same with
 * vector registers; all of them give the same answer for the same bytes.
 *
 * Cost: a few instructions for eight or sixteen entries of a short list; in a long list, the logarithm of its size.
 * Which entry it is, is asked by a log and not by a check; it costs a step an entry and has no twins.
 */
#ifndef CIDRMATCH_COVERS_H
#define CIDRMATCH_COVERS_H

#include "_core/c/bits.h"
#include "_core/c/vectors.h"
#include "block_layout.h"
#include "covers_avx2.h"
#include "covers_avx512.h"

/* The address of a question; `family` is 0 if it is not known. */
typedef struct {
    uint64_t upper;
    uint64_t lower;
    uint32_t value;                 /* of IPv4 */
    int family;
} Asked;

/* Compare entry by entry: are the bits that count equal?  An entry with an impossible length covers nothing.
 *
 * Needs: `count` firsts and `count` lengths.  Firsts may have host bits, and lengths may be impossible ones.
 * Reads: these alone. */
static inline int portable_covers4(const uint32_t *firsts, const uint8_t *lengths, uint32_t count, uint32_t address) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t differs = (uint64_t)(firsts[i] ^ address) >> ((32 - lengths[i]) & 63);
        found |= (lengths[i] <= 32) & (differs == 0);
    }
    return (int)found;
}

static inline uint64_t without_low(uint64_t word, uint32_t bits) {
    return bits < 64 ? word >> bits : 0;
}

/* The same for IPv6, in two halves.  Needs, Reads: as above. */
static inline int portable_covers6(
    const uint64_t *uppers, const uint64_t *lowers, const uint8_t *lengths, uint32_t count, uint64_t upper,
    uint64_t lower) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = lengths[i], in_upper = length < 64 ? length : 64, in_lower = length - in_upper;
        uint64_t differs = without_low(uppers[i] ^ upper, 64 - in_upper) | without_low(lowers[i] ^ lower, 64 - in_lower);
        found |= (length <= 128) & (differs == 0);
    }
    return (int)found;
}

static inline int covers4(
    const uint32_t *firsts, const uint8_t *lengths, uint32_t count, uint32_t address, int vectors) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_covers4(firsts, lengths, count, address);
    }
    if (vectors == AVX2) {
        return avx2_covers4(firsts, lengths, count, address);
    }
#endif
    (void)vectors;
    return portable_covers4(firsts, lengths, count, address);
}

static inline int covers6(
    const uint64_t *uppers, const uint64_t *lowers, const uint8_t *lengths, uint32_t count, uint64_t upper,
    uint64_t lower, int vectors) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_covers6(uppers, lowers, lengths, count, upper, lower);
    }
#endif
    (void)vectors;
    return portable_covers6(uppers, lowers, lengths, count, upper, lower);
}

/* Search sorted ranges by halving for the last range that begins at or before the address; does it hold the address?
 *
 * Needs: `count` firsts and `count` lasts.  If they are not sorted, the answer is undefined, and the reads are the
 * same.
 * Reads: these alone. */
static inline int holds4(const uint32_t *firsts, const uint32_t *lasts, uint32_t count, uint32_t address) {
    uint32_t from = 0, left = count;
    while (left > 0) {
        uint32_t half = left >> 1;
        int begins = firsts[from + half] <= address;
        from = begins ? from + half + 1 : from;
        left = begins ? left - half - 1 : half;
    }
    return from > 0 && address <= lasts[from - 1];
}

/* The same for IPv6; all lower halves are behind all upper halves.  Needs, Reads: as above. */
static inline int holds6(
    const uint64_t *firsts, const uint64_t *lasts, uint32_t count, uint64_t upper, uint64_t lower) {
    uint32_t from = 0, left = count;
    while (left > 0) {
        uint32_t half = left >> 1, at = from + half;
        int begins = !is_before(upper, lower, firsts[at], firsts[(size_t)count + at]);
        from = begins ? at + 1 : from;
        left = begins ? left - half - 1 : half;
    }
    return from > 0 && !is_before(lasts[from - 1], lasts[(size_t)count + from - 1], upper, lower);
}

/* The number of the record's own entry with the longest match; those of IPv6 count on behind those of IPv4.
 *
 * Returns -1 if there is none, or if the list is a long one: its ranges do not tell of which entries they were made.
 *
 * Needs: a record and parts from `find_record` or `record_at`.
 * Reads: the record's entries. */
static inline int64_t longest_own_entry(const Record *record, const Parts *parts, const Asked *asked) {
    int is4 = asked->family == 4, longest = -1;
    uint32_t count = is4 ? record->count4 : record->count6;
    const uint8_t *lengths = is4 ? parts->length4 : parts->length6;
    const uint64_t *uppers = parts->first6, *lowers = parts->first6 + record->count6;
    int64_t found = -1;
    if (record->flags & (is4 ? IS_SORTED4 : IS_SORTED6)) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        int covers = is4 ? portable_covers4(parts->first4 + i, lengths + i, 1, asked->value)
                         : portable_covers6(uppers + i, lowers + i, lengths + i, 1, asked->upper, asked->lower);
        if (covers && lengths[i] > longest) {
            longest = lengths[i];
            found = is4 ? i : (int64_t)record->count4 + i;
        }
    }
    return found;
}

/* Does one of the record's own entries cover the address?
 *
 * Needs: a record and parts from `find_record` or `record_at`; `vectors` at most `vectors_here()`.
 * Reads: the record's entries, and up to STORE_PAD bytes behind them. */
static inline int own_entries_cover(const Store *store, const Record *record, const Parts *parts, const Asked *asked) {
    if (asked->family == 4) {
        if (record->flags & IS_SORTED4) {
            return holds4(parts->first4, parts->last4, record->count4, asked->value);
        }
        return covers4(parts->first4, parts->length4, record->count4, asked->value, store->vectors);
    }
    if (record->flags & IS_SORTED6) {
        return holds6(parts->first6, parts->last6, record->count6, asked->upper, asked->lower);
    }
    return covers6(
        parts->first6, parts->first6 + record->count6, parts->length6, record->count6, asked->upper, asked->lower,
        store->vectors);
}

#endif
