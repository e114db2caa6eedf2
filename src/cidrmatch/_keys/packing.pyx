# cython: language_level=3, nonecheck=True
"""Requests and their decisions, packed for a usage log in the thread of the request.

    request --put--> the open batch --full, or taken--> batch, batch ...  --parts--> rows for a database
                     numbers and texts in C                                          packed_notes.pyx

A decision is taken apart while it is in the processor's cache.  So no view and no object has to live on, and a writer
holds the interpreter lock for a moment a batch.

`put` first runs everything that may run Python code.  Then it appends in one go, so a batch is never seen half changed.

Which entry decided is found in the record that the check has just read, if the key has own entries and nothing else.
The words of this entry are in objects that no check reads, so they wait in slow memory.  `EntryWords` knows them by the
number of the entry:

    store 3, record 4711, entry 2  --one slot of a table-->  (203.0.113.0/24, "office", None)

Cost: `put` some 0.7 microseconds in a row, and 2 among other work; 1.5 MB a packer, and the words of 50,000 entries.
Threads: `put` and `take` may be called at once, under the interpreter lock; a batch that was taken changes no more.
Source: B25, B28; C16, C23
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memset

from cidrmatch._core.address cimport LONGEST_ADDRESS, OK, Bits, Text, find_text, pack, take_address, write_address
from cidrmatch._core.prefix cimport Prefix, new_prefix
from cidrmatch._keys.check cimport Decision, Own
from cidrmatch._keys.packed_notes cimport (
    ADDRESS, KEY, PATH, REQUEST_ID, TEXTS, TRAIL, Noted, PackedNotes, is_moment, micros_of, number_of,
)

cdef extern from "_core/c/bits.h" nogil:
    void store_network32(uint8_t *packed, uint32_t word)
    void store_network64(uint8_t *packed, uint64_t word)

from .reasons import Reason

__all__ = ["Packer"]

cdef enum:
    # What `put` answers.
    TAKEN = 0
    AWAKE       # taken, and so many wait that the writer should begin
    FULL
    FULL_LONG   # too many long ones wait

cdef enum:
    MOST_IN_A_BATCH = 2_000
    LONG = 2_000            # bytes of text; a note with more is a long one
    LONG_SHARE = 100        # one of so many notes that wait may be long
    LONGEST_KEY = 512       # bytes
    LONGEST_PATH = 2_048    # characters, as the next two
    LONGEST_TRAIL = 1_024
    LONGEST_ID = 256
    LONGEST_WORD = 64
    SLOT_BITS = 16
    MOST_ENTRIES = 50_000   # whose words are kept
    MOST_SPARE = 1 << 21    # bytes of texts that are kept for the next batch; a client chooses how long its texts are


# -- Texts --------------------------------------------------------------------

cdef object exact_text(object value):
    """The characters of an object, as an exact `str`: no code of a subclass runs when it is compared."""
    return "".join((str(value),))


cdef inline object word_of(object value):
    """A word that many requests share, cut to what the log keeps."""
    if value is None or type(value) is Reason:
        return value
    if not PyUnicode_CheckExact(value):
        value = exact_text(value)
    return value if len(<str>value) <= LONGEST_WORD else (<str>value)[:LONGEST_WORD]


cdef inline object point_at(object value, Py_ssize_t most, Text *text):
    """Point at a text in UTF-8, cut to some characters, and return what keeps it alive; half a character survives."""
    if value is None:
        text.start = NULL
        text.length = -1
        return None
    if find_text(value, text):
        text.length = min(text.length, most)
        return value
    return point_at_bytes(value[:most].encode("utf-8", "surrogatepass"), text)


cdef inline object point_at_bytes(object held, Text *text):
    if not PyBytes_CheckExact(held):
        raise TypeError(f"a text of the log is bytes, not {type(held).__name__}")
    text.start = <const uint8_t *>PyBytes_AS_STRING(held)
    text.length = PyBytes_GET_SIZE(held)
    return held


cdef bint join_common(object trail, uint8_t *into, Text *text) noexcept:
    """Join the elements of a common trail, with NUL between them, into a room of `LONGEST_TRAIL` bytes."""
    cdef Py_ssize_t i, room, size = 0
    cdef Text element
    if type(trail) is not tuple:
        return False
    for i in range(len(<tuple>trail)):
        if not find_text((<tuple>trail)[i], &element):
            return False
        if memchr(element.start, 0, <size_t>element.length) is not NULL:
            return False
        if i > 0 and size < LONGEST_TRAIL:
            into[size] = 0
            size += 1
        room = min(element.length, LONGEST_TRAIL - size)
        memcpy(into + size, element.start, <size_t>room)
        size += room
    text.start = into
    text.length = size
    return True


cdef object join_trail(object trail, Text *text):
    """Join the elements of any trail; return what keeps the text alive."""
    joined = "\0".join(trail)
    if joined.count("\0") >= len(trail):        # an element has one, too
        joined = "\0".join([element.replace("\0", "\ufffd") for element in trail])
    return point_at(joined, LONGEST_TRAIL, text)


cdef inline bint is_text_of(object trail, const Bits *address) noexcept:
    """Is the address alone the trail?  Then the trail is not kept, because a reader puts the address there."""
    cdef char[LONGEST_ADDRESS] shown
    cdef Text element
    return (type(trail) is tuple and len(<tuple>trail) == 1 and find_text((<tuple>trail)[0], &element)
            and element.length == write_address(address, shown)
            and memcmp(element.start, shown, <size_t>element.length) == 0)


# -- The entries that decided -------------------------------------------------

cdef struct Slot:
    # The words of an entry by its number; `store` is 0 in a free slot.
    uint64_t store
    uint64_t number
    PyObject *words         # `EntryWords.all` keeps them alive


cdef inline size_t slot_of(uint64_t store, uint64_t number) noexcept nogil:
    """The slot of a number, which a few stores that are asked at once do not fight for."""
    cdef uint64_t scatter = 0x9e37_79b9_7f4a_7c15ULL
    return <size_t>((number * scatter >> (64 - SLOT_BITS)) ^ store & 3)


@cython.final
@cython.no_gc_clear         # the slots would outlive what they point to
cdef class EntryWords:
    """The words of entries that decided lately: (prefix, label, name of its list), one tuple for each."""

    cdef dict all
    cdef Slot *slots

    def __cinit__(self):
        self.all = {}
        self.slots = <Slot *>calloc(<size_t>1 << SLOT_BITS, sizeof(Slot))
        if self.slots is NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.slots)

    cdef tuple of_decision(self, Decision judged, const Own *own):
        """The words of the entry that decided, or None; `own` is this entry, unless its number is 0."""
        cdef Slot *slot = NULL
        if own.number != 0:
            slot = &self.slots[slot_of(own.store, own.number)]
            if slot.store == own.store and slot.number == own.number:
                return <tuple>slot.words
            if own.is_bare:
                return self.kept((new_prefix(&own.bits), None, None), slot, own)
        entry, list_name = judged.deciding()
        return self.of_entry(entry, list_name, slot, own)

    cdef tuple of_entry(self, entry, list_name, Slot *slot, const Own *own):
        """The words of an entry, or None without one."""
        if entry is None:
            return None
        return self.kept((<Prefix?>entry.prefix, exact_or_none(entry.label), exact_or_none(list_name)), slot, own)

    cdef tuple kept(self, tuple words, Slot *slot, const Own *own):
        """The one tuple of these words; the next time it is found in the slot.  Runs no Python code."""
        cdef dict fresh
        if len(self.all) >= MOST_ENTRIES:
            fresh = {}
            memset(self.slots, 0, sizeof(Slot) << SLOT_BITS)
            self.all = fresh
        words = self.all.setdefault(words, words)
        if slot is not NULL:
            slot[0] = Slot(own.store, own.number, <PyObject *>words)
        return words


cdef inline object exact_or_none(object word):
    """A word whose hash runs no Python code."""
    return word if word is None or PyUnicode_CheckExact(word) else exact_text(word)


# -- What requests append to --------------------------------------------------

@cython.final
cdef class Packer:
    """Packer(size, shorten_key, name_key=None, cut_address=None)\n--\n\nPack notes into batches, as many as may wait.

    Args:
        size: the most notes that wait.
        shorten_key: gives the bytes of a key that is long, or no ASCII.
        name_key: gives what stands for a key, or None.
        cut_address: cuts packed addresses, or None.  Then no trail is kept.

    Attributes:
        waiting: how many notes wait.
        enough: so many should be written at once; fewer wait for others, until the writer looks.
        most_long: the most long notes that may.
    """

    cdef object name_key, cut_address, shorten_key
    cdef EntryWords words
    cdef PackedNotes open, spare
    cdef list closed
    cdef readonly Py_ssize_t size, waiting, enough, most_long
    cdef Py_ssize_t long_ones

    def __cinit__(self, Py_ssize_t size, shorten_key, name_key=None, cut_address=None):
        self.size = size
        self.most_long = size // LONG_SHARE + 1
        self.enough = min(MOST_IN_A_BATCH, size // 2 + 1)
        self.shorten_key, self.name_key, self.cut_address = shorten_key, name_key, cut_address
        self.words = EntryWords()
        self.open = PackedNotes()
        self.closed = []

    def take(self, PackedNotes spent=None, /):
        """Take the oldest batch, or None.

        Args:
            spent: a batch that nobody needs any more, or None; its memory is used again.
        """
        cdef PackedNotes batch, fresh
        if spent is not None and spent.text_room <= MOST_SPARE:
            self.spare = PackedNotes()
            self.spare.take_room(spent)
        fresh = self.fresh()                # nothing below runs other code
        if self.closed:
            batch, self.spare = self.closed.pop(0), fresh
        elif self.open.count > 0:
            batch, self.open = self.open, fresh
        else:
            self.spare = fresh
            return None
        self.waiting -= batch.count
        self.long_ones -= batch.long_ones
        return batch

    cdef PackedNotes fresh(self):
        """An empty batch, in memory that was used before if there is some: new pages would have to be fetched."""
        cdef PackedNotes made = self.spare
        self.spare = None
        return PackedNotes() if made is None else made

    def put(self, double at, found, method, path, status, request_id, seconds, stopped_at, key, /):
        """Pack a note.

        Args:
            at: the moment, in seconds since 1970.
            found: a `GuardDecision`, or None.
            method, path, status, request_id, seconds, stopped_at, key: as `UsageLog.note` has them.
        Returns:
            0: it is taken.  1: and the writer should be woken.  2: it is not, because too many wait.  3: too many long
            ones do.
        Raises:
            Whatever a value raises that is none; then nothing is changed.
        """
        cdef object allowed = None, reason = None, problem = None, policy = None, would_allow = None
        cdef object version = None, packed = None, trail = None
        cdef object judged, denial = None, _held_key, _held_path, _held_id, _held_client
        cdef PackedNotes batch, fresh = None
        cdef uint8_t[LONGEST_TRAIL] trail_room
        cdef uint8_t[16] address_room
        cdef Py_ssize_t i, size = 0
        cdef Text[TEXTS] texts
        cdef tuple words, entry = None
        cdef Noted note
        cdef Own own
        if self.waiting >= self.size:
            return FULL
        if not is_moment(at):
            raise ValueError(f"{at} is no moment of our time")
        # 1. what may run Python code, or collect garbage
        if self.open.count >= MOST_IN_A_BATCH:
            fresh = self.fresh()
        if found is not None:
            key, judged, allowed, reason = found.key, found.decision, bool(found.allowed), found.reason
            packed, problem, trail = found.client
            if type(judged) is Decision and (<Decision>judged).view is not None:
                version = (<Decision>judged).view.version
                policy = (<Decision>judged).view.settings.policy.name
                if not (<Decision>judged).is_of_record(&own):
                    would_allow = (<Decision>judged).would_allow
                entry = self.words.of_decision(judged, &own)
            elif judged is not None:
                version, policy, would_allow = int(judged.version), judged.policy.name, judged.would_allow
                would_allow = None if would_allow is None else bool(would_allow)
                entry = self.words.of_entry(judged.entry, judged.list_name, NULL, NULL)
        words = (word_of(method), status if type(status) is int else None, allowed, word_of(reason), word_of(problem),
                 word_of(policy), word_of(stopped_at), would_allow)
        note.micros = <int64_t>(at * 1e6)
        note.took = micros_of(seconds)
        note.lost = 0
        _held_key = self.point_at_key(key, &texts[KEY])
        _held_path = point_at(path, LONGEST_PATH, &texts[PATH])
        if request_id is not None and not PyUnicode_CheckExact(request_id):
            request_id = exact_text(request_id)
        _held_id = point_at(request_id, LONGEST_ID, &texts[REQUEST_ID])
        _held_client = self.point_at_client(packed, trail, texts, address_room, trail_room)
        if allowed is False:
            denial = (at, None if texts[ADDRESS].length < 0 else
                      texts[ADDRESS].start[:texts[ADDRESS].length], reason)
        # 2. what does neither
        for i in range(TEXTS):
            size += max(texts[i].length, 0)
        if size > LONG and self.long_ones >= self.most_long:
            return FULL_LONG
        batch = self.open
        if batch.count >= MOST_IN_A_BATCH and fresh is not None:
            self.closed.append(batch)
            self.open = batch = fresh
        batch.reserve(1, size)
        note.kind = number_of(batch.kind_numbers, words)
        note.data = 0 if version is None else number_of(batch.version_numbers, version) + 1
        note.entry = 0
        if entry is not None:
            note.entry = number_of(batch.entry_numbers, <size_t><PyObject *>entry) + 1
            if note.entry > <size_t>len(batch.entries):
                batch.entries.append(entry)
        if denial is not None:
            batch.denials.append(denial)
        batch.append(&note, texts)
        batch.settled += 1
        batch.requests += 1
        self.waiting += 1
        if size > LONG:
            batch.long_ones += 1
            self.long_ones += 1
        return AWAKE if self.waiting == self.enough else TAKEN

    cdef object point_at_key(self, object key, Text *text):
        """Point at a key as the log keeps it, and return what keeps it alive."""
        if key is None:
            return point_at(None, 0, text)
        if not PyUnicode_CheckExact(key):
            key = exact_text(key)
        if self.name_key is not None:
            key = self.name_key(key)
        if find_text(key, text) and text.length <= LONGEST_KEY:
            return key
        return point_at_bytes(self.shorten_key(key), text)

    cdef object point_at_client(self, object packed, object trail, Text *texts, uint8_t *address_room,
                                uint8_t *trail_room):
        """Point at the address and the trail as the log keeps them, and return what keeps them alive."""
        cdef Py_ssize_t position
        cdef Bits address
        texts[ADDRESS] = texts[TRAIL] = Text(NULL, -1)
        if packed is not None:
            if take_address(packed, &address, &position) != OK:
                raise ValueError("a strategy gave an address that is none")
            if self.cut_address is not None:
                texts[TRAIL] = Text(trail_room, 0)
                return point_at_bytes(self.cut_address(pack(&address)), &texts[ADDRESS])
            texts[ADDRESS] = Text(address_room, store_address(&address, address_room))
            if is_text_of(trail, &address):
                return None
        elif not trail or self.cut_address is not None:
            return None
        return None if join_common(trail, trail_room, &texts[TRAIL]) else join_trail(trail, &texts[TRAIL])


cdef inline Py_ssize_t store_address(const Bits *address, uint8_t *out) noexcept nogil:
    """Write the 4 or 16 bytes of an address in network order, and return how many."""
    if address.family == 4:
        store_network32(out, <uint32_t>(address.upper >> 32))
        return 4
    store_network64(out, address.upper)
    store_network64(out + 8, address.lower)
    return 16
