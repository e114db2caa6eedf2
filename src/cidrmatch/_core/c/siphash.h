/* SipHash-1-3: a hash with a seed.  Whoever does not know the seed cannot choose values that collide.
 *
 * A store finds its keys by this hash, with a seed that is computed from the keys (find.h).  `Prefix` uses it for
 * dictionaries, with a seed of the process (prefix.pyx).
 *
 * Cost: about 5 ns, and 1 ns more for every eight bytes.
 * Source: Aumasson and Bernstein, 2012.
 */
#ifndef CIDRMATCH_SIPHASH_H
#define CIDRMATCH_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t rotated(uint64_t word, int by) {
    return word << by | word >> (64 - by);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] = rotated(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

/* Needs: eight readable bytes.  Reads: these. */
static inline uint64_t load_word(const uint8_t *text) {
    uint64_t word;
    memcpy(&word, text, 8);
    return word;
}

/* Load the last bytes, up to seven.  One, two and four bytes are loaded separately, because a copy of a variable size
 * may be a call.
 *
 * Needs: `size` readable bytes, seven at most.
 * Reads: these. */
static inline uint64_t load_end(const uint8_t *text, size_t size) {
    uint64_t word = 0;
    uint32_t four;
    uint16_t two;
    if (size & 1) {
        word = text[size - 1];
    }
    if (size & 2) {
        memcpy(&two, text + (size & 4), 2);
        word = word << 16 | two;
    }
    if (size & 4) {
        memcpy(&four, text, 4);
        word = word << 32 | four;
    }
    return word;
}

/* SipHash-1-3: one round for each word, three rounds at the end.
 *
 * Needs: `size` readable bytes, at any address.
 * Reads: these, and the seed. */
static inline uint64_t siphash(const uint64_t seed[2], const uint8_t *text, size_t size) {
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word;
    size_t left = size;
    for (; left >= 8; left -= 8, text += 8) {
        word = load_word(text);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)size << 56 | load_end(text, left);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
