# cython: language_level=3
"""The Patricia trie: a map from prefixes to any objects, made for the longest match.

A plain binary trie has a node for every bit.  This trie has only nodes that
hold a stored prefix, and forks, below which stored prefixes differ.  A node
holds its whole prefix.  So a search skips the bits between two nodes (path
compression), and compares the whole prefix at each node.

    10.0.0.0/8 "a", 10.1.0.0/16 "b", 10.1.2.0/24 "c", 10.1.3.0/24 "d":

              10.0.0.0/8 "a"
                   |0
              10.1.0.0/16 "b"
                   |0
              10.1.2.0/23  -          a fork without an entry: always two children
             0/          \\1
    10.1.2.0/24 "c"   10.1.3.0/24 "d"

The nodes lie in one array, the arena, and refer to their children by index.
Each family has its own root.  Freed nodes form a chain through `child[0]`.

    nodes    [ unused | 10.0.0.0/8 | 10.1.0.0/16 | 10.1.2.0/24 | ... ]    32 bytes each
    values   [ None   | "a"        | "b"         | "c"         | ... ]    a Python list, so the collector sees it

Invariants: a node's prefix is a proper prefix of its children's; a node
without an entry has two children; so n entries need at most 2n - 1 nodes.
`check_invariants` walks them all.

Cost: a search visits at most one node for each bit of the address.  In practice
these are about five for an office list and twenty for an Internet table.
Threads: guarded by the interpreter lock; no Python code runs during a change.
If many readers need no lock, make an `AllowList`.
Source: D. Morrison, PATRICIA (J. ACM 15(4), 1968); K. Sklower, A Tree-Based
Packet Routing Table for Berkeley Unix (USENIX 1991).
"""

from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from cidrmatch._core.address cimport Bits
from cidrmatch._core.prefix cimport check_is_list, lower_mask, new_prefix, read_prefix, upper_mask
from cidrmatch._core.prefixes cimport (
    PrefixArray, Range, RangeArray, is_before, merge, objects_of, prefixes_of, range_of, resized, split,
)

from collections.abc import Mapping, MutableMapping
from itertools import islice
from reprlib import recursive_repr

__all__ = ["PatriciaTrie"]

cdef extern from "_core/c/bits.h" nogil:
    int leading_zeros(uint64_t word)

cdef enum:
    NONE = 0            # no node: index 0 of the arena is never used
    SHOWN_ITEMS = 3     # in a repr
    LONGEST_REPR = 160
    DEEPEST = 129       # a path has at most one node for each length from 0 to 128


cdef struct Node:
    uint64_t upper
    uint64_t lower
    uint32_t child[2]
    uint8_t length
    uint8_t is_entry


# -- Bits ---------------------------------------------------------------------

cdef inline int bit_at(uint64_t upper, uint64_t lower, uint8_t place) noexcept nogil:
    return <int>((upper >> (63 - place) if place < 64 else lower >> (127 - place)) & 1)


cdef inline uint8_t common_length(const Node *node, const Bits *bits) noexcept nogil:
    """How many leading bits the two prefixes share, at most the shorter length."""
    cdef uint8_t most = min(node.length, bits.length)
    cdef uint64_t difference = node.upper ^ bits.upper
    cdef int shared = 0
    if difference == 0:
        difference = node.lower ^ bits.lower
        shared = 64
    if difference == 0:
        return most
    return <uint8_t>min(<int>most, shared + leading_zeros(difference))


cdef inline bint covers_bits(const Node *node, const Bits *bits) noexcept nogil:
    return (
        node.length <= bits.length
        and (node.upper ^ bits.upper) & upper_mask(node.length) == 0
        and (node.lower ^ bits.lower) & lower_mask(node.length) == 0
    )


# -- The trie -----------------------------------------------------------------

cdef class Trie:
    """The arena and the map's special methods; `PatriciaTrie` adds the rest of the mapping."""

    cdef Node *nodes
    cdef uint32_t size          # nodes in use or free: the arena's end
    cdef uint32_t capacity
    cdef uint32_t free          # first node of the free chain, or NONE
    cdef uint32_t root[2]       # IPv4, IPv6
    cdef Py_ssize_t count       # entries
    cdef list values            # beside the nodes: the value of each entry
    cdef uint64_t version       # grows with each change of the keys

    def __cinit__(self, *args, **kwargs):
        self.nodes = NULL
        self.size = 1
        self.capacity = 0
        self.root[0] = self.root[1] = NONE
        self.free = NONE
        self.count = 0
        self.values = [None]
        self.version = 0

    def __dealloc__(self):
        PyMem_RawFree(self.nodes)

    # 1. Searching: plain loops over the arena.

    cdef uint32_t find(self, const Bits *bits) noexcept nogil:
        """The node of exactly this prefix that holds an entry, or NONE."""
        cdef uint32_t at = self.root[bits.family == 6]
        cdef const Node *node
        while at != NONE:
            node = &self.nodes[at]
            if not covers_bits(node, bits):
                return NONE
            if node.length == bits.length:
                return at if node.is_entry else NONE
            at = node.child[bit_at(bits.upper, bits.lower, node.length)]
        return NONE

    cdef uint32_t find_longest(self, const Bits *bits) noexcept nogil:
        """The node of the longest stored prefix that covers the bits, or NONE."""
        cdef uint32_t at = self.root[bits.family == 6], best = NONE
        cdef const Node *node
        while at != NONE:
            node = &self.nodes[at]
            if not covers_bits(node, bits):
                break
            if node.is_entry:
                best = at
            if node.length == bits.length:
                break
            at = node.child[bit_at(bits.upper, bits.lower, node.length)]
        return best

    cdef uint32_t find_top(self, const Bits *bits) noexcept nogil:
        """The highest node that the bits cover, or NONE. All other nodes that the bits cover are below it."""
        cdef uint32_t at = self.root[bits.family == 6]
        cdef const Node *node
        while at != NONE:
            node = &self.nodes[at]
            if node.length >= bits.length:
                return at if common_length(node, bits) == bits.length else NONE
            if not covers_bits(node, bits):
                return NONE
            at = node.child[bit_at(bits.upper, bits.lower, node.length)]
        return NONE

    cdef Bits bits_of(self, uint32_t at, uint8_t family) noexcept nogil:
        cdef Bits bits
        bits.upper = self.nodes[at].upper
        bits.lower = self.nodes[at].lower
        bits.family = family
        bits.length = self.nodes[at].length
        return bits

    # 2.  Changing: memory is reserved first, then links are changed; nothing can fail in between.

    cdef int make_room(self) except -1:
        """Reserve memory for two more nodes."""
        cdef uint32_t wanted = self.size + 2
        cdef Py_ssize_t capacity
        if wanted > self.capacity:
            capacity = max(<Py_ssize_t>16, <Py_ssize_t>self.capacity * 2)
            self.nodes = <Node *>resized(self.nodes, capacity, sizeof(Node))
            self.capacity = <uint32_t>capacity
        while len(self.values) < wanted:
            self.values.append(None)
        return 0

    cdef uint32_t take_node(self, const Bits *bits, uint8_t length, bint is_entry) noexcept nogil:
        """Take a node from the free chain or the arena's end; `make_room` was called before."""
        cdef uint32_t at = self.free
        cdef Node *node
        if at != NONE:
            self.free = self.nodes[at].child[0]
        else:
            at = self.size
            self.size += 1
        node = &self.nodes[at]
        node.upper = bits.upper & upper_mask(length)
        node.lower = bits.lower & lower_mask(length)
        node.child[0] = node.child[1] = NONE
        node.length = length
        node.is_entry = is_entry
        return at

    cdef void free_node(self, uint32_t at) noexcept nogil:
        self.nodes[at].child[0] = self.free
        self.nodes[at].is_entry = False
        self.free = at

    cdef int store(self, const Bits *bits, object value) except -1:
        """Set the value of a prefix, with a new node for it and perhaps one for a fork."""
        cdef uint32_t at
        self.make_room()
        at = self.place(bits)
        if not self.nodes[at].is_entry:
            self.nodes[at].is_entry = True
            self.count += 1
            self.version += 1
        self.values[at] = value     # the old value is dropped last, because its __del__ may call this trie
        return 0

    cdef uint32_t place(self, const Bits *bits) noexcept nogil:
        """Find or make the node of exactly this prefix."""
        cdef uint32_t *link = &self.root[bits.family == 6]
        cdef Node *node
        cdef uint32_t at, fork
        cdef uint8_t shared
        while True:
            at = link[0]
            # 1. nothing here: a leaf
            if at == NONE:
                link[0] = self.take_node(bits, bits.length, False)
                return link[0]
            node = &self.nodes[at]
            shared = common_length(node, bits)
            # 2. this node, or a node below it
            if shared == node.length:
                if node.length == bits.length:
                    return at
                link = &node.child[bit_at(bits.upper, bits.lower, node.length)]
                continue
            # 3. the bits and this node differ above it: make a fork there, or a node for the bits
            fork = self.take_node(bits, shared, False)
            self.nodes[fork].child[bit_at(node.upper, node.lower, shared)] = at
            link[0] = fork
            if shared == bits.length:
                return fork
            link = &self.nodes[fork].child[bit_at(bits.upper, bits.lower, shared)]

    cdef object remove(self, const Bits *bits):
        """Take out a prefix and return its value; KeyError if it is not there."""
        cdef uint32_t *links[DEEPEST + 1]
        cdef int depth = 0
        cdef Node *node
        links[0] = &self.root[bits.family == 6]
        # 1. walk down and remember the links
        while links[depth][0] != NONE:
            node = &self.nodes[links[depth][0]]
            if not covers_bits(node, bits) or node.length == bits.length:
                break
            depth += 1
            links[depth] = &node.child[bit_at(bits.upper, bits.lower, node.length)]
        if links[depth][0] == NONE or self.find(bits) != links[depth][0]:
            raise KeyError(new_prefix(bits))
        # 2. the node is no entry any more
        value = self.values[links[depth][0]]
        self.values[links[depth][0]] = None
        self.nodes[links[depth][0]].is_entry = False
        self.count -= 1
        self.version += 1
        # 3. remove the node unless it is a fork; then perhaps also its parent
        self.tidy(links[depth])
        if depth > 0:
            self.tidy(links[depth - 1])
        return value

    cdef void tidy(self, uint32_t *link) noexcept nogil:
        """Replace a node that has neither an entry nor two children by its only child, or by nothing."""
        cdef uint32_t at = link[0]
        cdef Node *node = &self.nodes[at]
        if at == NONE or node.is_entry or (node.child[0] != NONE and node.child[1] != NONE):
            return
        link[0] = node.child[0] if node.child[0] != NONE else node.child[1]
        self.free_node(at)

    # 3. The special methods of a mapping.

    def __len__(self):
        return self.count

    def __contains__(self, prefix):
        cdef Bits bits
        read_prefix(prefix, False, &bits)
        return self.find(&bits) != NONE

    def __getitem__(self, prefix):
        cdef Bits bits
        cdef uint32_t at
        read_prefix(prefix, False, &bits)
        at = self.find(&bits)
        if at == NONE:
            raise KeyError(new_prefix(&bits))
        return self.values[at]

    def __setitem__(self, prefix, value):
        self.put(prefix, value, -1)

    cdef int put(self, object prefix, object value, Py_ssize_t index) except -1:
        """Set the value of a prefix in any accepted form; `index` is its position in a list, for errors."""
        cdef Bits bits
        read_prefix(prefix, False, &bits, index)
        return self.store(&bits, value)

    def __delitem__(self, prefix):
        cdef Bits bits
        read_prefix(prefix, False, &bits)
        self.remove(&bits)

    def __iter__(self):
        return Walk(self)

    # 4. Questions that only a trie answers.

    def longest_match(self, prefix, /):
        """Find the longest stored prefix that covers an address or a prefix.

        Args:
            prefix: what `parse_prefix` takes; an address is the prefix of full length.
        Returns:
            `(Prefix, value)`, or None.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        Cost: one node a step, at most one step a bit.
        Source: RFC 4632 section 5.1 (longest match).

        >>> PatriciaTrie({"10.0.0.0/8": "a", "10.1.0.0/16": "b"}).longest_match("10.1.2.3")
        (Prefix('10.1.0.0/16'), 'b')
        """
        cdef Bits bits
        cdef uint32_t at
        read_prefix(prefix, False, &bits)
        at = self.find_longest(&bits)
        return None if at == NONE else self.item(at, bits.family)

    cdef tuple item(self, uint32_t at, uint8_t family):
        cdef Bits bits = self.bits_of(at, family)
        return new_prefix(&bits), self.values[at]

    def covering(self, prefix, /):
        """List the stored prefixes that cover an address or a prefix, itself included.

        Args:
            prefix: what `parse_prefix` takes.
        Returns:
            `list[(Prefix, value)]`, the most specific first.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        """
        cdef Bits bits
        cdef uint32_t at
        cdef list found = []
        read_prefix(prefix, False, &bits)
        at = self.root[bits.family == 6]
        while at != NONE and covers_bits(&self.nodes[at], &bits):
            if self.nodes[at].is_entry:
                found.append(self.item(at, bits.family))
            if self.nodes[at].length == bits.length:
                break
            at = self.nodes[at].child[bit_at(bits.upper, bits.lower, self.nodes[at].length)]
        found.reverse()
        return found

    def covered(self, prefix, /):
        """List the stored prefixes that lie inside a prefix, itself included.

        Args:
            prefix: what `parse_prefix` takes.
        Returns:
            `list[(Prefix, value)]` in canonical order.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.
        """
        cdef Bits bits
        cdef Walk walk = Walk(self)
        cdef uint32_t at
        read_prefix(prefix, False, &bits)
        at = self.find_top(&bits)
        walk.start(at if bits.family == 4 else NONE, at if bits.family == 6 else NONE)
        found = []
        for reached in walk:
            found.append((reached, self.values[walk.at]))
        return found

    def aggregate(self):
        """Find the fewest prefixes that mean the same addresses as the keys.

        Returns:
            `list[Prefix]` in canonical order.
        Cost: one walk, about 100 ns a prefix.
        """
        return prefixes_of(self.merged())

    def exclude(self, prefix, /):
        """Find the fewest prefixes that mean the addresses of the keys, less those of one prefix.

        Args:
            prefix: what `parse_prefix` takes.
        Returns:
            `list[Prefix]` in canonical order; the trie itself does not change.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`.

        >>> PatriciaTrie({"192.0.2.0/24": None}).exclude("192.0.2.128/25")
        [Prefix('192.0.2.0/25')]
        """
        cdef Bits bits
        cdef Range hole
        cdef RangeArray merged = self.merged()
        cdef PrefixArray left = PrefixArray()
        cdef Py_ssize_t i
        read_prefix(prefix, False, &bits)
        hole = range_of(&bits)
        for i in range(merged.size):
            split_around(&merged.ranges[i], &hole, left)
        return objects_of(left)

    cdef RangeArray merged(self):
        cdef PrefixArray array = PrefixArray()
        cdef Walk walk = Walk(self)
        cdef Bits bits
        while walk.step() != NONE:
            bits = self.bits_of(walk.at, walk.family)
            array.push(&bits)
        return merge(array)     # a walk is in canonical order, so no sort is needed

    def clear(self):
        """Remove every prefix."""
        cdef list old = self.values
        self.values = [None]
        self.size = 1
        self.free = NONE
        self.root[0] = self.root[1] = NONE
        self.count = 0
        self.version += 1
        old.clear()     # now the trie is empty and valid, so a __del__ may call it

    def check_invariants(self):
        """Walk the whole trie and raise AssertionError where an invariant is broken.

        For tests and for a reader who doubts; costs a visit to every node.
        """
        cdef int family_index
        cdef uint32_t nodes = 0, chained = 0, at = self.free
        cdef Py_ssize_t entries = 0
        for family_index in range(2):
            if self.root[family_index] != NONE:
                counted = self.check_below(self.root[family_index], 128 if family_index else 32)
                nodes += <uint32_t>counted[0]
                entries += <Py_ssize_t>counted[1]
        while at != NONE:
            chained += 1
            at = self.nodes[at].child[0]
        if entries != self.count:
            raise AssertionError(f"{entries} entries in the nodes, {self.count} counted")
        if nodes + chained + 1 != self.size:
            raise AssertionError(f"{nodes} nodes in use and {chained} free, in an arena of {self.size}")
        if nodes > max(0, 2 * entries - 1):
            raise AssertionError(f"{nodes} nodes for {entries} entries")

    cdef tuple check_below(self, uint32_t at, uint8_t widest):
        """Check the subtrie and count its nodes and entries."""
        cdef Node *node = &self.nodes[at]
        cdef Bits bits = self.bits_of(at, 6)
        cdef Bits child_bits
        cdef Py_ssize_t nodes = 1, entries = node.is_entry
        cdef int side
        if node.length > widest or node.upper & ~upper_mask(node.length) or node.lower & ~lower_mask(node.length):
            raise AssertionError("a node has host bits or too long a prefix")
        if not node.is_entry and (node.child[0] == NONE or node.child[1] == NONE):
            raise AssertionError("a node without an entry lacks a child")
        for side in range(2):
            if node.child[side] == NONE:
                continue
            child_bits = self.bits_of(node.child[side], 6)
            if child_bits.length <= bits.length or not covers_bits(node, &child_bits):
                raise AssertionError("a node's prefix is not a proper prefix of its child's")
            if bit_at(child_bits.upper, child_bits.lower, node.length) != side:
                raise AssertionError("a child hangs on the wrong side")
            below = self.check_below(node.child[side], widest)
            nodes += <Py_ssize_t>below[0]
            entries += <Py_ssize_t>below[1]
        return nodes, entries


cdef int split_around(const Range *whole, const Range *hole, PrefixArray prefixes) except -1:
    """Add the prefixes of what is left of a range without a hole.

    whole   |-------------------------------|
    hole            |--------|
    left    |------|          |-------------|
    """
    cdef Range part
    if (
        whole.family != hole.family
        or is_before(whole.last_upper, whole.last_lower, hole.first_upper, hole.first_lower)
        or is_before(hole.last_upper, hole.last_lower, whole.first_upper, whole.first_lower)
    ):
        return split(whole, prefixes)
    if is_before(whole.first_upper, whole.first_lower, hole.first_upper, hole.first_lower):
        part = whole[0]
        part.last_lower = hole.first_lower - 1
        part.last_upper = hole.first_upper - (hole.first_lower == 0)
        split(&part, prefixes)
    if is_before(hole.last_upper, hole.last_lower, whole.last_upper, whole.last_lower):
        part = whole[0]
        part.first_lower = hole.last_lower + 1
        part.first_upper = hole.last_upper + (part.first_lower == 0)
        split(&part, prefixes)
    return 0


# -- Walking ------------------------------------------------------------------

cdef class Walk:
    """Visit the entries in canonical order: a node before its children, the left child first."""

    cdef Trie trie
    cdef uint64_t version
    cdef uint32_t stack[DEEPEST + 1]
    cdef int depth
    cdef uint32_t next_root     # the root of IPv6, visited when the stack is empty
    cdef uint8_t family
    cdef uint32_t at            # the entry reached last

    def __cinit__(self, Trie trie not None):
        self.trie = trie
        self.version = trie.version
        self.start(trie.root[0], trie.root[1])

    cdef void start(self, uint32_t root4, uint32_t root6) noexcept:
        self.depth = 0
        self.family = 4
        self.next_root = root6
        if root4 != NONE:
            self.stack[0] = root4
            self.depth = 1

    cdef uint32_t step(self) noexcept:
        """Go to the next entry and return its node, or NONE at the end."""
        cdef Node *node
        while True:
            if self.depth == 0:
                if self.family == 6 or self.next_root == NONE:
                    return NONE
                self.family = 6
                self.stack[0] = self.next_root
                self.depth = 1
            self.depth -= 1
            self.at = self.stack[self.depth]
            node = &self.trie.nodes[self.at]
            # The stack holds at most one right child for each level, and the next node: never more than DEEPEST + 1.
            if node.child[1] != NONE:
                self.stack[self.depth] = node.child[1]
                self.depth += 1
            if node.child[0] != NONE:
                self.stack[self.depth] = node.child[0]
                self.depth += 1
            if node.is_entry:
                return self.at

    def __iter__(self):
        return self

    def __next__(self):
        cdef Bits bits
        if self.version != self.trie.version:
            raise RuntimeError("the trie changed during iteration")
        if self.step() == NONE:
            raise StopIteration
        bits = self.trie.bits_of(self.at, self.family)
        return new_prefix(&bits)


# -- The public type ----------------------------------------------------------

class PatriciaTrie(Trie, MutableMapping):
    """Map prefixes of both families to any objects, and find the longest match.

    A mutable mapping: `trie[prefix]`, `get`, `pop`, `update`, `items` and the
    rest work on exact prefixes.  Keys go in as anything `parse_prefix` takes
    and come out as `Prefix`, in canonical order.  Junk raises; it is never
    "absent".  Pickles and copies; takes part in garbage collection.

    Args:
        items: a mapping, or pairs of prefix and value.
    Raises:
        InvalidPrefix, TypeError: as `parse_prefix`, with the position of the bad item; the trie then holds the items
            before it.
        RuntimeError: from an iterator, when prefixes came or went since it began.
    Cost: 40 bytes a node and the value's reference, at most two nodes a prefix; a
        search visits at most one node a bit.
    Threads: each operation is atomic under the interpreter lock; guard
        compound ones yourself.

    >>> trie = PatriciaTrie({"10.0.0.0/8": "net", "2001:db8::/32": "docs"})
    >>> trie.longest_match("10.1.2.3")
    (Prefix('10.0.0.0/8'), 'net')
    >>> list(trie)
    [Prefix('10.0.0.0/8'), Prefix('2001:db8::/32')]
    """

    __slots__ = ()
    __hash__ = None

    def __init__(self, items=(), /):
        self.update(items)

    def update(self, items=(), /):
        """Put many items.

        Args:
            items: a mapping, or pairs of prefix and value.
        Raises:
            InvalidPrefix, TypeError: as `parse_prefix`, with the position of the bad item; the trie then holds the
                items before it.
        """
        if isinstance(items, Mapping):
            items = items.items()
        elif hasattr(items, "keys"):
            prefixes = list(items.keys())
            items = zip(prefixes, map(items.__getitem__, prefixes))
        else:
            check_is_list(items, "items")
        for index, item in enumerate(items):
            try:
                prefix, value = item
            except (TypeError, ValueError):
                raise TypeError(f"entry {index}: an item is a pair of prefix and value, "
                                f"not one {type(item).__name__}") from None
            (<Trie>self).put(prefix, value, index)

    @recursive_repr()
    def __repr__(self):
        name = type(self).__name__
        shown = dict(zip(map(str, islice(self.keys(), SHOWN_ITEMS)), islice(self.values(), SHOWN_ITEMS)))
        if len(self) <= SHOWN_ITEMS:
            text = f"{name}({shown!r})"
            if len(text) <= LONGEST_REPR:
                return text
        return f"<{name} of {len(self):,} prefixes: {', '.join(shown)}{', ...' if len(self) > SHOWN_ITEMS else ''}>"

    def __reduce__(self):
        return type(self), (), None, None, iter(list(self.items()))

    def copy(self):
        """Copy the map; the values are shared."""
        return type(self)(self)
