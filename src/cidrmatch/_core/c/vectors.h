/* Which vector instructions there are: some may be used everywhere, others only after a check of the processor.
 *
 *     every x86-64              SSE2, chosen by the compiler
 *     AVX2      since 2013      in separate functions, called if `widest_vectors` allows it
 *     AVX-512   2019            the same, with VBMI2 and VNNI
 *     gathers   2023            the same, if one instruction that loads sixteen values is fast, too
 *     anything else             the portable twins
 */
#ifndef CIDRMATCH_VECTORS_H
#define CIDRMATCH_VECTORS_H

enum { PLAIN = 0, AVX2 = 1, AVX512 = 2, GATHERS = 3 };

#if defined(__SSE2__) && defined(__x86_64__) && defined(__GNUC__) && !defined(CIDRMATCH_PORTABLE)
#define CIDRMATCH_VECTORS 1
#include <cpuid.h>
#include <immintrin.h>
#define CIDRMATCH_TARGET2 __attribute__((target("avx2,popcnt,bmi,bmi2,lzcnt")))
#define CIDRMATCH_TARGET512 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx512vnni,avx2,popcnt,bmi,bmi2,lzcnt")))
#define CIDRMATCH_AVX2 CIDRMATCH_TARGET2 static inline
#define CIDRMATCH_AVX512 CIDRMATCH_TARGET512 static inline

/* Are gathers fast?  No bit of the processor says so.  Gathers are fast on Intel processors that also have 16-bit
 * floats, so that bit is tested.  On earlier Intel processors, microcode had to make gathers slow (Downfall,
 * CVE-2022-40982).  AMD processors split them into single loads. */
static inline int has_quick_gathers(void) {
    unsigned int eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 23 & 1);
}

static inline int widest_vectors(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2")
        || !__builtin_cpu_supports("popcnt")) {
        return PLAIN;
    }
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")
        || !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vbmi")
        || !__builtin_cpu_supports("avx512vbmi2") || !__builtin_cpu_supports("avx512vnni")) {
        return AVX2;
    }
    return has_quick_gathers() ? GATHERS : AVX512;
}
#else
#define CIDRMATCH_VECTORS 0

static inline int widest_vectors(void) {
    return PLAIN;
}
#endif

/* The same, computed once in each extension module. */
static inline int vectors_here(void) {
    static int found = -1;
    if (found < 0) {
        found = widest_vectors();
    }
    return found;
}

#endif
