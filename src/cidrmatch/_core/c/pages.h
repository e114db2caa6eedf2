/* Large pages for large memory. A check reads a few cache lines anywhere in some megabytes; with small pages, half of
 * its waiting time is for page tables.
 *
 *     memory   |  4 KiB ... |      2 MiB      |      2 MiB      | ... 4 KiB |      only whole, aligned pages
 */
#ifndef CIDRMATCH_PAGES_H
#define CIDRMATCH_PAGES_H

#include <stddef.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { LARGE_PAGE = 2 << 20 };

/* Ask the system for large pages; nothing depends on the result.
 *
 * Needs: `size` bytes that belong to the caller. They should not be written yet, because then their pages exist
 * already. */
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
