# cython: language_level=3
"""The table and `AllowList`: a list of entries, frozen for two questions.

Everything is decided when a list is made; a check only compares numbers.

"Is the address in?" needs no entries, only where the addresses begin and end.
Overlapping and adjacent prefixes are merged into disjoint ranges, one table a
family; how a table is laid out and searched is told in search.h:

    first    [ 10.0.0.0       | 198.51.100.0   | 203.0.113.5 ]    sorted, no two equal
    last     [ 10.255.255.255 | 198.51.100.255 | 203.0.113.5 ]    last[i] >= first[i], last[i] + 1 < first[i + 1]
    find a:  the last i with first[i] <= a; the answer is a <= last[i]

"Which entry?" needs them all, sorted, and for each the nearest broader one:

    entries  [ 10.0.0.0/8 | 10.1.0.0/16 | 10.1.2.0/24 | 10.9.0.0/16 | 203.0.113.5/32 ]
    parents  [ -1         | 0           | 1           | 0           | -1             ]
    find a:  the last i with first(i) <= a; while entry i does not cover a, go to its parent

The first step finds the most specific entry or one inside it (prefixes nest
or lie apart), so the first ancestor that covers is the longest match, and
the ancestors after it are all the others.  (A long list without labels need not
search: it has tries that know how long the longest match is.)  Each family has
its own arrays:

    narrow   [ first ]         [ length ]     IPv4
    wide     [ upper ] [ lower ] [ length ]   IPv6
    parents  of both

All of it lies in one block, nodes of keys first and at the start of a cache line.
The entries of IPv4 are numbered first, then those of IPv6.

Cost: a check, one address parse and a few cache lines; a match, the same in a
longer table and a step a nesting level, or an object.  Building: a few passes,
five more if the entries do not come sorted.
Threads: frozen after `__cinit__`; nobody writes, nobody locks.  (The objects
that a short list's `match` has made are kept under the interpreter lock.)
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport (
    INT32_MAX, INT64_MAX, UINT32_MAX, UINT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)
from libc.string cimport memcmp, memcpy, memset

from cidrmatch._core.address cimport (
    Bits, fold_mapped, load_packed, overlap, read_address, set_ipv4, vectors_here, width,
)
from cidrmatch._core.arrow cimport (
    PACKED, Chunk, Item, broken, count_items, find_item, offers_arrow, parse_item, take_chunks,
)
from cidrmatch._core.prefix cimport (
    Entry, check_is_list, compare_bits, lower_mask, new_entry, new_prefix, parse_common_prefix, read_prefix,
    upper_mask,
)
from cidrmatch._core.prefixes cimport (
    Prefix6, PrefixArray, Range, RangeArray, is_before, merge, pack4, prefixes_of, range_of, unpack4, unpack6,
)

import sys
from array import array
from operator import index

from ..errors import InvalidPrefix, brief
from .fields import allow_list_schema
from .lines import frozen_text

__all__ = ["AllowList"]

cdef extern from "_core/c/search.h" nogil:
    int32_t order4(uint32_t address)
    int64_t order6(uint64_t upper)
    void plan_ladder(Ladder *ladder, uint32_t nodes, uint32_t node_size, uint32_t most_scanned)
    void fill_posts4(Firsts4 *firsts)
    void fill_posts6(Firsts6 *firsts)
    uint32_t begun4(const Entries4 *entries, uint32_t address, int vectors)
    uint32_t begun6(const Entries6 *entries, uint64_t upper, uint64_t lower, int vectors)
    uint32_t ask_trie4(const Trie *trie, uint64_t upper)
    uint32_t ask_trie6(const Trie *trie, uint64_t upper)

cdef extern from "_core/c/pages.h" nogil:
    void wish_large_pages(void *memory, size_t size)

cdef extern from "_core/c/many.h" nogil:
    void each4(const Table *table, const uint8_t *packed, Py_ssize_t size, bint is_reversed, uint8_t *out)
    void each6(const Table *table, const uint8_t *packed, Py_ssize_t size, uint8_t *out)
    uint32_t load_reversed32(const uint8_t *packed)

cdef enum:
    NO_ENTRY = -1
    SHOWN_ENTRIES = 3       # in a repr
    LINE = 64               # bytes of a cache line, and of a node
    MOST_MADE = 4_096       # entries of a list that keeps their objects: to make one is quicker than to wait for memory

cdef enum Form:
    BY_SIZE
    SCAN
    LADDER
    MAP

cdef enum:
    # Set by trials; `python -m benchmarks.forms` measures them.
    SCANNED_RANGES4 = 64
    SCANNED_NODES6 = 4      # 32 ranges
    MAPPED_RANGES = 8_192   # the map takes 256 KiB and a little more
    MANY_ENTRIES = 32_768   # so many are known by their length, too
    PIECES = 8              # one range in so many may begin or end inside a /24

cdef tuple OTHER_ORDER = (">", "!") if sys.byteorder == "little" else ("<",)    # of a format, not this machine's
cdef dict FORMS = {"by size": BY_SIZE, "scan": SCAN, "ladder": LADDER, "map": MAP}


# -- Where ranges become a table ----------------------------------------------

cdef uint32_t nodes_for(uint32_t keys, uint32_t node_size) noexcept nogil:
    return (keys + node_size - 1) // node_size


cdef struct Place:
    uint8_t *base       # NULL while only sizes are asked for
    size_t used


cdef void *take(Place *place, size_t count, size_t size) noexcept nogil:
    """The next piece of the block, from the start of a cache line if it holds nodes."""
    cdef void *taken
    if size == LINE:
        place.used = (place.used + LINE - 1) & ~<size_t>(LINE - 1)
    else:
        place.used = (place.used + 7) & ~<size_t>7
    taken = place.base + place.used if place.base is not NULL else NULL
    place.used += count * size
    return taken


cdef void fill_table4(Table4 *table, const Range *ranges) noexcept nogil:
    cdef uint32_t i
    table.first = <uint32_t>(ranges[0].first_upper >> 32) if table.firsts.count > 0 else UINT32_MAX
    table.last[0] = 0
    for i in range(table.firsts.count):
        table.last[i] = <uint32_t>(ranges[i].last_upper >> 32)
    if table.is_scan:
        fill_scan(table, ranges)
        return
    for i in range(table.firsts.ladder.nodes * NODE4):
        table.firsts.keys[i] = INT32_MAX
        if i + 1 < table.firsts.count:
            table.firsts.keys[i] = order4(<uint32_t>(ranges[i + 1].first_upper >> 32) - 1)
    fill_posts4(&table.firsts)


cdef void fill_scan(Table4 *table, const Range *ranges) noexcept nogil:
    cdef uint32_t i, first
    cdef int32_t *node
    cdef const Range *span
    for i in range(table.firsts.ladder.nodes * SCAN4):
        span = &ranges[min(i, table.firsts.count - 1)]
        first = <uint32_t>(span.first_upper >> 32)
        node = table.firsts.keys + <size_t>(i // SCAN4) * NODE4
        node[i % SCAN4] = <int32_t>first
        node[SCAN4 + i % SCAN4] = order4(<uint32_t>(span.last_upper >> 32) - first)


cdef void fill_table6(Table6 *table, const Range *ranges) noexcept nogil:
    cdef uint32_t i
    for i in range(table.firsts.ladder.nodes * NODE6):
        table.firsts.keys[i] = order6(ranges[i].first_upper) if i < table.firsts.count else INT64_MAX
        table.firsts.lower[i] = ranges[i].first_lower if i < table.firsts.count else UINT64_MAX
    for i in range(table.firsts.count):
        table.last[i].upper = ranges[i].last_upper
        table.last[i].lower = ranges[i].last_lower
    fill_posts6(&table.firsts)


# The map: which /24s a range holds whole, by the /16 where they lie.

cdef struct Slashes24:
    uint32_t begin
    uint32_t end
    bint begins_inside      # the range begins inside a /24, or ends inside one
    bint ends_inside


cdef Slashes24 whole_slashes24(const Range *span) noexcept nogil:
    cdef uint64_t first = span.first_upper >> 32, last = span.last_upper >> 32
    cdef Slashes24 whole
    whole.begin = <uint32_t>((first + 255) >> 8)
    whole.end = <uint32_t>((last + 1) >> 8)
    whole.begins_inside = first & 255 != 0
    whole.ends_inside = last & 255 != 255
    return whole


cdef bint is_mappable(const Range *ranges, uint32_t count) noexcept nogil:
    """Long enough for a map, and mostly whole /24s?"""
    cdef uint32_t i, pieces = 0
    cdef Slashes24 whole
    if count < MAPPED_RANGES:
        return False
    for i in range(count):
        whole = whole_slashes24(&ranges[i])
        pieces += whole.begins_inside or whole.ends_inside
    return pieces <= count // PIECES


cdef uint32_t count_blocks(const Range *ranges, uint32_t count) noexcept nogil:
    """How many blocks a map needs: one for each /16 of which some /24s are in and some are not."""
    cdef uint32_t i, side, at, counted = 2, latest = UINT32_MAX
    cdef Slashes24 whole
    for i in range(count):
        whole = whole_slashes24(&ranges[i])
        if whole.begin >= whole.end:
            continue
        for side in range(2):
            at = (whole.end - 1 if side else whole.begin) >> 8
            if at != latest and (whole.begin > at << 8 or whole.end < (at + 1) << 8):
                latest = at
                counted += 1
    return counted


cdef void fill_map(Table4 *table, const Range *ranges, uint32_t blocks) noexcept nogil:
    cdef uint32_t i, at, bit, begin, end, free_block = 2
    cdef Slashes24 whole
    memset(table.map, 0, 65_536 * sizeof(uint32_t))
    memset(table.blocks, 0, <size_t>blocks * 4 * sizeof(uint64_t))
    memset(table.blocks + 4, 0xFF, 4 * sizeof(uint64_t))
    for i in range(table.firsts.count):
        whole = whole_slashes24(&ranges[i])
        at = whole.begin >> 8
        while whole.begin < whole.end and at <= (whole.end - 1) >> 8:
            begin = max(whole.begin, at << 8) - (at << 8)
            end = min(whole.end, (at + 1) << 8) - (at << 8)
            if end - begin == 256:
                table.map[at] |= 1
            else:
                if table.map[at] & ~<uint32_t>MAP_PIECES == 0:
                    table.map[at] |= free_block
                    free_block += 1
                for bit in range(begin, end):
                    table.blocks[<size_t>(table.map[at] & ~<uint32_t>MAP_PIECES) * 4 + (bit >> 6)] |= (
                        <uint64_t>1 << (bit & 63))
            at += 1
        if whole.begins_inside:
            table.map[<uint32_t>(ranges[i].first_upper >> 48)] |= <uint32_t>MAP_PIECES
        if whole.ends_inside:
            table.map[<uint32_t>(ranges[i].last_upper >> 48)] |= <uint32_t>MAP_PIECES


# The tries: what is in, or how long the longest match is, by /24s or /48s.

cdef enum:
    MOST_NODES = 65_535     # a word names one
    SLOTS = 1 << 17         # twice as many, so that the search for an equal node is short
    LONGEST_NODE = 16       # words
    LONGEST_ROW = 256
    MOST_FACTORS = 9        # one, and one for two words of a node

# Of this process, as PYTHONHASHSEED decides.  A trie is the same with any: they only say where nodes are looked for.
cdef uint64_t[MOST_FACTORS] FACTORS


cdef int fill_factors() except -1:
    cdef int i
    for i in range(MOST_FACTORS):
        FACTORS[i] = <uint64_t>hash(f"cidrmatch, factor {i}")
    return 0

fill_factors()

cdef Shape SHAPE4 = Shape(ROW_BITS4, FORK_BITS4, BELOW4, 65_536)
cdef Shape SHAPE6 = Shape(ROW_BITS6, FORK_BITS6, BELOW6, 4_096)     # 2 MiB


@cython.final
cdef class TrieBuilder:
    """A trie while it is made.  Nodes come from the leaves upwards, so equal ones have equal words and are found."""

    def __cinit__(self):
        self.slots = NULL
        self.trie = Trie(NULL, NULL, NULL)

    def __dealloc__(self):
        PyMem_RawFree(self.trie.index)
        PyMem_RawFree(self.trie.rows)
        PyMem_RawFree(self.trie.nodes)
        PyMem_RawFree(self.slots)

    cdef int make(self, Shape shape, const Spans *spans) except -1:
        """Make it, or none (`nodes` is 0) where it would have too many nodes or rows, or memory is short."""
        self.shape = shape
        self.trie.index = <uint16_t *>PyMem_RawMalloc((1 << INDEX_BITS) * sizeof(uint16_t))
        self.slots = <uint16_t *>PyMem_RawCalloc(SLOTS, sizeof(uint16_t))
        if self.trie.index is NULL or self.slots is NULL:
            raise MemoryError()
        with nogil:
            self.fill(spans)
        if self.is_full:
            self.rows = self.nodes = 0
        PyMem_RawFree(self.slots)
        self.slots = NULL
        return 0

    cdef void fill(self, const Spans *spans) noexcept nogil:
        cdef uint16_t row[LONGEST_ROW]
        cdef uint32_t rows[ANSWERS]         # of /16s that have one answer
        cdef uint32_t place
        cdef uint16_t answer
        cdef int i, left = 64 - INDEX_BITS
        cdef uint64_t first
        cdef Walk walk
        begin(&walk, spans)
        for answer in range(ANSWERS):
            rows[answer] = UINT32_MAX
            set_all(row, LONGEST_NODE, answer)
            self.share(row)
        for place in range(1 << INDEX_BITS):
            first = <uint64_t>place << left
            answer = answer_for(&walk, first, left)
            if answer == PARTLY_IN:
                for i in range(1 << self.shape.row_bits):
                    row[i] = self.word_for(
                        &walk, first | <uint64_t>i << (left - self.shape.row_bits), left - self.shape.row_bits)
                self.trie.index[place] = self.append_row(row)
            else:
                if rows[answer] == UINT32_MAX:
                    set_all(row, LONGEST_ROW, answer)
                    rows[answer] = self.append_row(row)
                self.trie.index[place] = <uint16_t>rows[answer]
            if self.is_full:
                return

    cdef uint16_t word_for(self, Walk *walk, uint64_t first, int left) noexcept nogil:
        """The answer for the addresses from `first` on that `left` bits tell apart, or the node that knows more."""
        cdef uint16_t answer = answer_for(walk, first, left)
        cdef uint16_t node[LONGEST_NODE]
        cdef int i
        if answer != PARTLY_IN or left == self.shape.below:
            return answer
        left -= self.shape.fork_bits
        for i in range(1 << self.shape.fork_bits):
            node[i] = self.word_for(walk, first | <uint64_t>i << left, left)
        return self.share(node)

    cdef uint16_t share(self, const uint16_t *node) noexcept nogil:
        """The number of the node with these words, an old one or a new one."""
        cdef uint32_t words = <uint32_t>1 << self.shape.fork_bits
        cdef uint32_t slot = hash_words(node, words) % SLOTS
        while self.slots[slot] != 0:
            if memcmp(self.trie.nodes + (<size_t>self.slots[slot] - 1) * words, node, words * sizeof(uint16_t)) == 0:
                return self.slots[slot] - 1
            slot = (slot + 1) % SLOTS
        if self.nodes == MOST_NODES or not make_room(&self.trie.nodes, &self.nodes_room, self.nodes, words):
            self.is_full = True
            return NONE_IN
        memcpy(self.trie.nodes + <size_t>self.nodes * words, node, words * sizeof(uint16_t))
        self.nodes += 1
        self.slots[slot] = <uint16_t>self.nodes
        return self.slots[slot] - 1

    cdef uint16_t append_row(self, const uint16_t *row) noexcept nogil:
        cdef uint32_t words = <uint32_t>1 << self.shape.row_bits
        if self.rows == self.shape.most_rows or not make_room(&self.trie.rows, &self.rows_room, self.rows, words):
            self.is_full = True
            return 0
        memcpy(self.trie.rows + <size_t>self.rows * words, row, words * sizeof(uint16_t))
        self.rows += 1
        return <uint16_t>(self.rows - 1)


cdef bint make_room(uint16_t **words, uint32_t *room, uint32_t used, uint32_t size) noexcept nogil:
    """Have room for one more node, or row, of so many words."""
    cdef uint32_t wanted = max(64, 2 * used)
    cdef void *moved
    if used < room[0]:
        return True
    moved = PyMem_RawRealloc(words[0], <size_t>wanted * size * sizeof(uint16_t))
    if moved is NULL:
        return False
    words[0] = <uint16_t *>moved
    room[0] = wanted
    return True


cdef void set_all(uint16_t *words, uint32_t count, uint16_t word) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        words[i] = word


cdef uint32_t hash_words(const uint16_t *words, uint32_t count) noexcept nogil:
    """Multilinear hashing: any two nodes fall together once in 2**32, over all factors, which nobody outside knows.

    Source: Lemire and Kaser, Strongly universal string hashing is fast (2014).
    """
    cdef uint64_t mixed = FACTORS[0]
    cdef uint32_t i, pair
    for i in range(count // 2):
        memcpy(&pair, words + 2 * i, sizeof(pair))
        mixed += FACTORS[i + 1] * pair
    return <uint32_t>(mixed >> 32)


cdef uint16_t span_at(const Spans *spans, uint32_t i, Range *span) noexcept nogil:
    """A span, and the answer for the addresses of which it is the innermost."""
    cdef Bits bits
    if spans.ranges is not NULL:
        span[0] = spans.ranges[i]
        return ALL_IN
    if spans.narrow is not NULL:
        unpack4(spans.narrow[i], &bits)
    else:
        unpack6(&spans.wide[i], &bits)
    span[0] = range_of(&bits)
    return <uint16_t>(FIRST_LENGTH + bits.length)


cdef void begin(Walk *walk, const Spans *spans) noexcept nogil:
    walk.spans = spans
    walk.depth = 0
    walk.at = 0
    if spans.count > 0:
        walk.answer = span_at(spans, 0, &walk.next)


cdef void open_next(Walk *walk) noexcept nogil:
    close_before(walk, walk.next.first_upper, walk.next.first_lower)
    walk.open[walk.depth] = Open(walk.next.last_upper, walk.next.last_lower, walk.answer)
    walk.depth += 1
    walk.at += 1
    if walk.at < walk.spans.count:
        walk.answer = span_at(walk.spans, walk.at, &walk.next)


cdef void close_before(Walk *walk, uint64_t upper, uint64_t lower) noexcept nogil:
    """Forget the spans that end before an address."""
    while walk.depth > 0 and is_before(
            walk.open[walk.depth - 1].last_upper, walk.open[walk.depth - 1].last_lower, upper, lower):
        walk.depth -= 1


cdef uint16_t answer_for(Walk *walk, uint64_t first, int left) noexcept nogil:
    """What is true of all addresses from `first` on that `left` bits tell apart, or PARTLY_IN.

    Blocks are asked for in order, a broad one before those in it.  A span opens
    with the block whose first address it covers; if it begins later in the block,
    or ends in it, that is parted.
    """
    cdef uint64_t last = first | ((<uint64_t>1 << left) - 1)
    cdef const Range *next = &walk.next
    cdef const Open *innermost
    while walk.at < walk.spans.count and next.first_upper <= last:
        if is_before(first, 0, next.first_upper, next.first_lower) or (
                next.first_upper == first and is_before(next.last_upper, next.last_lower, last, UINT64_MAX)):
            return PARTLY_IN
        open_next(walk)
    close_before(walk, first, 0)
    if walk.depth == 0:
        return NONE_IN
    innermost = &walk.open[walk.depth - 1]
    return PARTLY_IN if is_before(innermost.last_upper, innermost.last_lower, last, UINT64_MAX) else innermost.answer


cdef Trie take_trie(Place *place, TrieBuilder builder) noexcept nogil:
    """The places of a trie, or NULLs."""
    cdef Trie trie
    cdef size_t words = LINE // sizeof(uint16_t)
    trie.rows = <uint16_t *>take(place, ((<size_t>builder.rows << builder.shape.row_bits) + words - 1) // words, LINE)
    trie.nodes = <uint16_t *>take(
        place, ((<size_t>builder.nodes << builder.shape.fork_bits) + words - 1) // words, LINE)
    # Whoever gathers words takes two at a time, so there is one behind the last.
    trie.index = <uint16_t *>take(place, (1 << INDEX_BITS) + 1, sizeof(uint16_t)) if builder.nodes > 0 else NULL
    return trie


cdef void fill_trie(const Trie *trie, TrieBuilder builder) noexcept nogil:
    if builder.nodes == 0:
        return
    memcpy(trie.index, builder.trie.index, (1 << INDEX_BITS) * sizeof(uint16_t))
    memcpy(trie.rows, builder.trie.rows, (<size_t>builder.rows << builder.shape.row_bits) * sizeof(uint16_t))
    memcpy(trie.nodes, builder.trie.nodes, (<size_t>builder.nodes << builder.shape.fork_bits) * sizeof(uint16_t))


cdef bint is_mappable6(const Range *ranges, uint32_t count) noexcept nogil:
    """Long enough for a map, and mostly whole /48s?"""
    cdef uint32_t i, pieces = 0
    if count < MAPPED_RANGES:
        return False
    for i in range(count):
        pieces += ranges[i].first_upper & 0xFFFF != 0 or ranges[i].first_lower != 0 or (
            ranges[i].last_upper & 0xFFFF != 0xFFFF) or ranges[i].last_lower != UINT64_MAX
    return pieces <= count // PIECES


cdef bint has_lengths(const Spans *entries, uint8_t longest) noexcept nogil:
    """Are the entries so many that to ask for a length is quicker, and mostly no longer than its trie can tell?"""
    cdef uint32_t i, pieces = 0
    cdef Range span
    if entries.count < MANY_ENTRIES:
        return False
    for i in range(entries.count):
        pieces += span_at(entries, i, &span) > <uint32_t>FIRST_LENGTH + longest
    return pieces <= entries.count // PIECES


cdef bint contains_all(const Table *table, const Bits *prefix) noexcept nogil:
    """Is a whole prefix in?  Ranges are never adjacent, so one range must hold both its ends."""
    cdef Range wanted = range_of(prefix)
    cdef uint32_t at = 0
    if not contains(table, prefix):
        return False
    # The first range that does not end before the prefix begins is the one that holds its beginning.
    if prefix.family == 4:
        at = halve4(table.ipv4.last, table.ipv4.firsts.count, <uint32_t>(wanted.first_upper >> 32))
        return <uint32_t>(wanted.last_upper >> 32) <= table.ipv4.last[at]
    at = halve6(table.ipv6.last, table.ipv6.firsts.count, wanted.first_upper, wanted.first_lower)
    return not is_before(table.ipv6.last[at].upper, table.ipv6.last[at].lower, wanted.last_upper, wanted.last_lower)


cdef uint32_t halve4(const uint32_t *last, uint32_t count, uint32_t address) noexcept nogil:
    """The first range that does not end before the address; there is one."""
    cdef uint32_t at = 0, half
    while count > 1:
        half = count >> 1
        if last[at + half - 1] < address:
            at += half
        count -= half
    return at


cdef uint32_t halve6(const Pair *last, uint32_t count, uint64_t upper, uint64_t lower) noexcept nogil:
    cdef uint32_t at = 0, half
    while count > 1:
        half = count >> 1
        if is_before(last[at + half - 1].upper, last[at + half - 1].lower, upper, lower):
            at += half
        count -= half
    return at


# -- The entries: which one, and which others ---------------------------------

# hot: begin
cdef inline uint32_t first4(const Entries4 *entries, Py_ssize_t i) noexcept nogil:
    return <uint32_t>order4(<uint32_t>entries.firsts.keys[i])


cdef inline uint64_t upper6(const Entries6 *entries, Py_ssize_t i) noexcept nogil:
    return <uint64_t>order6(<uint64_t>entries.firsts.keys[i])


cdef inline bint covers4(const Entries4 *entries, Py_ssize_t i, uint32_t address) noexcept nogil:
    """Does an entry of IPv4 cover the address?"""
    return <uint64_t>(first4(entries, i) ^ address) >> (32 - entries.lengths[i]) == 0


cdef inline bint covers6(const Entries6 *entries, Py_ssize_t i, uint64_t upper, uint64_t lower) noexcept nogil:
    return (
        (upper6(entries, i) ^ upper) & upper_mask(entries.lengths[i]) == 0
        and (entries.firsts.lower[i] ^ lower) & lower_mask(entries.lengths[i]) == 0
    )
# hot: end


cdef void fill_entries4(Entries4 *entries, const uint64_t *narrow) noexcept nogil:
    cdef uint32_t i
    cdef Bits bits
    for i in range(entries.firsts.ladder.nodes * NODE4):
        entries.firsts.keys[i] = INT32_MAX
        if i < entries.firsts.count:
            unpack4(narrow[i], &bits)
            entries.firsts.keys[i] = order4(<uint32_t>(bits.upper >> 32))
            entries.lengths[i] = bits.length
    fill_posts4(&entries.firsts)


cdef void fill_entries6(Entries6 *entries, const Prefix6 *wide) noexcept nogil:
    cdef uint32_t i
    for i in range(entries.firsts.ladder.nodes * NODE6):
        entries.firsts.keys[i] = INT64_MAX
        entries.firsts.lower[i] = UINT64_MAX
        if i < entries.firsts.count:
            entries.firsts.keys[i] = order6(wide[i].upper)
            entries.firsts.lower[i] = wide[i].lower
            entries.lengths[i] = <uint8_t>wide[i].length
    fill_posts6(&entries.firsts)


# hot: begin
cdef void find_parents(const Entries4 *narrow, const Entries6 *wide, int32_t *parents) noexcept nogil:
    """Name for each entry the nearest one that covers it.

    It is the entry before, or one of that one's ancestors: whatever covers
    entry i begins before it and covers all that begins in between.
    """
    cdef int32_t i, at, base = <int32_t>narrow.firsts.count
    for i in range(base):
        at = i - 1
        while at != NO_ENTRY and not covers4(narrow, at, first4(narrow, i)):
            at = parents[at]
        parents[i] = at
    for i in range(<int32_t>wide.firsts.count):
        at = base + i - 1 if i > 0 else NO_ENTRY
        while at != NO_ENTRY and not covers6(wide, at - base, upper6(wide, i), wide.firsts.lower[i]):
            at = parents[at]
        parents[base + i] = at
# hot: end


# Labels, while a list is made: { what the array holds of the prefix: (its position there, label) }.  As bytes, whose
# hash is keyed: numbers could be chosen so that all fall together.

cdef object narrow_name(uint64_t narrow):
    return PyBytes_FromStringAndSize(<const char *>&narrow, sizeof(narrow))


cdef object wide_name(const Prefix6 *wide):
    return PyBytes_FromStringAndSize(<const char *>wide, sizeof(Prefix6))


cdef dict read_entries(object entries, PrefixArray prefixes):
    """Read every entry, or raise; give the labels."""
    cdef dict labels = {}
    cdef Bits bits
    cdef Py_ssize_t i = 0
    for entry in entries:
        if not prefixes.add_common(entry):      # most entries are plain text and have no label
            label = prefixes.add_entry(entry, i, "an AllowList", &bits)
            if label is not None:
                keep_label(labels, prefixes, bits.family, label)
        i += 1
    if labels:
        drop_late_labels(labels, prefixes)
    return labels


cdef int read_chunks(list chunks, PrefixArray prefixes) except -1:
    """Read every item of an Arrow array as an entry, or raise."""
    cdef Chunk chunk
    cdef Item item
    cdef Bits bits
    cdef Py_ssize_t i
    for chunk in chunks:
        for i in range(chunk.filled):
            if chunk.layout == PACKED:
                read_packed(chunk, i, &bits)
            elif not (find_item(chunk, i, &item) and item.has_room and parse_common_prefix(&item.text, &bits)):
                read_prefix(item_text(chunk, i), False, &bits, chunk.before + i)
            prefixes.push(&bits)
        if chunk.filled < chunk.count:
            raise InvalidPrefix("<null>", 0, "empty", "a null is no prefix", None, chunk.before + chunk.filled)
    return 0


cdef void read_packed(Chunk chunk, Py_ssize_t i, Bits *bits) noexcept nogil:
    """Read an address of a packed array, a mapped one as IPv4."""
    if chunk.is_reversed:
        set_ipv4(bits, load_reversed32(chunk.items + 4 * i))
    else:
        load_packed(chunk.items + i * (width(chunk.family) >> 3), chunk.family, bits)
    fold_mapped(bits)


cdef object item_text(Chunk chunk, Py_ssize_t i):
    """The text of an item of an Arrow array."""
    cdef Item item
    if not find_item(chunk, i, &item):
        raise broken(f"text {chunk.before + i} does not lie in its buffer")
    return item.text.start[:item.text.length].decode("utf-8", "replace")


cdef list texts_of(list chunks):
    """The entries of an Arrow array as texts, for a policy, which judges what was written."""
    cdef list texts = []
    cdef Chunk chunk
    cdef Bits bits
    cdef Py_ssize_t i
    for chunk in chunks:
        for i in range(chunk.filled):
            if chunk.layout == PACKED:
                read_packed(chunk, i, &bits)
                texts.append(new_prefix(&bits).address)
            else:
                texts.append(item_text(chunk, i))
        if chunk.filled < chunk.count:
            raise InvalidPrefix("<null>", 0, "empty", "a null is no prefix", None, chunk.before + chunk.filled)
    return texts


cdef int keep_label(dict labels, PrefixArray prefixes, uint8_t family, object label) except -1:
    """Keep the label of the prefix that was pushed last, if it is the first."""
    cdef Py_ssize_t last
    if family == 4:
        last = prefixes.size4 - 1
        labels.setdefault(narrow_name(prefixes.array4[last]), (last, label))
    else:
        last = prefixes.size6 - 1
        labels.setdefault(wide_name(&prefixes.array6[last]), (last, label))
    return 0


cdef int drop_late_labels(dict labels, PrefixArray prefixes) except -1:
    """Of equal prefixes the first is kept, and its label: if it has none, none."""
    cdef Py_ssize_t i
    for i in range(prefixes.size4):
        drop_late_label(labels, narrow_name(prefixes.array4[i]), i)
    for i in range(prefixes.size6):
        drop_late_label(labels, wide_name(&prefixes.array6[i]), i)
    return 0


cdef int drop_late_label(dict labels, object name, Py_ssize_t position) except -1:
    labelled = labels.get(name)
    if labelled is not None and labelled[0] > position:
        del labels[name]
    return 0


cdef class Source:
    """What stands in for a list of entries where `AllowList` is not made by its users' own call."""

    cdef object entries
    cdef object lines
    cdef int form
    cdef int vectors

    def __cinit__(self, entries, lines, int form, int vectors):
        self.entries = entries
        self.lines = lines
        self.form = form
        self.vectors = vectors


def freeze_as(entries, str form not None, int vectors=3, /):
    """Make an `AllowList` whose tables have a form that its size would not choose: to measure and to compare forms.

    Args:
        form: "by size", "scan", "ladder" or "map" (for IPv6, a trie, which may be too large: then it is a ladder).
        vectors: 0 what every machine has, 1 AVX2, 2 AVX-512, 3 gathers; no more are used than this machine has.
    """
    return AllowList(Source(entries, None, FORMS[form], min(vectors, vectors_here())))


def table_bytes(AllowList allow not None, /):
    """Tell how many bytes of a list are its tables, without the entries: what checks read."""
    return allow.table_bytes


@cython.final
cdef class AllowList:
    """AllowList(entries=(), *, policy=None)\n--\n\nHold a frozen list of entries and tell which addresses are in it.

    Immutable, hashable, picklable.  An empty list allows nobody, and a list
    has no truth value: `if allow and address not in allow` would let everyone
    in when the list is empty, so it raises instead.

    Args:
        entries: an iterable of what `parse_entry` takes.  Order does not matter;
            of equal prefixes the first, with its label, is kept.  Or an Arrow array, chunked or
            not, of texts, or of addresses as `contains_many` takes them; a null is refused.
        policy: a `Policy` that the entries must satisfy; without one only the rules of
            text apply (a valid prefix, no host bits).
    Raises:
        InvalidPrefix: with `index`, the position of the first bad entry.
        PolicyError: the policy refused the list; its `report` names every reason.
        TypeError: an entry is of another type, or one text was given instead of a list; or
            an Arrow array has another format.
        ValueError: an entry has a condition, which only an `Engine` judges.
    Cost: 9 bytes an entry (IPv4) or 22 (IPv6), 8 or 33 a range, the labels; with more than 8,192 ranges a map of up
        to 4 MiB, with more than 32,768 entries another of up to 5 MiB; 100 to 200 ns an entry to build, in whatever
        order.
    Threads: safe without a lock, never changes.
    Source: B6, B13 to B16, B20, B24; C6, C16, C18.

    >>> office = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "2001:db8::/48"])
    >>> "198.51.100.7" in office, "198.51.101.7" in office
    (True, False)
    """

    def __cinit__(self, entries=(), *others, policy=None):
        cdef PrefixArray prefixes = PrefixArray()
        cdef dict labels = None
        cdef Source source = Source(entries, None, BY_SIZE, vectors_here())
        self.block = NULL
        self.hash = -1
        if others:
            raise TypeError("the entries are one list, and a policy is a keyword: AllowList(entries, policy=...)")
        # 1. read: every entry is valid or nothing is kept
        if type(entries) is Source:
            source = entries
        if source.lines is not None:
            prefixes.add_lines(source.lines)
        elif policy is None and offers_arrow(source.entries):
            read_chunks(take_chunks(source.entries), prefixes)
        else:
            check_is_list(source.entries)
            entries = texts_of(take_chunks(source.entries)) if offers_arrow(source.entries) else source.entries
            labels = read_entries(entries if policy is None else policy.accept(entries), prefixes)
        # 2. freeze: sort, merge, find who covers whom
        prefixes.sort()
        self.freeze(prefixes, labels, source.form, source.vectors)

    @classmethod
    def from_text(cls, text, /):
        """Make a list from a text as people keep it: a prefix a line, and perhaps comments.

        Args:
            text: `str`.  A line ends with "\\n" or "\\r\\n"; what follows "#", white space around a prefix, empty
                lines and a byte order mark at the beginning say nothing.
        Raises:
            InvalidPrefix: with `line`, from 1, and `index`, the position among the prefixes.
            TypeError: the text is no `str`.
        Cost: some hundred ns a line.

        >>> AllowList.from_text("# the office\\n203.0.113.0/24  # Vienna\\n\\n2001:db8::/48\\n")
        AllowList(['203.0.113.0/24', '2001:db8::/48'])
        """
        return frozen_text(cls, text)

    @classmethod
    def from_lines(cls, lines, /):
        """Make a list from a buffer of lines, one prefix in each and nothing else: the fastest way from a file.

        Args:
            lines: `bytes`, or any contiguous buffer of bytes; lines end with "\\n", empty ones say nothing.
        Raises:
            InvalidPrefix: with `index`, the number of the line, from 0.
        Cost: as `AllowList(texts)`, without the texts.

        >>> AllowList.from_lines(b"203.0.113.0/24\\n2001:db8::/48\\n")
        AllowList(['203.0.113.0/24', '2001:db8::/48'])
        """
        return cls(Source(None, memoryview(lines), BY_SIZE, vectors_here()))

    cdef int freeze(self, PrefixArray prefixes, dict labels, int form, int vectors) except -1:
        """Lay everything out twice, to learn the size and to get the places; then fill it in."""
        cdef RangeArray merged = merge(prefixes)
        cdef Table4 *ipv4 = &self.table.ipv4
        cdef Table6 *ipv6 = &self.table.ipv6
        cdef uint32_t blocks = 0, most_scanned = SCANNED_NODES6 if form == BY_SIZE else 1
        cdef Py_ssize_t ranges4 = 0
        cdef uint8_t *base
        cdef TrieBuilder ranges = TrieBuilder(), narrow = TrieBuilder(), wide = TrieBuilder()
        cdef Spans spans
        # 1. sizes
        while ranges4 < merged.size and merged.ranges[ranges4].family == 4:
            ranges4 += 1
        ipv4.firsts.count = <uint32_t>ranges4
        ipv6.firsts.count = <uint32_t>(merged.size - ranges4)
        self.narrow.firsts.count = <uint32_t>prefixes.size4
        self.wide.firsts.count = <uint32_t>prefixes.size6
        if form == SCAN:
            most_scanned = UINT32_MAX
        if form == MAP or (form == BY_SIZE and is_mappable(merged.ranges, ipv4.firsts.count)):
            blocks = count_blocks(merged.ranges, ipv4.firsts.count)
        if form == MAP or (form == BY_SIZE and is_mappable6(merged.ranges + ranges4, ipv6.firsts.count)):
            spans = Spans(merged.ranges + ranges4, NULL, NULL, ipv6.firsts.count)
            ranges.make(SHAPE6, &spans)
        spans = Spans(NULL, prefixes.array4, NULL, self.narrow.firsts.count)
        if form == MAP or (form == BY_SIZE and has_lengths(&spans, 24)):
            narrow.make(SHAPE4, &spans)
        spans = Spans(NULL, NULL, prefixes.array6, self.wide.firsts.count)
        if form == MAP or (form == BY_SIZE and has_lengths(&spans, 48)):
            wide.make(SHAPE6, &spans)
        self.table.vectors = vectors
        ipv4.is_scan = form == SCAN or (form == BY_SIZE and ipv4.firsts.count <= SCANNED_RANGES4)
        if ipv4.is_scan:
            plan_ladder(&ipv4.firsts.ladder, nodes_for(ipv4.firsts.count, SCAN4), NODE4, UINT32_MAX)
        else:
            plan_ladder(&ipv4.firsts.ladder, max(1, nodes_for(max(1, ipv4.firsts.count) - 1, NODE4)), NODE4, 1)
        plan_ladder(&ipv6.firsts.ladder, nodes_for(ipv6.firsts.count, NODE6), NODE6, most_scanned)
        plan_ladder(&self.narrow.firsts.ladder, max(1, nodes_for(self.narrow.firsts.count, NODE4)), NODE4, 1)
        plan_ladder(&self.wide.firsts.ladder, nodes_for(self.wide.firsts.count, NODE6), NODE6, most_scanned)
        # 2. places
        self.size_bytes = <Py_ssize_t>self.lay_out(NULL, blocks, ranges, narrow, wide) + LINE
        self.block = PyMem_RawMalloc(<size_t>self.size_bytes)
        if self.block is NULL:
            raise MemoryError()
        wish_large_pages(self.block, <size_t>self.size_bytes)
        base = <uint8_t *>((<uintptr_t>self.block + LINE - 1) & ~<uintptr_t>(LINE - 1))
        self.lay_out(base, blocks, ranges, narrow, wide)
        # 3. contents
        with nogil:
            fill_table4(ipv4, merged.ranges)
            fill_table6(ipv6, merged.ranges + ranges4)
            if blocks > 0:
                fill_map(ipv4, merged.ranges, blocks)
            fill_trie(&ipv6.trie, ranges)
            fill_entries4(&self.narrow, prefixes.array4)
            fill_entries6(&self.wide, prefixes.array6)
            fill_trie(&self.narrow.trie, narrow)
            fill_trie(&self.wide.trie, wide)
            find_parents(&self.narrow, &self.wide, self.parents)
        self.labels = self.number_labels(labels) if labels else None
        return 0

    cdef size_t lay_out(self, uint8_t *base, uint32_t blocks, TrieBuilder ranges, TrieBuilder narrow,
                        TrieBuilder wide) noexcept nogil:
        """Point at the places of all arrays, and tell how many bytes they take; without a base, only that."""
        cdef Table4 *ipv4 = &self.table.ipv4
        cdef Table6 *ipv6 = &self.table.ipv6
        cdef Place place = Place(base, 0)
        cdef size_t entries = <size_t>self.narrow.firsts.count + self.wide.firsts.count
        # 1. what a check reads, nodes first; item 0 behind the number of a range is read even when there is none
        ipv4.firsts.keys = <int32_t *>take(&place, ipv4.firsts.ladder.nodes, LINE)
        ipv4.firsts.posts = <int32_t *>take(&place, ipv4.firsts.ladder.posts, LINE)
        ipv6.firsts.keys = <int64_t *>take(&place, ipv6.firsts.ladder.nodes, LINE)
        ipv6.firsts.posts = <int64_t *>take(&place, ipv6.firsts.ladder.posts, LINE)
        ipv6.trie = take_trie(&place, ranges)
        ipv4.last = <uint32_t *>take(&place, max(1, ipv4.firsts.count), sizeof(uint32_t))
        ipv6.firsts.lower = <uint64_t *>take(&place, max(1, ipv6.firsts.ladder.nodes) * NODE6, sizeof(uint64_t))
        ipv6.last = <Pair *>take(&place, max(1, ipv6.firsts.count), sizeof(Pair))
        ipv4.map = <uint32_t *>take(&place, 65_536, sizeof(uint32_t)) if blocks > 0 else NULL
        ipv4.blocks = <uint64_t *>take(&place, blocks, 4 * sizeof(uint64_t))
        self.table_bytes = place.used
        # 2. what a match reads
        self.narrow.trie = take_trie(&place, narrow)
        self.wide.trie = take_trie(&place, wide)
        self.narrow.firsts.keys = <int32_t *>take(&place, self.narrow.firsts.ladder.nodes, LINE)
        self.narrow.firsts.posts = <int32_t *>take(&place, self.narrow.firsts.ladder.posts, LINE)
        self.wide.firsts.keys = <int64_t *>take(&place, self.wide.firsts.ladder.nodes, LINE)
        self.wide.firsts.posts = <int64_t *>take(&place, self.wide.firsts.ladder.posts, LINE)
        self.wide.firsts.lower = <uint64_t *>take(&place, self.wide.firsts.ladder.nodes * NODE6, sizeof(uint64_t))
        self.parents = <int32_t *>take(&place, entries, sizeof(int32_t))
        self.narrow.lengths = <uint8_t *>take(&place, self.narrow.firsts.count, sizeof(uint8_t))
        self.wide.lengths = <uint8_t *>take(&place, self.wide.firsts.count, sizeof(uint8_t))
        return place.used

    cdef dict number_labels(self, dict labels):
        """The labels by the numbers of their entries."""
        cdef dict numbered = {}
        cdef Py_ssize_t i
        cdef Bits bits
        cdef Prefix6 wide
        for i in range(len(self)):
            self.bits_at(i, &bits)
            if bits.family == 4:
                labelled = labels.get(narrow_name(pack4(&bits)))
            else:
                wide = Prefix6(bits.upper, bits.lower, bits.length)
                labelled = labels.get(wide_name(&wide))
            if labelled is not None:
                numbered[i] = labelled[1]
        return numbered

    def __dealloc__(self):
        PyMem_RawFree(self.block)

    # 1. Is it in?

    def __contains__(self, address):
        cdef Bits bits
        # hot: begin
        cdef int answer = ask_common(&self.table, address)
        if answer != NOT_COMMON:
            return answer
        # hot: end
        read_address(address, &bits)
        return contains(&self.table, &bits)

    def contains(self, address, /):
        """Tell whether an address is in the list: `address in allow`, as a method to pass on.

        Args:
            address: what `parse_address` takes.  A mapped address is its IPv4 address.
        Raises:
            InvalidAddress: junk is refused, it is never "not listed".
            TypeError: as `parse_address`.
        Cost: about 5 ns more than `in`.
        """
        cdef Bits bits
        cdef int answer = ask_common(&self.table, address)
        if answer != NOT_COMMON:
            return answer != 0
        read_address(address, &bits)
        return contains(&self.table, &bits)

    def contains_many(self, addresses, /, *, family=None, byteorder=None, out=None):
        """Tell for many addresses at once whether each is in the list.

        Args:
            addresses: an iterable of what `parse_address` takes; or an Arrow array, chunked or not, of strings (u, U,
                vu), uint32 (I; 10.0.0.1 is 0x0a000001) or fixed-size binary in network order (w:4, w:16); or, with
                `family`, a contiguous buffer of packed addresses: bytes (4 * n or 16 * n, network order), or 32-bit
                integers (IPv4 only).
            family: 4 or 6, the family of a packed buffer.
            byteorder: "big" or "little", how the four bytes of each 32-bit integer lie in memory; `sys.byteorder`
                for an `array` or NumPy array of numbers.  Nothing is guessed: integers without it are refused.
            out: a writable contiguous buffer of n bytes for the answers.
        Returns:
            `bytes`, n long: 1 where the address is in, 0 where it is not; or `out`, if that was given.
        Raises:
            InvalidAddress: with `index`, the position of the bad one, which may be a null; `out` may be filled up to
                there.
            ValueError: the buffer holds no whole number of addresses, its items are neither bytes nor 32-bit integers
                with their order stated, `out` has another size or shares memory with the addresses, the family is
                neither 4 nor 6, or an Arrow array contradicts itself.
            TypeError: as `parse_address`, or one text was given instead of many, or an Arrow array has another format.
            OSError: an Arrow stream failed.
        Cost: the parse and the search alone, 20 to 60 ns a text; a buffer, 1 to 30 ns an address.
        Threads: a buffer and an Arrow array are read without the interpreter lock.  A buffer cannot be resized
            meanwhile; if another thread writes to it, each answer is that of some state of its bytes.

        >>> AllowList(["203.0.113.0/24"]).contains_many(["203.0.113.7", "198.51.100.7"])
        b'\\x01\\x00'
        """
        return self.answer_many(addresses, family, byteorder, out, sizeof(uint8_t))

    cdef object answer_many(self, object addresses, object family, object byteorder, object out, Py_ssize_t item_size):
        """Yes or no for each address in a byte, or the number of its entry in more."""
        cdef Packed packed
        if family is None:
            if byteorder is not None:
                raise ValueError("byteorder is of a packed buffer: say its family, too")
            if offers_arrow(addresses):
                return self.answer_chunks(take_chunks(addresses), out, item_size)
            addresses = many(addresses)
            answers = Answers(out, len(addresses), item_size)
            if item_size == 1:
                self.contains_each(addresses, answers)
            else:
                self.match_each(addresses, answers)
        else:
            packed = Packed(addresses, family, byteorder)
            answers = Answers(out, packed.count, item_size)
            if overlap(packed.view.buf, packed.view.len, answers.view.buf, answers.view.len):
                refuse_overlap("addresses")
            with nogil:
                self.answer_packed(<const uint8_t *>packed.view.buf, packed.count, packed.family, packed.is_reversed,
                                   answers.view.buf, item_size)
        return answers.result

    cdef void answer_packed(self, const uint8_t *start, Py_ssize_t count, uint8_t family, bint is_reversed, void *into,
                            Py_ssize_t item_size) noexcept nogil:
        # hot: begin
        if item_size != 1:
            self.match_packed(start, count, family, is_reversed, <int32_t *>into)
        elif family == 4:
            each4(&self.table, start, count, is_reversed, <uint8_t *>into)
        else:
            each6(&self.table, start, count, <uint8_t *>into)
        # hot: end

    cdef object answer_chunks(self, list chunks, object out, Py_ssize_t item_size):
        cdef Answers answers = Answers(out, count_items(chunks), item_size)
        cdef char *into = <char *>answers.view.buf
        cdef Chunk chunk
        cdef Py_ssize_t done
        for chunk in chunks:
            if chunk.reads(answers.view.buf, answers.view.len):
                refuse_overlap("addresses")
        for chunk in chunks:
            with nogil:
                done = self.answer_chunk(chunk, into + chunk.before * item_size, item_size)
            if done < chunk.count:
                chunk.refuse(done)
        return answers.result

    cdef Py_ssize_t answer_chunk(self, Chunk chunk, void *into, Py_ssize_t item_size) noexcept nogil:
        """Answer up to the first item that is no address; how many are."""
        if chunk.layout == PACKED:
            self.answer_packed(chunk.items, chunk.filled, chunk.family, chunk.is_reversed, into, item_size)
            return chunk.filled
        if item_size == 1:
            return self.contains_chunk(chunk, <uint8_t *>into)
        return self.match_chunk(chunk, <int32_t *>into)

    cdef int contains_each(self, object addresses, Answers answers) except -1:
        cdef Py_ssize_t i = 0
        cdef uint8_t *into = <uint8_t *>answers.view.buf
        cdef Bits bits
        cdef int answer
        for address in addresses:
            if i == answers.count:
                raise ValueError("the list of addresses grew while it was read")
            answer = ask_common(&self.table, address)
            if answer == NOT_COMMON:
                read_address(address, &bits, i)
                answer = contains(&self.table, &bits)
            into[i] = <uint8_t>answer
            i += 1
        if i < answers.count:
            raise ValueError("the list of addresses shrank while it was read")
        return 0

    cdef Py_ssize_t contains_chunk(self, Chunk chunk, uint8_t *into) noexcept nogil:
        cdef Py_ssize_t i
        cdef Item item
        cdef Bits bits
        cdef int answer
        # hot: begin
        for i in range(chunk.filled):
            if not find_item(chunk, i, &item):
                return i
            answer = ask_text(&self.table, item.text.start, item.text.length) if item.has_room else NOT_COMMON
            if answer == NOT_COMMON:
                if not parse_item(&item, &bits):
                    return i
                answer = contains(&self.table, &bits)
            into[i] = <uint8_t>answer
        # hot: end
        return chunk.filled

    def covers(self, prefix, /):
        """Tell whether every address of a prefix is in the list, by one entry or several.

        Args:
            prefix: what `parse_prefix` takes.  An IPv6 prefix around ::ffff:0:0/96 has these numbers, too, although no
                client does.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.

        >>> AllowList(["192.0.2.0/25", "192.0.2.128/25"]).covers("192.0.2.0/24")
        True
        """
        cdef Bits bits
        read_prefix(prefix, False, &bits)
        return contains_all(&self.table, &bits)

    # 2. Which entry?

    # hot: begin
    cdef uint32_t find_length(self, const Bits *address) noexcept nogil:
        """FIRST_LENGTH and the length of the longest match, NONE_IN, or PARTLY_IN where only `find_entry` knows."""
        if address.family == 4:
            return ask_trie4(&self.narrow.trie, address.upper)
        return ask_trie6(&self.wide.trie, address.upper)

    cdef Py_ssize_t find_entry(self, const Bits *address) noexcept nogil:
        """The most specific entry that covers the address, or NO_ENTRY."""
        cdef Py_ssize_t at
        cdef uint32_t value = <uint32_t>(address.upper >> 32)
        cdef Py_ssize_t base = <Py_ssize_t>self.narrow.firsts.count
        if self.has_quick_no(address.family) and not contains(&self.table, address):
            return NO_ENTRY
        # The last entry that is not after the address in canonical order; then it or its nearest ancestor that covers.
        if address.family == 4:
            at = <Py_ssize_t>begun4(&self.narrow, value, self.table.vectors) - 1
            while at != NO_ENTRY and not covers4(&self.narrow, at, value):
                at = self.parents[at]
            return at
        if self.wide.firsts.count == 0:
            return NO_ENTRY     # there is no lower half to look at
        at = <Py_ssize_t>begun6(&self.wide, address.upper, address.lower, self.table.vectors) - 1
        if at == NO_ENTRY:
            return NO_ENTRY
        at += base
        while at != NO_ENTRY and not covers6(&self.wide, at - base, address.upper, address.lower):
            at = self.parents[at]
        return at

    cdef inline bint has_quick_no(self, uint8_t family) noexcept nogil:
        """Is asking the ranges far quicker than asking the entries?"""
        return self.table.ipv4.map is not NULL if family == 4 else self.table.ipv6.trie.index is not NULL

    cdef void bits_at(self, Py_ssize_t i, Bits *bits) noexcept nogil:
        cdef Py_ssize_t wide = i - self.narrow.firsts.count
        if wide < 0:
            bits.upper = <uint64_t>first4(&self.narrow, i) << 32
            bits.lower = 0
            bits.family = 4
            bits.length = self.narrow.lengths[i]
            return
        bits.upper = upper6(&self.wide, wide)
        bits.lower = self.wide.firsts.lower[wide]
        bits.family = 6
        bits.length = self.wide.lengths[wide]
    # hot: end

    cdef object label_at(self, Py_ssize_t i):
        return None if self.labels is None else self.labels.get(i)

    cdef Entry entry_at(self, Py_ssize_t i):
        """The object of an entry; a short list keeps those that it made."""
        if self.narrow.firsts.count + self.wide.firsts.count > MOST_MADE:
            return self.make_entry(i)
        if self.made is None:
            self.made = [None] * len(self)
        if self.made[i] is None:
            self.made[i] = self.make_entry(i)
        return self.made[i]

    cdef Entry make_entry(self, Py_ssize_t i):
        cdef Bits bits
        self.bits_at(i, &bits)
        return new_entry(&bits, self.label_at(i))

    def match(self, address, /):
        """Find the most specific entry that covers an address.

        Args:
            address: what `parse_address` takes.
        Returns:
            `Entry`, or None.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        Cost: that of `contains` and an object, if the list is long; with labels, the search in a longer table and a
            step a nesting level.
        """
        cdef Bits bits
        cdef Py_ssize_t at
        cdef uint32_t found
        read_address(address, &bits)
        found = self.find_length(&bits)
        if found == NONE_IN:
            return None
        if found != PARTLY_IN and self.labels is None:      # a label has the number of its entry
            bits.length = <uint8_t>(found - FIRST_LENGTH)
            bits.upper &= upper_mask(bits.length)
            bits.lower = 0       # no answer is longer than 48 bits
            return new_entry(&bits, None)
        at = self.find_entry(&bits)
        return None if at == NO_ENTRY else self.entry_at(at)

    def matches(self, address, /):
        """List all entries that cover an address, the most specific first.

        Args:
            address: what `parse_address` takes.
        Returns:
            `list[Entry]`, perhaps empty.
        Raises:
            InvalidAddress, TypeError: as `parse_address`.
        """
        cdef Bits bits
        cdef Py_ssize_t at
        cdef list found = []
        read_address(address, &bits)
        at = self.find_entry(&bits)
        while at != NO_ENTRY:
            found.append(self.entry_at(at))
            at = self.parents[at]
        return found

    def match_many(self, addresses, /, *, family=None, byteorder=None, out=None):
        """Tell for many addresses at once which entry matches: its number, so that `allow[number]` is that entry.

        Args:
            addresses, family, byteorder: as for `contains_many`.
            out: a writable contiguous buffer of n 32-bit integers of this machine, such as an `array("i")`.
        Returns:
            `array("i")`, n long: the number of the most specific entry, -1 where there is none; or `out`.
        Raises:
            InvalidAddress, ValueError, TypeError, OSError: as for `contains_many`.
        Cost: as `contains_many`, and a step a nesting level.
        Threads: as for `contains_many`.

        >>> office = AllowList(["203.0.113.0/24", "203.0.113.64/26"])
        >>> numbers = office.match_many(["203.0.113.7", "203.0.113.65", "198.51.100.7"])
        >>> list(numbers), office[numbers[1]]
        ([0, 1, -1], Entry('203.0.113.64/26'))
        """
        return self.answer_many(addresses, family, byteorder, out, sizeof(int32_t))

    cdef int match_each(self, object addresses, Answers answers) except -1:
        cdef Py_ssize_t i = 0
        cdef int32_t *into = <int32_t *>answers.view.buf
        cdef Bits bits
        for address in addresses:
            if i == answers.count:
                raise ValueError("the list of addresses grew while it was read")
            read_address(address, &bits, i)
            into[i] = <int32_t>self.find_entry(&bits)
            i += 1
        if i < answers.count:
            raise ValueError("the list of addresses shrank while it was read")
        return 0

    cdef void match_packed(self, const uint8_t *start, Py_ssize_t count, uint8_t family, bint is_reversed,
                           int32_t *into) noexcept nogil:
        cdef Py_ssize_t i
        cdef Bits bits
        # hot: begin
        for i in range(count):
            if is_reversed:
                set_ipv4(&bits, load_reversed32(start + 4 * i))
            else:
                load_packed(start + i * (width(family) >> 3), family, &bits)
            fold_mapped(&bits)
            into[i] = <int32_t>self.find_entry(&bits)
        # hot: end

    cdef Py_ssize_t match_chunk(self, Chunk chunk, int32_t *into) noexcept nogil:
        cdef Py_ssize_t i
        cdef Item item
        cdef Bits bits
        # hot: begin
        for i in range(chunk.filled):
            if not (find_item(chunk, i, &item) and parse_item(&item, &bits)):
                return i
            into[i] = <int32_t>self.find_entry(&bits)
        # hot: end
        return chunk.filled

    # 3. The list as a value.

    cdef PrefixArray prefixes(self):
        """The entries as they were read, sorted."""
        cdef PrefixArray prefixes = PrefixArray()
        cdef Py_ssize_t i
        cdef Bits bits
        for i in range(len(self)):
            self.bits_at(i, &bits)
            prefixes.push(&bits)
        return prefixes

    def aggregate(self):
        """Find the fewest prefixes that mean the same addresses; labels are not kept.

        Returns:
            `list[Prefix]` in canonical order.
        """
        return prefixes_of(merge(self.prefixes()))

    def __len__(self):
        return <Py_ssize_t>self.narrow.firsts.count + self.wide.firsts.count

    def __getitem__(self, number):
        try:
            return self.entry_at(range(len(self))[index(number)])
        except IndexError:
            raise IndexError(f"the list has {len(self)} entries, no entry {number}") from None

    def __sizeof__(self):
        return object.__sizeof__(self) + self.size_bytes

    def __iter__(self):
        return EntryIterator(self)

    def __bool__(self):
        raise TypeError("an AllowList has no truth value: an empty list allows nobody; ask len(allow) or `is None`")

    def __or__(self, other):
        if type(self) is not AllowList or type(other) is not AllowList:
            return NotImplemented
        return AllowList([*self, *other])

    def __eq__(self, other):
        cdef AllowList that
        cdef Py_ssize_t i
        cdef Bits ours, theirs
        if type(other) is not AllowList:
            return NotImplemented
        that = other
        if self.narrow.firsts.count != that.narrow.firsts.count or len(self) != len(that):
            return False
        for i in range(len(self)):
            self.bits_at(i, &ours)
            that.bits_at(i, &theirs)
            if compare_bits(&ours, &theirs) != 0 or self.label_at(i) != that.label_at(i):
                return False
        return True

    def __hash__(self):
        if self.hash == -1:
            self.hash = hash(tuple(self))   # two threads may both compute it, and write the same
        return self.hash

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler, /):
        """Let a pydantic field be a list: of what is given as texts or mappings, and written as such."""
        return allow_list_schema(cls)

    def __reduce__(self):
        return AllowList, (tuple(self),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo, /):
        return self

    def __repr__(self):
        cdef Py_ssize_t i
        shown = []
        for i in range(min(len(self), SHOWN_ENTRIES)):
            entry = self.entry_at(i)
            shown.append(f"'{entry}'" if entry.label is None else f"('{entry}', {brief(entry.label)})")
        more = len(self) - SHOWN_ENTRIES
        return f"AllowList([{', '.join(shown)}])" if more <= 0 else f"<AllowList [{', '.join(shown)}, and {more} more]>"


# -- What batches read and write ------------------------------------------------

cdef object many(object addresses):
    """Many addresses as something with a length."""
    check_is_list(addresses, "addresses")
    return addresses if type(addresses) is list or type(addresses) is tuple else list(addresses)


cdef enum Order:
    UNSTATED
    BIG
    LITTLE


cdef Order order_of(object byteorder) except *:
    if byteorder is None:
        return UNSTATED
    if byteorder == "big":
        return BIG
    if byteorder == "little":
        return LITTLE
    raise ValueError(f"byteorder is 'big' or 'little', not {byteorder!r}")


cdef str format_of(const Py_buffer *view):
    """What the items of a buffer are, in the words of `struct`."""
    return "B" if view.format is NULL else (<bytes>view.format).decode("ascii", "replace")


@cython.final
cdef class Packed:
    """A buffer of packed addresses, held while it is read."""

    def __cinit__(self, object buffer, object family, object byteorder):
        cdef Order order
        if family not in (4, 6):
            raise ValueError(f"family is 4 or 6, not {family!r}")
        order = order_of(byteorder)
        self.family = family
        PyObject_GetBuffer(buffer, &self.view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        self.is_held = True
        item_format = format_of(&self.view)
        # 1. whose bytes are in which order?
        if self.view.itemsize == 1 or item_format.endswith("s"):
            if order == LITTLE:
                raise ValueError("bytes are addresses in network order, which is big-endian")
        elif self.view.itemsize == 4 and self.family == 4 and item_format.endswith(("i", "I", "l", "L")):
            if order == UNSTATED:
                raise ValueError("32-bit integers need their byteorder stated: 'big' or 'little'")
            if item_format.startswith((">", "!") if order == LITTLE else "<"):
                raise ValueError(f"the buffer says {item_format!r}, which is not {byteorder}-endian")
            self.is_reversed = order == LITTLE
        else:
            raise ValueError(f"packed addresses are bytes in network order or, for IPv4, 32-bit integers, "
                             f"not items of format {item_format!r} and {self.view.itemsize} bytes")
        # 2. how many?
        self.count = self.view.len // (width(self.family) >> 3)
        if self.view.len % (width(self.family) >> 3):
            raise ValueError(f"{self.view.len} bytes are no whole number of addresses "
                             f"of {width(self.family) >> 3} bytes")

    def __dealloc__(self):
        if self.is_held:
            PyBuffer_Release(&self.view)


@cython.final
cdef class Answers:
    """Where a batch writes: a new object, or a buffer that was given; held while it is written."""

    def __cinit__(self, object out, Py_ssize_t count, Py_ssize_t item_size):
        self.count = count
        if out is None and item_size == 1:
            # Not yet seen by anybody else, so it may be written.
            self.result = PyBytes_FromStringAndSize(NULL, count)
            self.view.buf = PyBytes_AS_STRING(self.result)
            return
        self.result = array("i", bytes(count * item_size)) if out is None else out
        PyObject_GetBuffer(self.result, &self.view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT)
        self.is_held = True
        item_format = format_of(&self.view)
        fits = self.view.itemsize == item_size and self.view.len == count * item_size
        kind = ("b", "B", "c", "?") if item_size == 1 else ("i", "l")
        if not fits or not item_format.endswith(kind) or item_format.startswith(OTHER_ORDER):
            raise ValueError(f"out has {self.view.len} bytes in items of format {item_format!r}, "
                             f"not {count} {'bytes' if item_size == 1 else '32-bit integers'}")

    def __dealloc__(self):
        if self.is_held:
            PyBuffer_Release(&self.view)


cdef int refuse_overlap(str noun) except -1:
    """Answers written over what is still to be read would be answers to other questions."""
    raise ValueError(f"out lies in the buffer of the {noun}")


cdef class EntryIterator:
    """Give the entries in canonical order; threads that share it get each entry once."""

    cdef AllowList allow
    cdef Py_ssize_t next_index

    def __cinit__(self, AllowList allow not None):
        self.allow = allow
        self.next_index = 0

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t i = self.next_index
        if i >= len(self.allow):
            raise StopIteration
        self.next_index = i + 1
        return self.allow.entry_at(i)
