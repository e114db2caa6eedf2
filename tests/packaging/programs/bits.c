/* Counts of bits, each compared with its portable twin. */
#undef NDEBUG
#include "_core/c/bits.h"
#include <stdio.h>
int main(void) {
    uint64_t word = 0x9E3779B97F4A7C15u;
    for (int i = 0; i < 1000000; i++) {
        word = word * 6364136223846793005u + 1442695040888963407u;
        for (int shift = 0; shift < 64; shift += 7) {
            uint64_t low = word >> shift, high = word << shift;
            if (low && leading_zeros(low) != portable_leading_zeros(low)) return 1;
            if (high && trailing_zeros(high) != portable_trailing_zeros(high)) return 2;
        }
    }
    for (int bit = 0; bit < 64; bit++) {
        if (leading_zeros((uint64_t)1 << bit) != 63 - bit) return 3;
        if (trailing_zeros((uint64_t)1 << bit) != bit) return 4;
    }
    puts("equal");
    return 0;
}
