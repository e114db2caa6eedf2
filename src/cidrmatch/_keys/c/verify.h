/* Checking every byte of a block that a check may read, for files that somebody else wrote.
 *
 * If nothing is found, every key can be found, every entry is a prefix, every link names a list, and nothing lies
 * outside. A check is safe without this: a false record is then `DAMAGED`, or answers by the entries that it has.
 *
 * Cost: a hash and a search for each key, and one step for each entry.
 */
#ifndef CIDRMATCH_VERIFY_H
#define CIDRMATCH_VERIFY_H

#include "find.h"

/* Is this a length of IPv4, and are there no host bits? */
static inline int is_prefix4(uint32_t first, uint32_t length) {
    return length <= 32 && (uint32_t)((uint64_t)first << length) == 0;
}

/* Is this a length of IPv6, and are there no host bits? */
static inline int is_prefix6(uint64_t upper, uint64_t lower, uint32_t length) {
    uint64_t upper_host = length == 0 ? UINT64_MAX : length >= 64 ? 0 : UINT64_MAX >> length;
    uint64_t lower_host = length <= 64 ? UINT64_MAX : length >= 128 ? 0 : UINT64_MAX >> (length - 64);
    return length <= 128 && (upper & upper_host) == 0 && (lower & lower_host) == 0;
}

static inline const char *find_fault4(const Parts *parts, size_t count, int is_sorted) {
    for (size_t i = 0; i < count; i++) {
        uint32_t first = parts->first4[i];
        if (is_sorted) {
            if (parts->last4[i] < first || (i > 0 && first <= parts->last4[i - 1])) {
                return "ranges are not sorted";
            }
        } else if (!is_prefix4(first, parts->length4[i])) {
            return "an entry is no prefix";
        }
    }
    return NULL;
}

static inline const char *find_fault6(const Parts *parts, size_t count, int is_sorted) {
    for (size_t i = 0; i < count; i++) {
        uint64_t upper = parts->first6[i], lower = parts->first6[count + i];
        if (is_sorted) {
            if (is_before(parts->last6[i], parts->last6[count + i], upper, lower)) {
                return "ranges are not sorted";
            }
            if (i > 0 && !is_before(parts->last6[i - 1], parts->last6[count + i - 1], upper, lower)) {
                return "ranges are not sorted";
            }
        } else if (!is_prefix6(upper, lower, parts->length6[i])) {
            return "an entry is no prefix";
        }
    }
    return NULL;
}

/* What is wrong with one record; NULL if nothing is.
 *
 * Needs: a record and parts from `record_at`.
 * Reads: the whole record but for its notes. */
static inline const char *find_fault_of(const Record *record, const Parts *parts, uint32_t lists) {
    const char *fault;
    uint32_t flags = record->flags;
    if (flags & ~(uint32_t)(IS_ENABLED | NEEDS_LIST | HAS_ENTRIES | NEEDS_OBJECTS | IS_SORTED4 | IS_SORTED6)) {
        return "a record has flags that no record has";
    }
    if (!(flags & IS_SORTED4) != !(flags & IS_SORTED6)) {
        return "a record is sorted by half";
    }
    if ((record->count4 > 0 || record->count6 > 0) && !(flags & (HAS_ENTRIES | NEEDS_OBJECTS))) {
        return "a record without entries has some";
    }
    for (uint32_t i = 0; i < (uint32_t)record->links + record->within; i++) {
        if (parts->links[i] >= lists) {
            return "a key is linked to a list that is not there";
        }
    }
    fault = find_fault4(parts, record->count4, (flags & IS_SORTED4) != 0);
    return fault != NULL ? fault : find_fault6(parts, record->count6, (flags & IS_SORTED6) != 0);
}

/* What is wrong with the records or the buckets; NULL if nothing is.
 *
 * Needs: a store whose header `refuse_header` accepted, and this header.
 * Reads: all records and all buckets. */
static inline const char *find_fault(const Store *store, const StoreHeader *header) {
    uint64_t keys = 0, entered = 0;
    for (uint64_t place = store->records / UNIT; place * UNIT < store->records_end;) {
        Parts parts, other;
        const Record *record = record_at(store, place, &parts), *found;
        const char *fault;
        if (record == NULL || record->size == 0) {
            return "a record does not fit where it lies";
        }
        fault = find_fault_of(record, &parts, header->lists);
        if (fault != NULL) {
            return fault;
        }
        if (find_record(store, parts.key, record->key_size, siphash(store->seed, parts.key, record->key_size), &found,
                        &other) != MATCHED || found != record) {
            return "a key is not found where its hash says";
        }
        keys++;
        place += record->size;
    }
    for (uint64_t i = 0; i < store->bucket_count; i++) {
        for (int k = 0; k < BUCKET; k++) {
            entered += store->buckets[i].places[k] != 0;
        }
    }
    if (keys != header->keys || entered != header->keys) {
        return "there are not as many keys as it says";
    }
    return NULL;
}

#endif
