# cython: language_level=3
"""Columns of requests: a column of keys and one of addresses, and for each row the decision in numbers.

    key           address        allowed   verdict             problem            entry
    key_live_1    203.0.113.7    1         MATCHED             0                  1     entries[1] decided
    key_live_1    203.0.113.07   0         CLIENT_IP_UNKNOWN   LEADING_ZERO       0     no entry did
    null          203.0.113.7    0         UNKNOWN_KEY         KEY_NOT_GIVEN      0

Each number is in a buffer of its own for all rows; `PROBLEMS` of the core and `REASONS_BY_VERDICT` name them.  The
answers are those of `Checker.check`, row by row: `allowed`, `reason`, the code of `problem`, `entry` and `list_name`.
A row without a key is denied, whatever the engine does with unknown keys.

    rows --PIECE at a time--> find_verdicts     keys of a store, no lock: most rows of most columns
                              find_parsed       the same, where an address is packed, or no common text
                              judge_row         the overlay, lists, conditions, hashed ids: as `judge_key`

A key is a text in UTF-8 on both sides, so its bytes are compared as they lie, and no `str` is made of it on the way
through a store.

Cost: as `allows_many` without the Python objects; a row of `judge_row` some hundred ns; an entry about a microsecond.
Threads: pieces of a column are read without the interpreter lock; the answers are those of one version.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport NAN
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, memset

from cidrmatch._core.address cimport OK, Bits
from cidrmatch._core.arrow cimport PACKED, Chunk, Item, count_items, find_item, offers_arrow, take_chunks
from cidrmatch._core.column cimport BROKEN, KEY_NOT_GIVEN, broken_item, is_null, read_item
from cidrmatch._keys.block cimport (
    ASK_OBJECTS, ASK_PARSER, CLIENT_IP_UNKNOWN, DENIED_BY_ENTRY, MATCHED, NOT_LISTED, STALE_DATA, UNKNOWN_KEY, Parts,
    Question, Record, Store, Verdict, find_record, find_verdicts, is_plain, record_covers, siphash,
)
from cidrmatch._keys.check cimport Decision, is_allowed
from cidrmatch._keys.judge cimport judge_rule, judge_stored
from cidrmatch._keys.rule cimport Client, Rule
from cidrmatch._keys.view cimport View

__all__ = ["judge_columns"]

cdef enum:
    PIECE = 1024        # rows that are asked at a time


def judge_columns(checker not None, keys, addresses, /, *, bint with_entries=False):
    """Decide for each row of two Arrow arrays whether the address may use the key, and why.

    Args:
        checker: a `Checker`, such as an `Engine`.
        keys: an Arrow array of texts, chunked or not; nulls are allowed.
        addresses: an Arrow array as `match_column` takes it, of the same length.
        with_entries: whether to tell the deciding entry of each row.
    Returns:
        Three `bytes` for n rows (allowed: 1 or 0; the index of the `Reason`; the index of `PROBLEMS`), a `bytearray` of
        32-bit numbers and a list of (`Entry`, name of its list or None).  Row i was decided by the item of this list
        that its number names, none for 0; without `with_entries`, the `bytearray` is empty.
    Raises:
        TypeError: this is no Arrow array, or one of another format.
        ValueError: the arrays differ in length, or one contradicts itself.  OSError: an Arrow stream failed.
        Whatever the engine's clock raises.
    Cost: as the essay of this room says.
    Threads: safe without a lock; the answers are those of one version.
    Source: B2, B5, U1, U6; C23.
    """
    for column in (keys, addresses):
        if not offers_arrow(column):
            raise TypeError(f"a column is an Arrow array, not {type(column).__name__}")
    cdef Columns columns = Columns.__new__(Columns)
    columns.take(checker, take_chunks(keys), take_chunks(addresses, True), with_entries)
    columns.judge()
    return columns.allowed, columns.verdicts, columns.problems, columns.numbers, columns.entries


@cython.final
cdef class Columns:
    """Two columns while they are judged, and the answers so far."""

    cdef View view
    cdef bint is_stale
    cdef bint asks_store        # a store answers for most rows, and nothing comes before it
    cdef list key_chunks
    cdef list address_chunks
    cdef Py_ssize_t count
    cdef object allowed         # `bytes` that nobody else has yet, so they may be written
    cdef object verdicts
    cdef object problems
    cdef bytearray numbers
    cdef list entries
    cdef dict numbers_made      # the number of an entry, by its prefix and the name of its list
    cdef bint with_entries

    cdef int take(self, checker, list keys, list addresses, bint with_entries) except -1:
        cdef Chunk chunk
        for chunk in keys:
            if chunk.layout == PACKED:
                raise TypeError("a column of keys is an Arrow array of texts, not of numbers or packed addresses")
        self.count = count_items(keys)
        if self.count != count_items(addresses):
            raise ValueError(f"{self.count} keys, but {count_items(addresses)} addresses")
        self.key_chunks, self.address_chunks = keys, addresses
        self.view = checker.view
        self.is_stale = checker.is_stale
        self.asks_store = (self.view.store is not None and self.view.is_enforced and not self.view.has_overlay
                           and self.view.id_hash is None and not self.is_stale)
        self.allowed = PyBytes_FromStringAndSize(NULL, self.count)
        self.verdicts = PyBytes_FromStringAndSize(NULL, self.count)
        self.problems = PyBytes_FromStringAndSize(NULL, self.count)
        self.with_entries = with_entries
        self.numbers = bytearray(self.count * sizeof(int32_t) if with_entries else 0)
        self.entries = [(None, None)]
        self.numbers_made = {}
        return 0

    cdef int judge(self) except -1:
        """Judge all rows, by pieces that lie in one chunk of either column."""
        cdef Py_ssize_t row = 0, size
        cdef Py_ssize_t key_chunk = 0, address_chunk = 0
        cdef Chunk keys, addresses
        while row < self.count:
            keys = self.key_chunks[key_chunk]
            addresses = self.address_chunks[address_chunk]
            size = min(keys.before + keys.count, addresses.before + addresses.count, row + PIECE) - row
            if size > 0:
                self.judge_piece(keys, addresses, row, size)
                row += size
            key_chunk += row >= keys.before + keys.count
            address_chunk += row >= addresses.before + addresses.count
        return 0

    cdef int judge_piece(self, Chunk keys, Chunk addresses, Py_ssize_t row, Py_ssize_t size) except -1:
        cdef uint8_t *allowed = <uint8_t *>PyBytes_AS_STRING(self.allowed) + row
        cdef uint8_t *verdicts = <uint8_t *>PyBytes_AS_STRING(self.verdicts) + row
        cdef uint8_t *problems = <uint8_t *>PyBytes_AS_STRING(self.problems) + row
        cdef Question[PIECE] questions
        cdef Py_ssize_t i, key = row - keys.before, address = row - addresses.before
        memset(problems, OK, <size_t>size)
        memset(verdicts, ASK_OBJECTS, <size_t>size)
        # 1. the keys, and what a store answers
        with nogil:
            for i in range(size):
                if not find_key(keys, key + i, &questions[i], &problems[i]):
                    break
            else:
                i = size
                if self.asks_store:
                    ask_store(&self.view.store.store, questions, addresses, address, size, verdicts, problems)
        if i < size:
            raise broken_item(keys, key + i)
        # 2. what it does not
        for i in range(size):
            if problems[i] == BROKEN:
                raise broken_item(addresses, address + i)
            if problems[i] == KEY_NOT_GIVEN:
                verdicts[i] = UNKNOWN_KEY
                allowed[i] = False
                continue
            if verdicts[i] >= ASK_OBJECTS or self.with_entries:
                self.judge_row(&questions[i], addresses, address + i, row + i, &verdicts[i], &problems[i])
            allowed[i] = is_allowed(self.view, <Verdict>verdicts[i])
        return 0

    cdef int judge_row(self, const Question *question, Chunk addresses, Py_ssize_t i, Py_ssize_t row,
                       uint8_t *verdict, uint8_t *problem) except -1:
        """Judge a row that needs objects; and find its entry, if that was asked for."""
        cdef Client client
        cdef int status = read_item(addresses, i, &client.address)
        if status == BROKEN:
            raise broken_item(addresses, i)
        client.is_read = True
        client.is_known = status == OK
        client.now = NAN
        problem[0] = <uint8_t>status
        key = key_of(question)
        if self.is_stale:
            verdict[0] = STALE_DATA
        elif key is None:
            verdict[0] = UNKNOWN_KEY
        elif verdict[0] >= ASK_OBJECTS:
            verdict[0] = judge_key(self.view, self.view.held_id(key), &client)
        if self.with_entries and (verdict[0] == MATCHED or verdict[0] == DENIED_BY_ENTRY):
            self.note_entry(key, <Verdict>verdict[0], &client, row)
        return 0

    cdef int note_entry(self, key, Verdict verdict, const Client *client, Py_ssize_t row) except -1:
        """Write the number of the entry that decided a row."""
        cdef Decision decision = Decision.__new__(Decision)
        cdef int32_t number
        decision.view, decision.key = self.view, key
        decision.verdict, decision.client = verdict, client[0]
        entry, list_name = decision.deciding()
        found = self.numbers_made.setdefault((entry, list_name), len(self.entries))
        if found == len(self.entries):
            self.entries.append((entry, list_name))
        number = found
        memcpy(<char *>self.numbers + row * <Py_ssize_t>sizeof(int32_t), &number, sizeof(int32_t))
        return 0


# -- Without the interpreter lock -------------------------------------------------

cdef bint find_key(Chunk keys, Py_ssize_t i, Question *question, uint8_t *problem) noexcept nogil:
    """Point at key `i`; a null is noted as a problem.  Returns False if the text does not lie in its buffer."""
    cdef Item item
    question.key = question.text = NULL
    question.key_size = 0
    question.text_size = 0
    if is_null(keys, i):
        problem[0] = KEY_NOT_GIVEN
        return True
    if not find_item(keys, i, &item):
        return False
    # An empty text may have no buffer, and a key that is NULL is not asked.
    question.key = item.text.start if item.text.start is not NULL else <const uint8_t *>b""
    question.key_size = <size_t>item.text.length
    return True


cdef void ask_store(const Store *store, Question *questions, Chunk addresses, Py_ssize_t first, Py_ssize_t size,
                    uint8_t *verdicts, uint8_t *problems) noexcept nogil:
    """Answer the rows of a piece by the store alone; the verdict of the others stays ASK_OBJECTS."""
    cdef Py_ssize_t i
    cdef Item item
    cdef Bits bits
    cdef int status
    # 1. common texts, several at a time
    if addresses.layout != PACKED and not addresses.is_binary:
        for i in range(size):
            item.has_room = False
            item.text.start = NULL
            item.text.length = 0
            if not is_null(addresses, first + i) and find_item(addresses, first + i, &item) and item.has_room:
                questions[i].text = item.text.start
                questions[i].text_size = item.text.length
    find_verdicts(store, questions, size, verdicts)
    # 2. what needs the careful parser; and what is wrong with the address of a key that does not ask for one
    for i in range(size):
        if problems[i] == KEY_NOT_GIVEN or verdicts[i] == MATCHED or verdicts[i] == NOT_LISTED:
            continue
        if verdicts[i] == ASK_OBJECTS:
            continue
        status = read_item(addresses, first + i, &bits)
        problems[i] = <uint8_t>status
        if verdicts[i] == ASK_PARSER:
            verdicts[i] = find_parsed(store, &questions[i], &bits, status)


cdef uint8_t find_parsed(const Store *store, const Question *question, const Bits *address, int status) noexcept nogil:
    """Ask the store about an address that was parsed here."""
    cdef const Record *record
    cdef Parts parts
    cdef Verdict verdict = find_record(store, question.key, question.key_size,
                                       siphash(store.seed, question.key, question.key_size), &record, &parts)
    if verdict != MATCHED:
        return verdict
    if not is_plain(record):
        return ASK_OBJECTS
    if status != OK:
        return CLIENT_IP_UNKNOWN
    return MATCHED if record_covers(store, record, &parts, address) else NOT_LISTED


# -- With it ----------------------------------------------------------------------

cdef object key_of(const Question *question):
    """The key as a `str`; None for bytes that are no text, which no key has."""
    try:
        return PyUnicode_DecodeUTF8(<const char *>question.key, <Py_ssize_t>question.key_size, b"surrogatepass")
    except UnicodeDecodeError:
        return None


cdef Verdict judge_key(View view, object held_id, Client *client) except *:
    """As the judge of check.pyx, for an address that was read already."""
    cdef PyObject *found = PyDict_GetItemWithError(view.overlay, held_id)
    cdef const Record *record
    cdef Verdict verdict
    cdef Parts parts
    cdef Rule rule
    if found is not NULL:
        rule = <object>found        # keeps the rule alive while Python code runs
        return judge_rule(view, rule, None, client)
    if view.store is None:
        return UNKNOWN_KEY
    verdict = view.store.find(held_id, &record, &parts)
    if verdict != MATCHED:
        return verdict
    return judge_stored(view, held_id, record, &parts, None, client)
