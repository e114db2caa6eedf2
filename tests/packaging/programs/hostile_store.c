/* Blocks with changed bytes, asked by the headers alone, under sanitizers.
 *
 *     hostile_store BLOCK COUNT      changes the block as often, and asks each
 *
 * tests/packaging/test_hostile_store.py says what must hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include "_keys/c/answer.h"

static uint64_t state = 88172645463325252u;

static uint64_t draw(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static uint64_t number_at(const uint8_t *at, int size) {
    uint64_t number = 0;
    for (int i = size - 1; i >= 0; i--) {
        number = number << 8 | at[i];
    }
    return number;
}

/* Is bit `i` of two addresses of 16 bytes the same, up to `length` bits? */
static int is_same(const uint8_t *a, const uint8_t *b, unsigned length) {
    for (unsigned i = 0; i < length; i++) {
        if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1) {
            return 0;
        }
    }
    return 1;
}

static void write_network(uint64_t number, int size, uint8_t *out) {
    for (int i = 0; i < size; i++) {
        out[i] = (uint8_t)(number >> 8 * (size - 1 - i));
    }
}

/* Do the bytes of a record say that this address is allowed for this key?  Byte by byte, as the format is told. */
static int says_so(const uint8_t *record, const Question *question, const Asked *asked) {
    uint64_t key_size = number_at(record + 8, 4);
    uint64_t count4 = number_at(record + 12, 4), count6 = number_at(record + 16, 4);
    uint64_t links = number_at(record + 20, 2) + number_at(record + 22, 2), flags = number_at(record + 24, 4);
    const uint8_t *first4 = record + (40 + key_size + 3) / 4 * 4, *first6;
    const uint8_t *behind4 = first4 + 4 * count4 + (flags & 16 ? 4 * count4 : count4);
    uint8_t wanted[16], first[16], last[16];
    if (key_size != question->key_size || memcmp(record + 40, question->key, key_size) != 0 || links != 0) {
        return 0;
    }
    if ((flags & 13) != 5) {
        return 0;
    }
    first6 = record + (((uint64_t)(behind4 - record) + 3) / 4 * 4 + 7) / 8 * 8;
    if (asked->family == 4) {
        write_network(asked->value, 4, wanted);
        for (uint64_t i = 0; i < count4; i++) {
            uint64_t begin = number_at(first4 + 4 * i, 4);
            write_network(begin, 4, first);
            if (flags & 16) {
                if (begin <= asked->value && asked->value <= number_at(first4 + 4 * (count4 + i), 4)) {
                    return 1;
                }
            } else if (first4[4 * count4 + i] <= 32 && is_same(first, wanted, first4[4 * count4 + i])) {
                return 1;
            }
        }
        return 0;
    }
    write_network(asked->upper, 8, wanted);
    write_network(asked->lower, 8, wanted + 8);
    for (uint64_t i = 0; i < count6; i++) {
        write_network(number_at(first6 + 8 * i, 8), 8, first);
        write_network(number_at(first6 + 8 * (count6 + i), 8), 8, first + 8);
        if (flags & 32) {
            write_network(number_at(first6 + 8 * (2 * count6 + i), 8), 8, last);
            write_network(number_at(first6 + 8 * (3 * count6 + i), 8), 8, last + 8);
            if (memcmp(first, wanted, 16) <= 0 && memcmp(wanted, last, 16) <= 0) {
                return 1;
            }
        } else if (first6[16 * count6 + i] <= 128 && is_same(first, wanted, first6[16 * count6 + i])) {
            return 1;
        }
    }
    return 0;
}

static void change(uint8_t *block, uint64_t size) {
    static const uint64_t odd[] = {0, 1, 2, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 0x7fff, 0x8000,
        0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
        0xffffffffffffffff, 0x1fffffffffffffff, 0x2000000000000000};
    uint64_t at = draw(4) ? draw(size) : draw(128), value;
    switch (draw(4)) {
    case 0:
        block[at] ^= (uint8_t)(1u << draw(8));
        return;
    case 1:
        block[at] = (uint8_t)draw(256);
        return;
    case 2:                         /* a number, where numbers stand */
        at &= ~(uint64_t)3;
        value = odd[draw(sizeof(odd) / sizeof(odd[0]))] + draw(3) - 1;
        memcpy(block + at, &value, size - at < 8 || draw(2) ? 4 : 8);
        return;
    default:                        /* a number from elsewhere in the block */
        at &= ~(uint64_t)3;
        memmove(block + at, block + (draw(size) & ~(uint64_t)3), 4);
    }
}

int main(int argc, char **argv) {
    static const char *keys[] = {"a", "both", "long", "long6", "linked", "nobody", ""};
    static const char *addresses[] = {"10.0.0.1", "10.1.43.1", "203.0.113.7", "0.0.0.0", "255.255.255.255",
        "2001:db8::1", "2001:db8:63::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "junk"};
    FILE *file = fopen(argv[1], "rb");
    long count = atol(argv[2]), refused = 0, answered = 0, allowed = 0, damaged = 0;
    uint8_t texts[9][128] = {{0}}, *good, *block;
    uint64_t size;
    (void)argc;
    fseek(file, 0, SEEK_END);
    size = (uint64_t)ftell(file);
    rewind(file);
    good = malloc(size);
    block = malloc(size);           /* to the byte: a read behind it is found */
    if (fread(good, 1, size, file) != size) {
        return 2;
    }
    fclose(file);
    for (int i = 0; i < 9; i++) {
        strcpy((char *)texts[i] + 64, addresses[i]);
    }
    for (long turn = 0; turn < count; turn++) {
        Store store;
        int vectors = (int)draw(4);
        memcpy(block, good, size);
        for (uint64_t i = draw(3); turn > 0 && i < 3; i++) {
            change(block, size);
        }
        if (refuse_header((const StoreHeader *)block, size) != NULL) {
            refused++;
            continue;
        }
        point_into(&store, (const StoreHeader *)block, block);
        store.vectors = vectors < vectors_here() ? vectors : vectors_here();
        for (int k = 0; k < 7; k++) {
            for (int i = 0; i < 9; i++) {
                Question question = {(const uint8_t *)keys[k], strlen(keys[k]), texts[i] + 64, 0};
                const Record *record;
                Parts parts;
                Asked asked;
                uint8_t verdict;
                Verdict found;
                question.text_size = (ptrdiff_t)strlen(addresses[i]);
                found = find_verdict(&store, &question, &record, &parts);
                find_verdicts(&store, &question, 1, &verdict);
                if (verdict != found) {
                    printf("one and many differ\n");
                    return 1;
                }
                answered++;
                damaged += found == DAMAGED;
                if (found == MATCHED) {
                    allowed++;
                    parse_asked(&store, question.text, question.text_size, &asked);
                    if (!says_so((const uint8_t *)record, &question, &asked)) {
                        printf("wrongly allowed: %s %s in turn %ld\n", keys[k], addresses[i], turn);
                        return 1;
                    }
                }
            }
        }
    }
    printf("%ld blocks: %ld refused, %ld answers", count, refused, answered);
    printf(", %ld allowed, %ld damaged\n", allowed, damaged);
    free(good);
    free(block);
    return 0;
}
