# cython: language_level=3, nonecheck=True
"""One key, one address, one answer: the part of the engine that runs for every request.

An engine publishes its data as a `View`, one version that never changes.  A
check reads the current view once and asks only this view.  So its answer comes
from one version, and readers need no lock:

    engine.view --> View 17 | View 18         a commit replaces one reference

    overlay   a rule that is only a table  --ask_simple--> yes or no
              any other rule               --judge_rule--> a verdict            judge.pyx
    store     a record that is enough      --find_verdict--> a verdict          store.pyx
              any other                    --judge_stored--> a verdict          judge.pyx

This room has the fast paths, which answer most requests, and the `Decision`. judge.pyx has the order of the questions;
the fast paths are the cases that need only one of these questions.

If the settings hash ids, a view holds the hashes.  Callers of `Checker` pass
the plain id.

If anything goes wrong, a check raises or denies: no exception leads to
"allowed".
Cost: a look-up in the overlay or in the store, an address parse, a table search; `check` also makes a `Decision`.
Threads: safe without a lock, because views never change, and a checker's reference is replaced at once.
"""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t, uint64_t

from cidrmatch._core.address cimport OK, Bits, take_address, take_uncommon
from cidrmatch._core.frozen cimport NOT_COMMON, ask_common
from cidrmatch._core.prefix cimport Entry, Prefix, has_host_bits, new_prefix
from cidrmatch._keys.block cimport (
    ASK_OBJECTS, DAMAGED, DENIED_BY_ENTRY, MATCHED, NOT_LISTED, STALE_DATA, UNIT, UNKNOWN_KEY, Parts, Record, Verdict,
    is_plain, longest_own, read_own,
)
from cidrmatch._keys.judge cimport (
    NO_OWN, find_inner, is_inner_denied, judge_level, judge_rule, judge_stored, passes_trial, weigh_level,
)
from cidrmatch._keys.rule cimport Client, FrozenList, Rule, find_deciding, text_of
from cidrmatch._keys.store cimport tuple_for, tuple_of, write_answers
from cidrmatch._keys.store_builder cimport name_of
from cidrmatch._keys.view cimport View

from .._core import address_problem, is_address, shown
from ..errors import brief
from .reasons import REASONS_BY_VERDICT, STATES_BY_VERDICT

__all__ = ["Checker", "Decision", "carried_by", "client_of"]

cdef enum:
    MOST_GIVEN = 80             # characters that a log shows of what a client sent
    MOST_OWN = 1 << 16          # entries of a record that have numbers; a builder makes long lists of fewer


# -- The fast paths -----------------------------------------------------------

@cython.nonecheck(False)    # a rule is not None here
cdef inline int ask_simple(PyObject *found, object address) noexcept:
    """The common case, with as few reads of memory as possible: 1, 0, or NOT_COMMON if `judge_rule` has to decide."""
    # hot: begin
    if type(<object>found) is Rule and (<Rule>found).is_simple:
        return ask_common(&(<Rule>found).table, address)
    return NOT_COMMON
    # hot: end


cdef Verdict judge_key(View view, object key, object address, Client *client) except *:
    """Judge one request.  Needs: the key is an exact `str`."""
    cdef const Record *record
    cdef PyObject *found
    cdef Py_ssize_t position
    cdef Verdict verdict
    cdef Parts parts
    cdef Rule rule
    cdef int answer
    client.is_read = client.is_known = False
    client.now = NAN
    # 1. what changed lately
    if view.has_overlay:
        found = PyDict_GetItemWithError(view.overlay, key)
        if found is not NULL:
            if view.is_enforced:
                answer = ask_simple(found, address)
                if answer != NOT_COMMON:
                    # No branch on the answer, because the processor cannot predict it.
                    return <Verdict>(NOT_LISTED - (<int>NOT_LISTED - <int>MATCHED) * answer)
            rule = <object>found        # keeps the rule alive while Python code runs
            if view.is_enforced and rule is not None and rule.is_simple:
                client.is_known = take_uncommon(address, &client.address, &position) == OK
                client.is_read = True   # it is no common text, so `parse_common` is not called again
            return judge_rule(view, rule, address, client)
    if view.store is None:
        return UNKNOWN_KEY
    # 2. most stored keys have only own entries, and the store answers for them
    if view.is_enforced:
        verdict = view.store.find_verdict_for(key, address, &record, &parts)
        if verdict != ASK_OBJECTS:
            return verdict
    else:
        verdict = view.store.find(key, &record, &parts)
        if verdict != MATCHED:
            return verdict
    return judge_stored(view, key, record, &parts, address, client)


# -- The checker --------------------------------------------------------------

cdef class Checker:
    """Checker()\n--\n\nAnswer checks from the current view; `Engine` adds everything that changes it.

    Attributes:
        view: the current version of the data.
        is_stale: whether the data is older than it may be; while it is, every check is denied, whatever the view says.
    """

    # These flags are here and not in the view, because a view never changes, and data may become stale when no new view
    # can be made.  A checker that has hashed ids once uses the slow path from then on.
    cdef View current
    cdef bint is_old
    cdef bint hashes_ids
    cdef bint is_special        # stale, or with hashed ids
    cdef bint is_direct         # neither, and keys of the overlay may be judged by their rules at once

    @property
    def view(self):
        return self.current

    @view.setter
    def view(self, View view):
        if view is not None and view.id_hash is not None:
            self.hashes_ids = self.is_special = True    # set before the view can be asked
        self.is_direct = False                          # the next line drops the old view, which may run other code
        self.current = view
        self.choose_way()

    @property
    def is_stale(self):
        return self.is_old

    @is_stale.setter
    def is_stale(self, bint is_stale):
        self.is_old = is_stale
        self.is_special = is_stale or self.hashes_ids
        self.choose_way()

    cdef void choose_way(self) noexcept:
        self.is_direct = self.current is not None and self.current.is_common and not self.is_special

    def allows(self, key, address, /):
        """Tell whether a client address may use a key: `check(...)` without the reasons.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `bool`.  A bad or unknown address is False for a restricted key, never an exception.
        Raises:
            TypeError: the key is no text, such as None, bytes, or an address where the two were swapped.
            Whatever the engine's clock raises, for a key whose entries have times.
        Cost: about three dictionary look-ups, for a key with 20 IPv4 entries.
        Threads: safe without a lock; the answer is that of one version.
        Source: B2, B5, U1, U6; C23.
        """
        cdef View view = self.current
        cdef PyObject *found
        cdef int answer
        if not PyUnicode_CheckExact(key):
            return judge_yes_or_no(self, view, name_of(key), address)
        # As in `judge_key`, but without a call and without counting references: the view keeps the rule alive.
        if self.is_direct:
            found = PyDict_GetItemWithError(view.overlay, key)
            if found is not NULL:
                answer = ask_simple(found, address)
                if answer != NOT_COMMON:
                    return answer != 0
        return judge_yes_or_no(self, view, key, address)

    def allows_many(self, keys, addresses, /, *, out=None):
        """Tell for many keys and addresses at once whether each address may use its key.

        Args:
            keys, addresses: two lists of the same length, of what `allows` takes.
            out: a writable contiguous buffer of n bytes.
        Returns:
            `bytes`, n long, 1 or 0 each; or `out`.
        Raises:
            TypeError: a key is no text; the message names its position.
            ValueError: the lists differ in length, or `out` does, or it lies in the block of a store that was mapped.
                Whatever the engine's clock raises.
        Cost: for keys in the store several wait for memory at a time, without the interpreter lock; for others as
            `allows`.
        Threads: safe without a lock; the answers are those of one version.
        Source: B2, B5, U1, U6; C23.
        """
        cdef View view = self.current
        cdef tuple asked_keys = tuple_of(keys), asked = tuple_for(asked_keys, addresses)
        cdef Py_ssize_t i, count = len(asked)
        cdef bytearray answers = bytearray(b"\xff" * count)
        cdef uint8_t[::1] into = answers
        cdef Verdict verdict
        cdef Client client
        if self.is_special:
            asked_keys = held_ids(view, asked_keys)
            if self.is_old:
                return write_answers(bytearray(count), out, view.store)
        if count > 0 and view.store is not None and view.is_enforced:
            view.store.find_verdicts_for(asked_keys, asked, view.overlay, &into[0])
        for i in range(count):
            verdict = <Verdict>into[i]
            if verdict >= ASK_OBJECTS:
                key = asked_keys[i]
                if not PyUnicode_CheckExact(key):
                    key = name_of(key, i)
                verdict = judge_key(view, key, asked[i], &client)
            into[i] = is_allowed(view, verdict)
        return write_answers(answers, out, view.store)

    def check(self, key, address, /):
        """Decide whether a client address may use a key, and say why.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `Decision`.
        Raises:
            TypeError: the key is no text.
            Whatever the engine's clock raises, for a key whose entries have times.
        Cost: as `allows`, and one small object.
        Threads: safe without a lock; the answer is that of one version.
        Source: B2, B28, U7, U14; C23.
        """
        cdef Decision decision
        cdef View view
        if not PyUnicode_CheckExact(key):
            return Checker.check(self, name_of(key), address)
        decision = Decision.__new__(Decision)
        view = self.current
        decision.view = view
        decision.key = key
        decision.asked = address
        if self.is_special:
            decision.verdict = judge_special(self, view, key, address, &decision.client)
        else:
            decision.verdict = judge_key(view, key, address, &decision.client)
        return decision


cdef bint judge_yes_or_no(Checker checker, View view, object key, object address) except -1:
    """Whether a request passes, in all cases.  A separate function, so that the common case needs no `Client`."""
    cdef Client client
    if checker.is_special:
        return is_allowed(view, judge_special(checker, view, key, address, &client))
    return is_allowed(view, judge_key(view, key, address, &client))


cdef Verdict judge_special(Checker checker, View view, object key, object address, Client *client) except *:
    """As `judge_key`, for a checker whose data is stale or that has hashed ids."""
    if checker.is_old:
        return STALE_DATA
    return judge_key(view, view.held_id(key), address, client)


cdef tuple held_ids(View view, tuple keys):
    """The held ids of many keys; TypeError with the position of a key that is no text."""
    cdef list ids = list(keys)
    cdef Py_ssize_t i
    for i in range(len(ids)):
        ids[i] = view.held_id(name_of(ids[i], i))
    return tuple(ids)


# -- The decision -------------------------------------------------------------

def client_of(Decision decision not None, /):
    """Give the address that was judged as a `Prefix`, or None when it was unknown or no address."""
    cdef Client client
    if decision.view is None:
        address = decision.address
        return None if address is None else Prefix(address)
    decision.find_client(&client)
    return new_prefix(&client.address) if client.is_known else None


def carried_by(Decision decision not None, /):
    """Give the IPv4 addresses that the judged address carries by the policy's translations, as a tuple of `Prefix`."""
    cdef Prefix client = client_of(decision)
    cdef Bits inner
    cdef list found = []
    if client is not None:
        for prefix in decision.policy.translations:
            if find_inner(&(<Prefix?>prefix).bits, &client.bits, &inner):
                found.append(new_prefix(&inner))
    return tuple(found)


cdef tuple FACTS = (
    "allowed", "reason", "key", "state", "version", "policy", "address", "given", "problem", "entry", "label",
    "list_name", "would_allow",
)


@cython.final
cdef class Facts:
    """The facts of a decision that another process made, by name."""

    cdef dict facts


def decision_of_facts(dict facts not None, render, /):
    """Make the decision that was pickled: the same facts, without the data that it was made from."""
    cdef Decision decision = Decision.__new__(Decision)
    cdef Facts known = Facts.__new__(Facts)
    known.facts = {"render": render}
    for name in FACTS:
        known.facts[name] = facts[name]
    decision.key = facts["key"]
    decision.asked = known
    return decision


@cython.final
@cython.freelist(16)
cdef class Decision:
    """Decision()\n--\n\nSay whether a request passes, and everything that led there.  Immutable.

    Decisions come from `Engine.check`.  Entry, label and texts are worked out
    when they are asked for, from the version that was judged.  A decision that
    is pickled takes its facts along and leaves that version behind.

    Exactly one of `address` and `problem` is None.
    """

    cdef object fact(self, str name):
        """Give a fact of a decision that has no view."""
        if type(self.asked) is not Facts:
            raise TypeError("a Decision comes from Engine.check()")
        return (<Facts>self.asked).facts[name]

    @property
    def allowed(self):
        """Whether the request passes; False for a decision that nobody made."""
        if self.view is None:
            return type(self.asked) is Facts and self.fact("allowed") is True
        return is_allowed(self.view, self.verdict)

    @property
    def reason(self):
        """The `Reason`."""
        if self.view is None:
            return self.fact("reason")
        return REASONS_BY_VERDICT[<int>self.verdict]

    @property
    def state(self):
        """The `State` of the key, or None for a key of which nothing is known that holds."""
        cdef Rule rule
        if self.view is None:
            return self.fact("state")
        told = STATES_BY_VERDICT[<int>self.verdict]
        if told is not None:
            return told
        rule = self.known_rule()
        return None if rule is None else self.view.state(rule)

    cdef Rule known_rule(self):
        """The rule that was judged, or None; a rule of a record of the store is made now."""
        if self.verdict == UNKNOWN_KEY or self.verdict == DAMAGED or self.verdict == STALE_DATA:
            return None
        if self.rule is None and self.view is not None:
            self.rule = self.view.rule(self.view.held_id(self.key))
        return self.rule

    @property
    def version(self):
        """The version of the engine's data that was judged."""
        return self.fact("version") if self.view is None else self.view.version

    @property
    def policy(self):
        """The engine's `Policy`."""
        return self.fact("policy") if self.view is None else self.view.settings.policy

    @property
    def address(self):
        """The evaluated address in canonical text (B28), or None when it was unknown or no address."""
        cdef Client client
        if self.view is None:
            return self.fact("address")
        self.find_client(&client)
        return text_of(&client)

    @property
    def given(self):
        """What was given as the address, as text and uncut; None if nothing was.

        It comes from the client: show it with `repr` or `ascii`, and cut.
        """
        return self.given_text()

    cdef object given_text(self):
        if self.view is None:
            return self.fact("given")
        if self.asked is None:
            return None
        given = shown(self.asked)
        return repr(given) if type(given) is bytes else given

    @property
    def problem(self):
        """Why that is no address, as an `InvalidAddress` with code, reason and suggestion; None if it is one.

        Its code is "not_given" where the address was None, and "wrong_type" for an object that is never an address.
        """
        cdef Bits bits
        cdef Py_ssize_t position = 0
        cdef int status
        if self.view is None:
            return self.fact("problem")
        if self.client.is_known:
            return None
        status = take_address(self.asked, &bits, &position)
        return None if status == OK else address_problem(self.asked, status, position, is_address)

    cdef int find_client(self, Client *client) except -1:
        """The client that was judged.  The common case does not store the parsed address, so it is parsed again."""
        cdef Py_ssize_t position
        client[0] = self.client
        if not client.is_read:
            client.is_known = take_address(self.asked, &client.address, &position) == OK
        return 0

    cdef bint is_of_record(self, Own *own) except -1:
        """Was this judged by a plain record of the store alone?  Then no list was on trial.

        `own` is the record's entry that decided; its number is 0 if there is none, or if only `deciding` can tell.
        The record is found again: the check has just read it, but a decision has no room for where it lies.
        """
        cdef View view = self.view
        cdef const Record *record
        cdef Client client
        cdef Parts parts
        cdef int64_t at
        own.number = 0
        if view.store is None or view.id_hash is not None:
            return False
        if self.verdict != MATCHED and self.verdict != NOT_LISTED or not PyUnicode_CheckExact(self.key):
            return False
        if view.has_overlay and PyDict_GetItemWithError(view.overlay, self.key) is not NULL:
            return False
        if view.store.find(self.key, &record, &parts) != MATCHED or not is_plain(record):
            return False
        if self.verdict == MATCHED:
            self.find_client(&client)
            at = longest_own(record, &parts, &client.address)
            if 0 <= at < MOST_OWN:
                own.store = view.store.serial
                own.number = <uint64_t>(<const uint8_t *>record - view.store.store.block) * MOST_OWN // UNIT + at
                read_own(record, &parts, at, &own.bits)
                own.is_bare = record.notes_size == 0 and not has_host_bits(&own.bits)
        return True

    cdef object deciding(self):
        """The entry that decided, with the name of its list; or None."""
        cdef Client client
        cdef Bits inner
        cdef tuple level
        if self.verdict != MATCHED and self.verdict != DENIED_BY_ENTRY:
            return None, None
        self.find_client(&client)
        level = self.deciding_level(&client)
        if weigh_level(level, &client.address, client.now) == self.verdict:
            return self.winner_of(level, &client.address, client.now)
        # Otherwise an IPv4 address inside this address is denied.
        if is_inner_denied(level, &client, self.view.translations, &inner):
            return self.winner_of(level, &inner, client.now)
        return None, None

    cdef object winner_of(self, tuple level, const Bits *address, double now):
        """The entry of a level that decides about an address, with the name of its list."""
        cdef FrozenList frozen
        cdef Entry entry, best = None
        name = None
        for frozen in level:
            entry = find_deciding(frozen, address, now, self.verdict == DENIED_BY_ENTRY)
            if entry is not None and (best is None or entry.bits.length > best.bits.length):
                best, name = entry, frozen.name
        return best, name

    cdef tuple deciding_level(self, Client *client):
        """The lists of the level that decided: the first that denied, or the first of all where none did."""
        cdef View view = self.view
        cdef tuple level = ()
        for level in view.levels_of(self.known_rule(), NULL, NULL):
            if self.verdict == MATCHED:
                break
            if judge_level(level, NO_OWN, client, view.clock, view.translations) == self.verdict:
                break
        return level

    @property
    def entry(self):
        """The entry that decided: the most specific that covers the address, or None."""
        return self.fact("entry") if self.view is None else self.deciding()[0]

    @property
    def label(self):
        """The label of that entry, or None."""
        entry = self.entry
        return None if entry is None else entry.label

    @property
    def list_name(self):
        """The named list that holds that entry, or None for the key's own entries."""
        return self.fact("list_name") if self.view is None else self.deciding()[1]

    @property
    def would_allow(self):
        """What the key's shadow list would have said, or None without one (B31)."""
        cdef Client client = self.client
        cdef Rule rule
        if self.view is None:
            return self.fact("would_allow")
        rule = self.known_rule()
        if rule is None or rule.shadow is None:
            return None
        return client.is_known and passes_trial(self.view, rule.shadow.list, &client)

    def response(self, *, show_address=False):
        """Render the denial in the product's own form: `.status`, `.headers`, `.body`.

        Args:
            show_address: whether the body may tell the client which address was judged.
        Raises:
            ValueError: the request was allowed, so there is nothing to refuse.
        Source: B2, B3, U7, U8; C12, C13, C26.
        """
        render = self.fact("render") if self.view is None else self.view.settings.render
        return render(self, show_address=show_address)

    def to_dict(self):
        """Give the facts as plain values, for a log or JSON.

        `given` is what the client sent, cut to 80 characters; `problem` is a code, as `InvalidAddress` has it.
        """
        entry, list_name = (self.entry, self.list_name) if self.view is None else self.deciding()
        state, problem, given = self.state, self.problem, self.given
        return {
            "allowed": self.allowed,
            "reason": str(self.reason),
            "key": self.key,
            "address": self.address,
            "given": given if given is None or len(given) <= MOST_GIVEN else given[:MOST_GIVEN] + "...",
            "problem": None if problem is None else problem.code,
            "suggestion": None if problem is None else problem.suggestion,
            "entry": None if entry is None else self.policy.canonical(entry.prefix),
            "label": None if entry is None else entry.label,
            "list": list_name,
            "state": None if state is None else str(state),
            "version": self.version,
        }

    def __bool__(self):
        raise TypeError("a Decision has no truth value; ask its .allowed")

    def __reduce__(self):
        cdef dict facts = {}
        for name in FACTS:
            facts[name] = getattr(self, name)
        return decision_of_facts, (facts, self.fact("render") if self.view is None else self.view.settings.render)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        if self.view is None and type(self.asked) is not Facts:
            return "<Decision that nobody made>"
        given = self.given_text()
        whom = self.address or (None if given is None else brief(given))
        return f"<Decision {'allowed' if self.allowed else 'denied'}: {self.reason}, {brief(self.key)} from {whom}>"
