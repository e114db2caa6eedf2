# cython: language_level=3
"""Building a multibit trie: each block of addresses gets one answer, several bits of an address at a step.

The frozen form of a long list has such tries. layout.h draws them, search.h searches them, and this room builds them.

A trie has up to three kinds of words, and each word is the number of a node or of a row:

    index      a word for each /16                      the first 16 bits choose
    rows       one for each /16 that is in part         5 bits more of IPv4, 8 of IPv6
    nodes      8 words of IPv4, 16 of IPv6              3 bits more, or 4, as often as needed

    2001:db8::/32     index[2001] -> row[0d] -> node[b] -> node[8], and that is the answer

The first nodes stand for the answers: NONE_IN, ALL_IN, PARTLY_IN, and one node for each possible length of a longest
match.

A `BlockWalk` goes through the sorted intervals once, from block to block; a broad block comes before the blocks inside
it.  Intervals are ranges, which are disjoint, or entries, which may nest:

    intervals     |-------------------------------|        |------|
                      |-------|
    blocks        |   0   |   1   |   2   |   3   |   4   |   5   |      a parted block asks the smaller ones in it

Nodes are made from the leaves upwards.  So equal nodes have equal words.  A hash table finds equal nodes, and each is
stored once.

Invariants: a word names an existing node or row.  If a trie would need more nodes than a word can number, there is no
trie.
Cost: one walk through the intervals, and one hash for each node.
Threads: a builder belongs to the thread that freezes a list; the interpreter lock is not held meanwhile.
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport UINT32_MAX, UINT64_MAX, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from cidrmatch._core.address cimport Bits
from cidrmatch._core.prefixes cimport Range, is_before, range_of, unpack4, unpack6

__all__ = []

cdef extern from "_core/c/layout.h" nogil:
    enum:
        ROW_BITS4
        FORK_BITS4
        BELOW4
        ROW_BITS6
        FORK_BITS6
        BELOW6

cdef enum:
    MOST_NODES = 65_535     # a word holds the number of a node
    SLOTS = 1 << 17         # twice as many slots as nodes, so that the search for an equal node is short
    LONGEST_NODE = 16       # words
    LONGEST_ROW = 256
    MOST_FACTORS = 9        # one factor, and one more for every two words of a node

# The factors of this process, as PYTHONHASHSEED decides.  They only decide the slots of the hash table; the trie is the
# same with any factors.
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
cdef class MultibitBuilder:
    """A trie that is being built.  It owns its arrays; the frozen form copies them."""

    def __cinit__(self):
        self.slots = NULL
        self.trie = MultibitTrie(NULL, NULL, NULL)

    def __dealloc__(self):
        PyMem_RawFree(self.trie.index)
        PyMem_RawFree(self.trie.rows)
        PyMem_RawFree(self.trie.nodes)
        PyMem_RawFree(self.slots)

    cdef int build4(self, const Intervals *intervals) except -1:
        """Build the trie of an IPv4 list.  Afterwards `nodes` is 0 if the trie would have too many nodes or rows."""
        return self.build(SHAPE4, intervals)

    cdef int build6(self, const Intervals *intervals) except -1:
        return self.build(SHAPE6, intervals)

    cdef int build(self, Shape shape, const Intervals *intervals) except -1:
        self.shape = shape
        self.trie.index = <uint16_t *>PyMem_RawMalloc((1 << INDEX_BITS) * sizeof(uint16_t))
        self.slots = <uint16_t *>PyMem_RawCalloc(SLOTS, sizeof(uint16_t))
        if self.trie.index is NULL or self.slots is NULL:
            raise MemoryError()
        with nogil:
            self.fill(intervals)
        if self.is_full:
            self.rows = self.nodes = 0
        PyMem_RawFree(self.slots)
        self.slots = NULL
        return 0

    cdef void fill(self, const Intervals *intervals) noexcept nogil:
        cdef uint16_t row[LONGEST_ROW]
        cdef uint32_t rows[ANSWERS]         # the rows for /16s that have one answer
        cdef uint32_t place
        cdef uint16_t answer
        cdef int i, left = 64 - INDEX_BITS
        cdef uint64_t first
        cdef BlockWalk walk
        begin(&walk, intervals)
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

    cdef uint16_t word_for(self, BlockWalk *walk, uint64_t first, int left) noexcept nogil:
        """The answer for the block of 2**left upper halves from `first` on, or the number of a node with more words."""
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
        """The number of the node with these words; a new node if there is none yet."""
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
    """Make room for one more node or row of `size` words."""
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
    """Multilinear hashing: two nodes collide with a chance of 1 in 2**32, over all factors, which nobody outside knows.

    Source: Lemire and Kaser, Strongly universal string hashing is fast (2014).
    """
    cdef uint64_t mixed = FACTORS[0]
    cdef uint32_t i, pair
    for i in range(count // 2):
        memcpy(&pair, words + 2 * i, sizeof(pair))
        mixed += FACTORS[i + 1] * pair
    return <uint32_t>(mixed >> 32)


cdef uint16_t interval_at(const Intervals *intervals, uint32_t i, Range *interval) noexcept nogil:
    """Get interval `i`; return the answer for addresses whose innermost interval it is."""
    cdef Bits bits
    if intervals.ranges is not NULL:
        interval[0] = intervals.ranges[i]
        return ALL_IN
    if intervals.array4 is not NULL:
        unpack4(intervals.array4[i], &bits)
    else:
        unpack6(&intervals.array6[i], &bits)
    interval[0] = range_of(&bits)
    return <uint16_t>(FIRST_LENGTH + bits.length)


cdef void begin(BlockWalk *walk, const Intervals *intervals) noexcept nogil:
    walk.intervals = intervals
    walk.depth = 0
    walk.at = 0
    if intervals.count > 0:
        walk.answer = interval_at(intervals, 0, &walk.next)


cdef void open_next(BlockWalk *walk) noexcept nogil:
    close_before(walk, walk.next.first_upper, walk.next.first_lower)
    walk.enclosing[walk.depth] = Enclosing(walk.next.last_upper, walk.next.last_lower, walk.answer)
    walk.depth += 1
    walk.at += 1
    if walk.at < walk.intervals.count:
        walk.answer = interval_at(walk.intervals, walk.at, &walk.next)


cdef void close_before(BlockWalk *walk, uint64_t upper, uint64_t lower) noexcept nogil:
    """Forget the intervals that end before an address."""
    while walk.depth > 0 and is_before(
            walk.enclosing[walk.depth - 1].last_upper, walk.enclosing[walk.depth - 1].last_lower, upper, lower):
        walk.depth -= 1


cdef uint16_t answer_for(BlockWalk *walk, uint64_t first, int left) noexcept nogil:
    """The answer for all addresses of the block of 2**left upper halves from `first` on, or PARTLY_IN if there is none.

    Callers ask for blocks in order, a broad block before the blocks inside it.  If an interval begins or ends inside
    the block, the answer is PARTLY_IN.
    """
    cdef uint64_t last = first | ((<uint64_t>1 << left) - 1)
    cdef const Range *next = &walk.next
    cdef const Enclosing *innermost
    while walk.at < walk.intervals.count and next.first_upper <= last:
        if is_before(first, 0, next.first_upper, next.first_lower) or (
                next.first_upper == first and is_before(next.last_upper, next.last_lower, last, UINT64_MAX)):
            return PARTLY_IN
        open_next(walk)
    close_before(walk, first, 0)
    if walk.depth == 0:
        return NONE_IN
    innermost = &walk.enclosing[walk.depth - 1]
    return PARTLY_IN if is_before(innermost.last_upper, innermost.last_lower, last, UINT64_MAX) else innermost.answer
