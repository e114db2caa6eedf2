/* What a check finds, as a number: `Reason` in reasons.py has the words, in the same order.
 *
 *     UNRESTRICTED MATCHED NOT_ENFORCED | NOT_LISTED ... STALE_DATA | ASK_OBJECTS ASK_PARSER
 *     allowed                           | denied                    | no reason: somebody else has to look
 */
#ifndef CIDRMATCH_VERDICT_H
#define CIDRMATCH_VERDICT_H

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
    STALE_DATA,                     /* no store finds this; an engine whose file has not been seen for too long does */
    ASK_OBJECTS,                    /* the block does not say it all: conditions, a trial */
    ASK_PARSER,                     /* the text of the address is not a common one */
    LAST_ALLOWED = NOT_ENFORCED
} Verdict;

#endif
