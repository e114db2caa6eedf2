/* Answers from a block alone: from a key and the text of an address to a verdict.
 *
 *     text --parse_asked-->  address --.
 *     key  --find_record-->  record  --+-- plain?  --own_entries_cover--> MATCHED or NOT_LISTED
 *                                       '-- not:    ASK_OBJECTS; links, conditions and states are not judged here
 *
 * Cost: one question waits for memory twice; several questions wait at the same time.
 */
#ifndef CIDRMATCH_ANSWER_H
#define CIDRMATCH_ANSWER_H

#include "_core/c/parse.h"
#include "covers.h"
#include "find.h"

typedef struct {
    const uint8_t *key;             /* NULL: this file cannot answer */
    size_t key_size;
    const uint8_t *text;            /* of the address; NULL: the careful parser is needed */
    ptrdiff_t text_size;
} Question;

enum { IN_FLIGHT = 16 };

/* Does the record have own entries and nothing else?  Most records do. */
static inline int is_plain(const Record *record) {
    return (record->flags & (IS_ENABLED | HAS_ENTRIES | NEEDS_OBJECTS)) == (IS_ENABLED | HAS_ENTRIES)
        && record->links == 0 && record->within == 0;
}

/* Parse the text of an address; return whether it is a common text of an address that is not IPv4-mapped.
 *
 * Needs: ROOM_BEFORE readable bytes before the text.
 * Reads: the text and these bytes. */
static inline int parse_asked(const Store *store, const uint8_t *text, ptrdiff_t size, Asked *asked) {
    asked->family = parse_text(store->vectors, text, size, &asked->value, &asked->upper, &asked->lower);
    return asked->family == 4 || (asked->family == 6 && !CIDRMATCH_IS_MAPPED6(asked->upper, asked->lower));
}

/* Answer by the record alone; or return ASK_OBJECTS or ASK_PARSER.
 *
 * Needs: the same as `find_record` and `parse_asked`; the text may be NULL.
 * Reads: the same as these. */
static inline Verdict find_verdict_at(
    const Store *store, const Question *question, uint64_t hash, const Record **record, Parts *parts) {
    Asked asked;
    int is_parsed = question->text != NULL && parse_asked(store, question->text, question->text_size, &asked);
    Verdict found = find_record(store, question->key, question->key_size, hash, record, parts);
    if (found != MATCHED) {
        return found;
    }
    if (!is_plain(*record)) {
        return ASK_OBJECTS;
    }
    if (!is_parsed) {
        return ASK_PARSER;
    }
    return own_entries_cover(store, *record, parts, &asked) ? MATCHED : NOT_LISTED;
}

/* One question.  The record is prefetched, and the address is parsed meanwhile.  Needs, Reads: as `find_verdict_at`. */
static inline Verdict find_verdict(const Store *store, const Question *question, const Record **record, Parts *parts) {
    uint64_t hash = siphash(store->seed, question->key, question->key_size);
    fetch_record(store, hash);
    return find_verdict_at(store, question, hash, record, parts);
}

/* Several questions, in three passes, so that one question waits for memory while others are processed.
 *
 * Needs: `count` questions and room for as many verdicts; a question without a key is ASK_OBJECTS.
 * Reads: as `find_verdict_at`. */
static inline void find_verdicts(const Store *store, const Question *questions, ptrdiff_t count, uint8_t *verdicts) {
    uint64_t hashes[IN_FLIGHT] = {0};
    for (ptrdiff_t begin = 0; begin < count; begin += IN_FLIGHT) {
        const Question *group = questions + begin;
        int size = count - begin < IN_FLIGHT ? (int)(count - begin) : IN_FLIGHT;
        for (int i = 0; i < size; i++) {
            if (group[i].key != NULL) {
                hashes[i] = siphash(store->seed, group[i].key, group[i].key_size);
                CIDRMATCH_PREFETCH(store->buckets + bucket_of(hashes[i], store->bucket_count));
            }
        }
        for (int i = 0; i < size; i++) {
            if (group[i].key != NULL) {
                fetch_record(store, hashes[i]);
            }
        }
        for (int i = 0; i < size; i++) {
            const Record *record;
            Parts parts;
            verdicts[begin + i] = (uint8_t)(
                group[i].key != NULL ? find_verdict_at(store, &group[i], hashes[i], &record, &parts) : ASK_OBJECTS);
        }
    }
}

#endif
