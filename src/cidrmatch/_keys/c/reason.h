/* The result of a check as a number; `Reason` in reasons.py has the words, in the same order.
 *
 *     UNRESTRICTED MATCHED NOT_ENFORCED | NOT_LISTED ... STALE_DATA | ASK_OBJECTS ASK_PARSER
 *     allowed                           | denied                    | no reason: another function has to answer
 */
#ifndef CIDRMATCH_REASON_H
#define CIDRMATCH_REASON_H

typedef enum {
    UNRESTRICTED,
    MATCHED,
    NOT_ENFORCED,
    NOT_LISTED,
    DENIED_BY_ENTRY,
    CLIENT_IP_UNKNOWN,
    EMPTY_LIST,
    INACTIVE,
    UNKNOWN_KEY,
    DAMAGED,
    STALE_DATA,                     /* never the answer of a store; an engine answers it while its data is too old */
    ASK_OBJECTS,                    /* the block alone cannot answer: lists, conditions, states */
    ASK_PARSER,                     /* the text of the address is not common */
    LAST_ALLOWED = NOT_ENFORCED
} Verdict;

#endif
