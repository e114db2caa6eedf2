/* Many packed addresses in one call: is each in the table?
 *
 *     one by one      each.h            every form of a table
 *     side by side    each_avx512.h     map and trie, where gathers are quick
 *
 * There is one function for each kind of vectors, so the kind is checked only once for a batch.
 */
#ifndef CIDRMATCH_MANY_H
#define CIDRMATCH_MANY_H

#include "each.h"
#include "each_avx512.h"

#if CIDRMATCH_VECTORS
CIDRMATCH_AVX2 void avx2_each4(
    const Table4 *table, const uint8_t *packed, ptrdiff_t size, int is_reversed, uint8_t *out) {
    each4_by(table, packed, size, is_reversed, out, &AVX2_WAYS);
}

CIDRMATCH_AVX2 void avx2_each6(const Table *table, const uint8_t *packed, ptrdiff_t size, uint8_t *out) {
    each6_by(table, packed, size, out, &AVX2_WAYS);
}

CIDRMATCH_AVX512 void avx512_each4(
    const Table4 *table, const uint8_t *packed, ptrdiff_t size, int is_reversed, uint8_t *out) {
    each4_by(table, packed, size, is_reversed, out, &AVX512_WAYS);
}

CIDRMATCH_AVX512 void avx512_each6(const Table *table, const uint8_t *packed, ptrdiff_t size, uint8_t *out) {
    each6_by(table, packed, size, out, &AVX512_WAYS);
}
#endif

/* For each of `size` addresses: is it in the table? With the widest vectors that the table allows.
 *
 * Needs: `size` packed addresses of four bytes, and room for as many answers; they share no byte.
 * Reads: these, and the table. */
static inline void each4(
    const Table *table, const uint8_t *packed, ptrdiff_t size, int is_reversed, uint8_t *out) {
#if CIDRMATCH_VECTORS
    if (table->vectors == GATHERS && table->table4.map) {
        gather_each4(&table->table4, packed, size, is_reversed, out);
        return;
    }
    if (table->vectors >= AVX512) {
        avx512_each4(&table->table4, packed, size, is_reversed, out);
        return;
    }
    if (table->vectors == AVX2) {
        avx2_each4(&table->table4, packed, size, is_reversed, out);
        return;
    }
#endif
    each4_by(&table->table4, packed, size, is_reversed, out, &PLAIN_WAYS);
}

/* Needs: `size` packed addresses of 16 bytes, and room for as many answers; they share no byte.
 * Reads: these, and the table. */
static inline void each6(const Table *table, const uint8_t *packed, ptrdiff_t size, uint8_t *out) {
#if CIDRMATCH_VECTORS
    if (table->vectors == GATHERS && table->table6.trie.index) {
        gather_each6(table, packed, size, out);
        return;
    }
    if (table->vectors >= AVX512) {
        avx512_each6(table, packed, size, out);
        return;
    }
    if (table->vectors == AVX2) {
        avx2_each6(table, packed, size, out);
        return;
    }
#endif
    each6_by(table, packed, size, out, &PLAIN_WAYS);
}

#endif
