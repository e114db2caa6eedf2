/* Many packed addresses, one by one: is each in the table?
 *
 *     packed  [ a.b.c.d | a.b.c.d | ... ]  ->  out  [ 1 | 0 | ... ]
 *
 * An address does not depend on the address before it, and no branch depends on an answer.  So the processor works on
 * many addresses at the same time by itself.  Scans and ladders need no more.  For map and trie, each_avx512.h has a
 * twin with sixteen addresses in a register.
 */
#ifndef CIDRMATCH_EACH_H
#define CIDRMATCH_EACH_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "search.h"

/* Load a little-endian integer.  Needs: four readable bytes.  Reads: these. */
static inline uint32_t load_reversed32(const uint8_t *packed) {
    return swap32(load_network32(packed));
}

/* For each of `size` addresses: is it in the table?
 *
 * Needs: `size` packed addresses of four bytes, at any address, and room for as many answers; they share no byte.
 * Reads: these, and the table. */
CIDRMATCH_INLINE void each4_by(
    const Table4 *table, const uint8_t *packed, ptrdiff_t size, int is_reversed, uint8_t *out, const Ways *ways) {
    for (ptrdiff_t i = 0; i < size; i++) {
        const uint8_t *at = packed + 4 * i;
        out[i] = (uint8_t)contains4_by(table, is_reversed ? load_reversed32(at) : load_network32(at), ways);
    }
}

/* An address ::ffff:a.b.c.d is a.b.c.d (C16).
 *
 * Needs: 16 readable bytes.
 * Reads: these, and the table. */
CIDRMATCH_INLINE uint8_t one6_by(const Table *table, const uint8_t *packed, const Ways *ways) {
    uint64_t upper = load_network64(packed), lower = load_network64(packed + 8);
    if (CIDRMATCH_IS_MAPPED6(upper, lower)) {
        return (uint8_t)contains4_by(&table->table4, (uint32_t)lower, ways);
    }
    return (uint8_t)contains6_by(&table->table6, upper, lower, ways);
}

/* Needs: `size` packed addresses of 16 bytes, and room for as many answers; they share no byte.
 * Reads: these, and the table. */
CIDRMATCH_INLINE void each6_by(
    const Table *table, const uint8_t *packed, ptrdiff_t size, uint8_t *out, const Ways *ways) {
    for (ptrdiff_t i = 0; i < size; i++) {
        out[i] = one6_by(table, packed + 16 * i, ways);
    }
}

#endif
