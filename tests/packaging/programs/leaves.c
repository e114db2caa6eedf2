/* The headers of the matching floor, compiled alone: twins are asked the same and compared.
 *
 *     leaves COUNT      as many texts, and an eighth as many nodes; prints "equal" or what differs
 *
 * tests/packaging/test_leaves.py says where the texts lie, and compiles this in three ways.
 */
#define _GNU_SOURCE
#undef NDEBUG
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "_core/c/ask.h"

static uint64_t state = 0x9E3779B97F4A7C15u;

static uint64_t draw64(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545F4914F6CDD1Du;
}

/* Below a limit. */
static unsigned draw(unsigned limit) {
    return (unsigned)((draw64() >> 32) * limit >> 32);
}

/* Often the same few numbers, so that neighbours and ends are met. */
static uint64_t draw_near(uint64_t around) {
    switch (draw(4)) {
    case 0: return around + draw(3) - 1;
    case 1: return draw(2) ? 0 : ~(uint64_t)0;
    case 2: return (uint64_t)1 << draw(64);
    default: return draw64();
    }
}

/* A page between two that cannot be read. */
static uint8_t *map_page(size_t *size) {
    uint8_t *pages;
    *size = (size_t)sysconf(_SC_PAGESIZE);
    pages = mmap(NULL, 3 * *size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + *size, *size, PROT_READ | PROT_WRITE)) {
        perror("mmap");
        exit(2);
    }
    return pages + *size;
}

enum { LONGEST = 64, BESIDE = 48 };

static const char ALPHABET[] = "0123456789abcdefABCDEF::::....";
static const char ODD[] = "/%gG@`-+ xX\n\0\x80\xb0\xff;9?";

static char draw_character(void) {
    switch (draw(8)) {
    case 0: return ODD[draw(sizeof(ODD) - 1)];
    case 1: return (char)draw(256);
    default: return ALPHABET[draw(sizeof(ALPHABET) - 1)];
    }
}

static size_t draw_ipv4(char *text) {
    static const unsigned LIMITS[] = {256, 10, 100, 300, 1100};
    static const char *SHAPES[] = {
        "%u.%u.%u.%u", "%u.%u.%02u.%u", "%03u.%u.%u.%u", "%u.%u.%u", "%u.%u.%u.%u.7", "%u.%u.%u.%u.", ".%u.%u.%u.%u",
        "%u.%u..%u.%u"};
    unsigned numbers[4];
    for (int i = 0; i < 4; i++) {
        numbers[i] = draw(LIMITS[draw(2) ? 0 : draw(draw(8) ? 3 : 5)]);
    }
    return (size_t)snprintf(
        text, LONGEST, SHAPES[draw(8) ? 0 : draw(8)], numbers[0], numbers[1], numbers[2], numbers[3]);
}

/* Groups; at one place perhaps two colons, at the end perhaps a dotted tail. */
static size_t draw_ipv6(char *text) {
    unsigned has_gap = draw(3) > 0, groups = has_gap ? draw(draw(8) ? 8 : 10) : draw(8) ? 8 : 7 + draw(3);
    unsigned gap = has_gap ? draw(groups + 1) : groups + 1;
    size_t size = 0;
    for (unsigned i = 0; i <= groups && size < LONGEST - 20; i++) {
        if (i == gap) {
            text[size++] = ':';
            if (i == 0 || i == groups) {
                text[size++] = ':';
            }
        }
        if (i < groups) {
            static const char *FORMS[] = {"%x", "%x", "%X", "%04x", "%03X"};
            size += (size_t)snprintf(text + size, 8, FORMS[draw(5)], draw(16u << 4 * draw(draw(20) ? 4 : 5)));
            if (i + 1 < groups) {
                text[size++] = ':';
            }
        }
    }
    if (draw(20) == 0 && size < 40) {
        size += draw_ipv4(text + size);
    }
    return size;
}

static size_t damage(char *text, size_t size) {
    size_t at = draw((unsigned)size + 1);
    switch (draw(3)) {
    case 0:
        if (at == size) {
            return size;
        }
        memmove(text + at, text + at + 1, size - at - 1);
        return size - 1;
    case 1:
        memmove(text + at + 1, text + at, size - at);
        text[at] = draw_character();
        return size + 1;
    default:
        text[at < size ? at : 0] = draw_character();
        return size;
    }
}

static size_t draw_text(char *text) {
    size_t size = 0;
    if (draw(10) == 0) {
        for (size = draw(BESIDE); size > 0 && draw(200); text[draw((unsigned)size)] = draw_character()) {
        }
        return size;
    }
    size = draw(2) ? draw_ipv4(text) : draw_ipv6(text);
    for (unsigned times = draw(2) ? 0 : draw(4); times > 0 && size + 1 < LONGEST; times--) {
        size = damage(text, size);
    }
    return size;
}

/* What one of the parsers says. */
typedef struct {
    int family;
    uint64_t upper;
    uint64_t lower;
} Answer;

static int is_same(Answer a, Answer b) {
    return a.family == b.family && a.upper == b.upper && a.lower == b.lower;
}

static Answer answer(int family, uint32_t value, uint64_t upper, uint64_t lower) {
    Answer none = {0, 0, 0}, ipv4 = {4, value, 0}, ipv6 = {6, upper, lower};
    return family == 4 ? ipv4 : family == 6 ? ipv6 : none;
}

static Answer ask_c_library(const char *text, size_t size) {
    uint8_t packed[16];
    char ended[LONGEST + 1];
    memcpy(ended, text, size);
    ended[size] = 0;
    if (strlen(ended) == size && inet_pton(AF_INET, ended, packed)) {
        return answer(4, load_network32(packed), 0, 0);
    }
    if (strlen(ended) == size && inet_pton(AF_INET6, ended, packed)) {
        return answer(6, 0, load_network64(packed), load_network64(packed + 8));
    }
    return answer(0, 0, 0, 0);
}

static Answer ask_plain(const uint8_t *text, ptrdiff_t size) {
    uint32_t value = 0;
    uint64_t upper = 0, lower = 0;
    int is_ipv4 = parse_common_ipv4(text, size, &value), is_ipv6 = parse_common_ipv6(text, size, &upper, &lower);
    assert(!(is_ipv4 && is_ipv6));
    return answer(is_ipv4 ? 4 : is_ipv6 ? 6 : 0, value, upper, lower);
}

static Answer ask_portable(const uint8_t *text, ptrdiff_t size) {
    uint32_t value = 0;
    uint64_t upper = 0, lower = 0;
    int is_ipv4 = parse_common_ipv4_portably(text, size, &value);
    int is_ipv6 = parse_common_ipv6_portably(text, size, &upper, &lower);
    assert(!(is_ipv4 && is_ipv6));
    return answer(is_ipv4 ? 4 : is_ipv6 ? 6 : 0, value, upper, lower);
}

static Answer ask_chosen(int vectors, const uint8_t *text, ptrdiff_t size) {
    uint32_t value = 0;
    uint64_t upper = 0, lower = 0;
    int family = parse_text(vectors, text, size, &value, &upper, &lower);
    return answer(family, value, upper, lower);
}

static uint8_t clutter[4096];

/* The text at a place, with what looks like more of it on both sides, where there is room. */
static const uint8_t *put(uint8_t *at, const char *text, size_t size, size_t before, size_t behind) {
    memcpy(at - before, clutter + draw(sizeof(clutter) - BESIDE), before);
    memcpy(at, text, size);
    memcpy(at + size, clutter + draw(sizeof(clutter) - BESIDE), behind);
    return at;
}

static int refuse(const char *what, const char *text, size_t size) {
    printf("%s: ", what);
    for (size_t i = 0; i < size; i++) {
        printf(text[i] > 32 && text[i] < 127 ? "%c" : "\\x%02x", (uint8_t)text[i]);
    }
    puts("");
    return 1;
}

static int check_text(uint8_t *page, size_t page_size, const char *text, size_t size) {
    Answer truth = ask_c_library(text, size), plain;
    ptrdiff_t length = (ptrdiff_t)size;
    int is_hex = memchr(text, '.', size) == NULL && size > 0 && text[0] != ':';
    int is_common = truth.family == 4 || (truth.family == 6 && is_hex && size >= SHORTEST_FAST_IPV6);
    /* 1. at the end of the page, and at its beginning */
    const uint8_t *at = put(page + page_size - size, text, size, BESIDE, 0);
    plain = ask_plain(at, length);
    if (!is_same(ask_portable(at, length), plain) || !is_same(ask_chosen(PLAIN, at, length), plain)) {
        return refuse("twins disagree", text, size);
    }
    at = put(page + ROOM_BEFORE, text, size, ROOM_BEFORE, BESIDE);
    if (!is_same(ask_plain(at, length), plain) || !is_same(ask_portable(at, length), plain)) {
        return refuse("what stands beside the text matters", text, size);
    }
    /* 2. never what the C library refuses, always what is common */
    if (plain.family && !is_same(plain, truth)) {
        return refuse("inet_pton says otherwise", text, size);
    }
    if (is_common != (plain.family != 0)) {
        return refuse(is_common ? "not accepted, but common" : "accepted, but not common", text, size);
    }
    /* 3. with vectors: shorter texts of IPv6, too; nothing is read before the text */
    if (vectors_here() == AVX512) {
        Answer wide = ask_chosen(AVX512, put(page, text, size, 0, BESIDE), length);
        if (!is_same(wide, ask_chosen(AVX512, put(page + page_size - size, text, size, BESIDE, 0), length))) {
            return refuse("AVX-512: what stands beside the text matters", text, size);
        }
        if (!is_same(wide, truth.family == 6 && !is_hex ? plain : truth)) {
            return refuse("AVX-512 says otherwise", text, size);
        }
    }
    return 0;
}

static int check_texts(long count) {
    size_t page_size;
    uint8_t *page = map_page(&page_size);
    long counts[7] = {0};
    char text[2 * LONGEST];
    for (size_t i = 0; i < sizeof(clutter); i++) {
        clutter[i] = (uint8_t)ALPHABET[draw(sizeof(ALPHABET) - 1)];
    }
    for (long i = 0; i < count; i++) {
        size_t size = draw_text(text);
        if (check_text(page, page_size, text, size)) {
            return 1;
        }
        counts[ask_c_library(text, size).family]++;
    }
    if (counts[0] < count / 5 || counts[4] < count / 5 || counts[6] < count / 5) {
        printf("of %ld texts %ld were refused, %ld IPv4, %ld IPv6\n", count, counts[0], counts[4], counts[6]);
        return 1;
    }
    return 0;
}
static int compare_keys(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Sorted keys of a node, the last ones perhaps padding. */
static void draw_keys(int64_t *keys, int size, uint64_t around, int64_t padding) {
    for (int i = 0; i < size; i++) {
        keys[i] = (int64_t)draw_near(around);
    }
    if (padding == INT32_MAX) {
        for (int i = 0; i < size; i++) {
            keys[i] = (int32_t)keys[i];
        }
    }
    for (int i = (int)draw((unsigned)size + 1); draw(2) && i < size; i++) {
        keys[i] = padding;
    }
    qsort(keys, (size_t)size, sizeof(int64_t), compare_keys);
}

static int compare_pairs(const void *a, const void *b) {
    const Pair *left = a, *right = b;
    return is_before(right->upper, right->lower, left->upper, left->lower)
        - is_before(left->upper, left->lower, right->upper, right->lower);
}

static int compare_keys4(const void *a, const void *b) {
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

static int check_node4(void) {
    int64_t drawn[NODE4];
    int32_t node[NODE4];
    uint64_t around = draw64();
    int32_t wanted = (int32_t)draw_near(around);
    uint32_t below = 0;
    draw_keys(drawn, NODE4, around, INT32_MAX);
    for (int i = 0; i < NODE4; i++) {
        node[i] = (int32_t)drawn[i];
        below += drawn[i] < wanted;
    }
    if (portable_count4(node, wanted) != below || PLAIN_WAYS.count4(node, wanted) != below) {
        return 1;
    }
#if CIDRMATCH_VECTORS
    if (vectors_here() >= AVX2 && avx2_count4(node, wanted) != below) {
        return 2;
    }
    if (vectors_here() >= AVX512 && avx512_count4(node, wanted) != below) {
        return 3;
    }
#endif
    return 0;
}

static int check_node6(void) {
    int64_t node[NODE6];
    uint64_t around = draw64();
    int64_t wanted = (int64_t)draw_near(around);
    uint32_t begun = 0;
    draw_keys(node, NODE6, around, INT64_MAX);
    for (int i = 0; i < NODE6; i++) {
        begun += node[i] <= wanted;
    }
    if (portable_count6(node, wanted) != begun || PLAIN_WAYS.count6(node, wanted) != begun) {
        return 4;
    }
#if CIDRMATCH_VECTORS
    if (vectors_here() >= AVX2 && avx2_count6(node, wanted) != begun) {
        return 5;
    }
    if (vectors_here() >= AVX512 && avx512_count6(node, wanted) != begun) {
        return 6;
    }
#endif
    return 0;
}

/* Up to four nodes of ranges, in any order; a scan does not need one. */
static int check_scan(void) {
    int32_t keys[4 * NODE4];
    uint32_t firsts[4 * SCAN4], lasts[4 * SCAN4];
    uint64_t around = draw64();
    Table4 table;
    memset(&table, 0, sizeof(table));
    table.firsts.keys = keys;
    table.is_scan = 1;
    table.firsts.ladder.nodes = draw(5);
    for (uint32_t i = 0; i < table.firsts.ladder.nodes * SCAN4; i++) {
        uint32_t a = (uint32_t)draw_near(around), b = (uint32_t)draw_near(a);
        int32_t *node = keys + i / SCAN4 * NODE4;
        firsts[i] = a < b ? a : b;
        lasts[i] = a < b ? b : a;
        if (lasts[i] - firsts[i] > 1u << 30 && draw(20)) {
            lasts[i] = firsts[i];
        }
        node[i % SCAN4] = (int32_t)firsts[i];
        node[SCAN4 + i % SCAN4] = order4(lasts[i] - firsts[i]);
    }
    for (int times = 0; times < 8; times++) {
        uint32_t i_near = draw(SCAN4), near = table.firsts.ladder.nodes ? draw(2) ? firsts[i_near] : lasts[i_near] : 0;
        uint32_t address = (uint32_t)draw_near(near);
        int is_in = 0;
        for (uint32_t i = 0; i < table.firsts.ladder.nodes * SCAN4; i++) {
            is_in |= firsts[i] <= address && address <= lasts[i];
        }
        if (portable_scan4(&table, address) != is_in || PLAIN_WAYS.scan4(&table, address) != is_in) {
            return 7;
        }
#if CIDRMATCH_VECTORS
        if (vectors_here() >= AVX512 && avx512_scan4(&table, address) != is_in) {
            return 11;
        }
#endif
    }
    return 0;
}

/* Up to four nodes of first addresses, many of them in one /64; equal ones are allowed. */
static int check_begun(void) {
    Pair drawn[4 * NODE6];
    int64_t keys[4 * NODE6];
    uint64_t lowers[4 * NODE6], around = draw64(), near = draw64();
    Entries6 entries;
    uint32_t count = 1 + draw(4 * NODE6), nodes = (count + NODE6 - 1) / NODE6;
    memset(&entries, 0, sizeof(entries));
    entries.firsts.keys = keys;
    entries.firsts.lower = lowers;
    entries.firsts.count = count;
    entries.firsts.ladder.nodes = nodes;
    for (uint32_t i = 0; i < count; i++) {
        drawn[i].upper = draw(3) ? around : draw_near(around);
        drawn[i].lower = draw_near(near);
    }
    qsort(drawn, count, sizeof(Pair), compare_pairs);
    for (uint32_t i = 0; i < nodes * NODE6; i++) {
        keys[i] = i < count ? order6(drawn[i].upper) : INT64_MAX;
        lowers[i] = i < count ? drawn[i].lower : UINT64_MAX;
    }
    for (int times = 0; times < 8; times++) {
        uint64_t upper = draw(3) ? around : draw_near(around), lower = draw(20) ? draw_near(near) : UINT64_MAX;
        uint32_t begun = 0;
        upper = draw(20) ? upper : UINT64_MAX;
        for (uint32_t i = 0; i < count; i++) {
            begun += !is_before(upper, lower, drawn[i].upper, drawn[i].lower);
        }
        for (int vectors = PLAIN; vectors <= vectors_here(); vectors++) {
            if (begun6(&entries, upper, lower, vectors) != begun) {
                return 12 + vectors;
            }
        }
    }
    return 0;
}

/* A ladder of no step, one or two; equal first addresses are allowed, in more than one node, and so are both ends. */
static int check_begun4(void) {
    static int32_t keys[160 * NODE4], posts[160 * NODE4];
    static uint8_t lengths[160 * NODE4];
    uint64_t around = draw64();
    uint32_t count = 1 + draw(160 * NODE4), spread = draw(2) ? 3 : 30;
    Entries4 entries;
    memset(&entries, 0, sizeof(entries));
    entries.firsts.keys = keys;
    entries.firsts.posts = posts;
    entries.firsts.count = count;
    entries.lengths = lengths;
    plan_ladder(&entries.firsts.ladder, (count + NODE4 - 1) / NODE4, NODE4, 1);
    for (uint32_t i = 0; i < entries.firsts.ladder.nodes * NODE4; i++) {
        uint32_t drawn = draw(spread) ? (uint32_t)draw_near(around) : draw(2) ? 0 : UINT32_MAX;
        keys[i] = i < count ? order4(drawn) : INT32_MAX;
    }
    qsort(keys, count, sizeof(int32_t), compare_keys4);
    fill_posts4(&entries.firsts);
    for (int times = 0; times < 8; times++) {
        uint32_t address = draw(20) ? (uint32_t)draw_near(around) : draw(2) ? 0 : UINT32_MAX, begun = 0;
        for (uint32_t i = 0; i < count; i++) {
            begun += (uint32_t)order4((uint32_t)keys[i]) <= address;
        }
        for (int vectors = PLAIN; vectors <= vectors_here(); vectors++) {
            if (begun4(&entries, address, vectors) != begun) {
                return 1 + vectors;
            }
        }
    }
    return 0;
}

static int check_bytes(void) {
    uint64_t word = draw_near(draw64());
    uint8_t bytes[8];
    uint64_t network = 0;
    memcpy(bytes, &word, 8);
    for (int i = 0; i < 8; i++) {
        network = network << 8 | bytes[i];
    }
    if (swap64(word) != portable_swap64(word) || swap64(swap64(word)) != word) {
        return 8;
    }
    if (load_network64(bytes) != network || load_network32(bytes) != (uint32_t)(network >> 32)) {
        return 9;
    }
    return swap32((uint32_t)word) == (uint32_t)(portable_swap64((uint32_t)word) >> 32) ? 0 : 10;
}
int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1000;
    if (check_texts(count)) {
        return 1;
    }
    for (long i = 0; i < count / 8; i++) {
        int found = check_node4() | check_node6() << 4 | check_scan() << 8 | check_bytes() << 12 | check_begun() << 16;
        if (i % 64 == 0) {
            found |= check_begun4() << 20;
        }
        if (found) {
            printf("%x\n", (unsigned)found);
            return 1;
        }
    }
    printf("equal, vectors %d\n", vectors_here());
    return 0;
}
