/* Large pages for large memory: where a check reads one line anywhere in some megabytes, half of its wait is for the
 * page tables otherwise.
 *
 *     memory   |  4 KiB ... |      2 MiB      |      2 MiB      | ... 4 KiB |      what is whole and aligned is asked for
 */
#ifndef CIDRMATCH_PAGES_H
#define CIDRMATCH_PAGES_H

#include <stddef.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { LARGE_PAGE = 2 << 20 };

/* A wish, no more: nothing depends on the answer.
 *
 * Needs: `size` bytes that are ours and were not written yet; else the pages are there already. */
static inline void wish_large_pages(void *memory, size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    uintptr_t begin = ((uintptr_t)memory + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(LARGE_PAGE - 1);
    if (begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    }
#else
    (void)memory;
    (void)size;
#endif
}

#endif
