# cython: language_level=3, nonecheck=True
"""The judge: the order in which a request is judged, and which entry of a level decides.

    enforced?  -->  state?  -->  address?  -->  level 1  -->  level 2 ...          all levels must pass
                                                |
                                                '-- the most specific entry of its lists that counts now;
                                                    of equally specific ones, one that denies

A request is judged by a rule, or by a record of the store; `judge` asks the same questions for both. view.pyx decides
which levels a key has.

An IPv6 address may contain an IPv4 address, by a translation that the policy names.  Then a deny entry for the inner
address denies, too; an allow entry for it allows nothing.

If anything goes wrong, a check raises or denies: no exception leads to "allowed".
Cost: an address parse, and a table search for each list; the fast paths of check.pyx need less.
Threads: this room has no state.  A trial is counted without a lock, so two requests at the same time may count as one.
"""

from libc.stdint cimport uint32_t, uint64_t

from cidrmatch._core.address cimport OK, Bits, set_ipv4, take_address
from cidrmatch._core.prefix cimport Prefix, covers, read_prefix
from cidrmatch._keys.block cimport (
    ASK_OBJECTS, CLIENT_IP_UNKNOWN, DAMAGED, DENIED_BY_ENTRY, EMPTY_LIST, HAS_ENTRIES, MATCHED, NEEDS_OBJECTS,
    NOT_ENFORCED, NOT_LISTED, UNKNOWN_KEY, Parts, Record, Verdict, record_covers,
)
from cidrmatch._keys.rule cimport NO_ENTRY, Client, FrozenList, Rule, Winner, text_of
from cidrmatch._keys.view cimport Terms, View, judge_state

__all__ = ["inner_address"]


# -- One request --------------------------------------------------------------

cdef int read_client(Client *client, object address) except -1:
    """Parse the given address, once in a check."""
    cdef Py_ssize_t position
    if not client.is_read:
        client.is_known = take_address(address, &client.address, &position) == OK
        client.is_read = True
    return 0


cdef Verdict judge(View view, Rule rule, const Record *record, const Parts *parts, object address,
                   Client *client) except *:
    """Judge one request by a rule, or by a record if `rule` is None.  This is the order of the questions for all keys.

    Returns ASK_OBJECTS for a record that needs a rule, because one of its lists may deny, and then lengths decide.
    """
    cdef Verdict verdict
    cdef Terms terms
    cdef tuple level
    cdef OwnEntries own = NO_OWN
    if not view.is_enforced:
        return NOT_ENFORCED
    # 1. the state
    terms = view.terms_of(rule, record)
    verdict = judge_state(&terms)
    if verdict != MATCHED:
        return verdict
    # 2. the address
    read_client(client, address)
    if not client.is_known:
        return CLIENT_IP_UNKNOWN
    # 3. level 1, then each list that the key lies within
    if rule is None and record.flags & HAS_ENTRIES:
        own = OWN_COVER if record_covers(&view.store.store, record, parts, &client.address) else OWN_MISS
    for level in view.levels_of(rule, record, parts):
        verdict = judge_level(level, own, client, view.clock, view.translations)
        if verdict != MATCHED:
            return verdict
        own = NO_OWN
    return MATCHED


cdef Verdict judge_rule(View view, Rule rule, object address, Client *client) except *:
    """Judge one request by a rule, and count it if a list is on trial; the rule None means that the key was removed."""
    if rule is None:
        return UNKNOWN_KEY
    if rule.shadow is not None:
        read_client(client, address)
        rule.shadow.note(client, client.is_known and passes_trial(view, rule.shadow.list, client))
    return judge(view, rule, NULL, NULL, address, client)


cdef Verdict judge_stored(View view, object key, const Record *record, const Parts *parts, object address,
                          Client *client) except *:
    """Judge one request by a record of the store; if the record is not enough, by a rule that is made of it."""
    cdef Verdict verdict
    cdef Rule rule
    if not record.flags & NEEDS_OBJECTS:
        verdict = judge(view, None, record, parts, address, client)
        if verdict != ASK_OBJECTS:
            return verdict
    rule = view.stored_rule(key)
    return DAMAGED if rule is None else judge_rule(view, rule, address, client)


cdef bint passes_trial(View view, FrozenList frozen, Client *client) except -1:
    """Would a list on trial let this client pass?"""
    return judge_level((frozen,), NO_OWN, client, view.clock, view.translations) == MATCHED


# -- Levels -------------------------------------------------------------------

cdef Verdict judge_level(tuple level, OwnEntries own, Client *client, object clock, tuple translations) except *:
    """Judge an address by the lists of one level: the most specific entry decides, and between equals deny wins.

    `own` tells whether own entries in a record cover the address.  If a list of the same level may deny, the lengths of
    these entries are needed, so the answer is ASK_OBJECTS.
    """
    cdef FrozenList frozen
    cdef bint has_entries = own != NO_OWN, may_deny = False
    cdef Verdict verdict
    cdef Bits inner
    for frozen in level:
        if frozen is None:              # the record links a list that does not exist
            return DAMAGED
        frozen.tell_time(client, clock)
        has_entries |= len(frozen.entries) > 0
        may_deny |= frozen.may_deny
    if not has_entries:
        return EMPTY_LIST
    if may_deny:
        if own != NO_OWN:
            return ASK_OBJECTS
        verdict = weigh_level(level, &client.address, client.now)
        if verdict == MATCHED and translations and is_inner_denied(level, client, translations, &inner):
            return DENIED_BY_ENTRY
        return verdict
    if own == OWN_COVER:
        return MATCHED
    for frozen in level:
        if frozen.lets_in(&client.address, client.now):
            return MATCHED
    return NOT_LISTED


cdef Verdict weigh_level(tuple level, const Bits *address, double now) except *:
    """Weigh the entries of all lists of a level against one another."""
    cdef FrozenList frozen
    cdef Winner found = Winner(NO_ENTRY, False)
    for frozen in level:
        frozen.weigh_entries(address, now, &found)
    if found.length == NO_ENTRY:
        return NOT_LISTED
    return DENIED_BY_ENTRY if found.denies else MATCHED


cdef bint is_inner_denied(tuple level, const Client *client, tuple translations, Bits *inner) except -1:
    """Does the level deny an IPv4 address inside this IPv6 address, by a translation?  Then `inner` has it."""
    for prefix in translations:
        if find_inner(&(<Prefix>prefix).bits, &client.address, inner):
            if weigh_level(level, inner, client.now) == DENIED_BY_ENTRY:
                return True
    return False


cdef bint find_inner(const Bits *translation, const Bits *address, Bits *inner) noexcept nogil:
    """Read the IPv4 address behind the prefix of a translation; False if the address is not inside this prefix.

    RFC 6052 section 2.2: the octet of bits 64 to 71 is skipped.  RFC 3056: 2002::/16.
    """
    cdef uint64_t behind
    if not covers(translation, address):
        return False
    if translation.length == 16:
        set_ipv4(inner, <uint32_t>(address.upper >> 16))
    elif translation.length == 96:
        set_ipv4(inner, <uint32_t>address.lower)
    else:
        behind = address.lower << 8
        if translation.length < 64:
            behind = address.upper << translation.length | behind >> (64 - translation.length)
        set_ipv4(inner, <uint32_t>(behind >> 32))
    return True


def inner_address(translation, address, /):
    """Give the IPv4 address that an IPv6 address carries, as text, or None.

    Args:
        translation: a `Prefix`, one of a policy's `translations`.
        address: what `parse_address` takes.
    """
    cdef Client client
    cdef Bits bits, inner
    cdef Py_ssize_t position
    read_prefix(translation, False, &bits)
    if take_address(address, &client.address, &position) != OK or not find_inner(&bits, &client.address, &inner):
        return None
    client.address = inner
    client.is_known = True
    return text_of(&client)
