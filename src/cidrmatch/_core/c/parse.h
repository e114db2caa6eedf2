/* Parsing a common text of either family, with the widest vectors that may be used.
 *
 *     AVX-512 VBMI2     text_avx512.h
 *     SSE2, or none     text.h and text_sse2.h
 */
#ifndef CIDRMATCH_PARSE_H
#define CIDRMATCH_PARSE_H

#include "text.h"
#include "text_avx512.h"
#include "vectors.h"

/* Parse a common text. Returns 4 and sets `value`, or 6 and sets `upper` and `lower`, or 0 if the text is not common.
 *
 * Needs: ROOM_BEFORE readable bytes before the text; `vectors` is not wider than the processor's.
 * Reads: the text, and these bytes. */
static inline int parse_text(
    int vectors, const uint8_t *text, ptrdiff_t length, uint32_t *value, uint64_t *upper, uint64_t *lower) {
#if CIDRMATCH_VECTORS
    if (vectors >= AVX512) {
        return avx512_parse_text(text, length, value, upper, lower);
    }
#endif
    (void)vectors;
    if (parse_common_ipv4(text, length, value)) {
        return 4;
    }
    return parse_common_ipv6(text, length, upper, lower) ? 6 : 0;
}

#endif
