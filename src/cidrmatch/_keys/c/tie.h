/* Which entry wins for an address: the longest prefix, and on a tie an entry that denies.
 *
 *     entries that count now and cover the address         found
 *     10.0.0.0/8 allow                                      8, allows
 *     10.1.0.0/16 deny                                     16, denies     longer
 *     10.1.0.0/16 allow                                    16, denies     a tie
 *
 * Within one list and between lists, this function alone decides.  The order of the calls does not matter.
 */
#ifndef CIDRMATCH_TIE_H
#define CIDRMATCH_TIE_H

typedef struct {
    int length;                     /* bits of the winning prefix; NO_ENTRY: no entry covers the address */
    int denies;                     /* counts only if there is an entry */
} Winner;

enum { NO_ENTRY = -1 };

/* Weigh an entry of this length, or the winner of another list, against the winner so far. */
static inline void weigh(Winner *found, int length, int denies) {
    if (length > found->length) {
        found->length = length;
        found->denies = denies;
    } else if (length == found->length) {
        found->denies |= denies;
    }
}

#endif
