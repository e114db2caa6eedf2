# cython: language_level=3
"""The best cover: the few prefixes that admit all observed addresses, and as few others as possible.

The addresses are sorted and made into *leaves*: disjoint prefixes, each with its number of requests.  Above them
stands the binary tree of their common prefixes, with only the nodes that branch:

    203.0.113.4/30                  1 unit more than its leaves
       |-- 203.0.113.4/31              none more: one leaf, because both addresses were observed
       '-- 203.0.113.6/31              if only .6 is observed: no node, only the leaf .6

A cover takes nodes and leaves as its entries, and leaves some leaves out.  An entry broader than a node, with the same
leaves inside, admits more for nothing.  So the best cover is found among nodes and leaves alone.

The tree is a row of nodes, each behind all nodes inside it, so nothing here recurses:

    leaves   [ a | b | c | d ]          the number of bits that two neighbours share decides the shape
    nodes    [ ab | cd | abcd ]         a node has the first leaf of its right half, and the leaf after its last

Every node has a table: the cost of the cheapest cover of its leaves with exactly k entries, for k from 0 to `most`.
The table of a node is made from those of its two halves.  Only the tables of parts without a parent are in memory.
The choices, a number for each node and each k, stay for the way back.

    cost = units beyond the observed * per_unit + requests left out * per_request       128 bits, never rounded

A unit is an address of IPv4, and a /64 of IPv6.  The caller chooses the two factors.  If one factor is above all
sums of the other, the one counts before the other.  With factors between, the caller walks along the trade-off.

Bars are prefixes where no entry may be.  An entry may not lie inside a prefix of `refused`; a broader entry may contain
one.  An entry may not touch a prefix of `excluded` at all.

Invariants: leaves are sorted and disjoint, and none is inside a bar.  Every cost is below UNABLE, or is UNABLE.
Cost: a sort; then for n leaves and K entries n * K steps.  Memory: 32 bytes for a leaf, 32 for a node, and 4 for each
entry that a node may have, at most K: 106 MB in all for a million addresses and 20 entries.
Threads: an object belongs to the thread that fills it; it is not locked.
Source: the knapsack on a tree, with tables that are as long as the part has leaves, takes n * K steps (Cygan et al.).
"""

cimport cython
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from cidrmatch._core.address cimport Bits, Text, find_text
from cidrmatch._core.bars cimport Bars
from cidrmatch._core.prefix cimport Prefix, compare_bits, covers, new_prefix, parse_common_prefix, read_prefix
from cidrmatch._core.prefixes cimport resized

__all__ = ["Observed"]

cdef enum:
    DEEPEST = 132           # parts without a parent at a time: one for each number of shared bits, and the families
    MOST_HALVINGS = 16      # a prefix that is too broad is halved at most this often

cdef enum:                  # what a leaf may be
    OPTIONAL
    REQUIRED
    FREE                    # it may be left out even where others may not

cdef uint32_t WHOLE = 0xFFFFFFFF                    # the choice of the node itself as an entry
cdef uint64_t MOST_WEIGHT = <uint64_t>1 << 60       # so that a cost never has more than 126 bits
cdef Cost UNABLE = Cost(<uint64_t>1 << 62, 0)       # two of these add up without an overflow


# -- Costs ----------------------------------------------------------------------

cdef Cost times(Cost cost, uint64_t factor) noexcept nogil:
    """The low 128 bits of a product, by halves of words."""
    cdef uint64_t half = 0xFFFFFFFF
    cdef uint64_t low = (cost.lower & half) * (factor & half)
    cdef uint64_t left = (cost.lower >> 32) * (factor & half)
    cdef uint64_t right = (cost.lower & half) * (factor >> 32)
    cdef uint64_t middle = (low >> 32) + (left & half) + (right & half)
    cdef Cost product
    product.lower = middle << 32 | (low & half)
    product.upper = (cost.lower >> 32) * (factor >> 32) + (left >> 32) + (right >> 32) + (middle >> 32)
    product.upper += cost.upper * factor
    return product


cdef object number_of(Cost cost):
    return <object>cost.upper << 64 | cost.lower


# -- Leaves ---------------------------------------------------------------------

cdef void set_bit(Bits *bits, uint8_t place) noexcept nogil:
    if place < 64:
        bits.upper |= <uint64_t>1 << (63 - place)
    else:
        bits.lower |= <uint64_t>1 << (127 - place)


cdef int compare_leaves(const void *a, const void *b) noexcept nogil:
    return compare_bits(&(<const Leaf *>a).bits, &(<const Leaf *>b).bits)


# -- What was observed ----------------------------------------------------------

@cython.final
cdef class Observed:
    """Observed(units, shortest, /)\n--\n\nHold observed prefixes with their requests, and find their best cover.

    Args:
        units: for IPv4 and IPv6, the length of a unit: what is longer is cut to it.
        shortest: for IPv4 and IPv6, the least length of an entry, at most that of a unit.
    Threads: an object belongs to the thread that fills it.
    """

    def __cinit__(self, tuple units, tuple shortest, /):
        self.unit4, self.unit6 = units
        self.shortest4, self.shortest6 = shortest

    def __dealloc__(self):
        PyMem_RawFree(self.leaves)
        PyMem_RawFree(self.nodes)
        PyMem_RawFree(self.choices)
        PyMem_RawFree(self.is_required)

    def __len__(self):
        return self.count

    @property
    def requests(self):
        """All requests: of what was added; after `settle`, of what can be covered."""
        return self.total

    # 1. Reading.

    def add(self, prefixes, /):
        """Add prefixes without requests: what must be covered."""
        for prefix in prefixes:
            self.push(prefix, 0, -1)

    def add_mapping(self, observed, /):
        """Add the keys of a mapping, each with its value as its requests, which are 1 or more."""
        cdef Py_ssize_t index = 0
        for prefix, requests in observed.items():
            if type(requests) is not int or requests < 1:
                Prefix(prefix)      # a key that is no prefix is the first trouble
                raise ValueError(f"the requests of {prefix} are a whole number from 1 on, not {requests!r}")
            self.push(prefix, requests, index)
            index += 1

    def add_each(self, observed, /):
        """Add each item of an iterable as one request."""
        cdef Py_ssize_t index = 0
        for prefix in observed:
            self.push(prefix, 1, index)
            index += 1

    cdef int push(self, object value, object weight, Py_ssize_t index) except -1:
        cdef Text text
        cdef Leaf leaf
        if self.is_settled:
            raise ValueError("the observed prefixes were settled before")
        if type(value) is Prefix:
            leaf.bits = (<Prefix>value).bits
        elif not (find_text(value, &text) and parse_common_prefix(&text, &leaf.bits)):
            read_prefix(value, False, &leaf.bits, index)
        if weight > MOST_WEIGHT - self.total:
            raise ValueError(f"too many requests with those of {new_prefix(&leaf.bits)}: together at most 2**60")
        leaf.weight = weight
        self.append(&leaf)
        self.total += leaf.weight
        return 0

    cdef int append(self, const Leaf *leaf) except -1:
        if self.count == self.room:
            self.leaves = <Leaf *>resized(self.leaves, max(64, 2 * self.room), sizeof(Leaf))
            self.room = max(64, 2 * self.room)
        self.leaves[self.count] = leaf[0]
        self.count += 1
        return 0

    # 2. From what was read to leaves.

    def settle(self, list refused, list excluded, list required, Py_ssize_t most, /):
        """Make leaves of what was read, and the tree above them.

        Args:
            refused: disjoint `Prefix`es; no entry may lie inside one.
            excluded: disjoint `Prefix`es; no entry may touch one.
            required: disjoint `Prefix`es, which were added, too; a leaf that touches one cannot be left out.
            most: how many entries a cover has at most.
        Returns:
            What cannot be covered, as tuples: `Prefix`, requests, the bar around it, whether it is required.
        Raises:
            ValueError: a prefix would have to be cut into more than 65,536 pieces.
        """
        cdef Bars inside = Bars(refused), touching = Bars(excluded), wanted = Bars(required)
        cdef list outside = []
        cdef Leaf *read
        cdef Py_ssize_t i, count
        if self.is_settled:
            raise ValueError("the observed prefixes were settled before")
        self.is_settled = True
        self.sort()
        with nogil:
            self.fold()
        self.sift(inside, wanted, outside)
        with nogil:
            self.fold()     # what was cut may be equal now
        read, count = self.leaves, self.count
        self.leaves, self.count, self.room = NULL, 0, 0
        try:
            for i in range(count):
                self.place(&read[i], inside, touching, wanted, outside)
        finally:
            PyMem_RawFree(read)
        self.is_required = <uint8_t *>PyMem_RawMalloc(<size_t>max(1, self.count))
        if self.is_required is NULL:
            raise MemoryError()
        self.total = 0
        with nogil:
            self.join()
            for i in range(self.count):
                self.total += self.leaves[i].weight
                self.is_required[i] = REQUIRED if wanted.find_touching(&self.leaves[i].bits) >= 0 else OPTIONAL
        self.most = max(1, most)
        self.plant(touching)
        return outside

    cdef int sort(self) except -1:
        cdef Py_ssize_t i
        for i in range(1, self.count):
            if compare_leaves(&self.leaves[i - 1], &self.leaves[i]) > 0:
                with nogil:
                    qsort(self.leaves, <size_t>self.count, sizeof(Leaf), compare_leaves)
                return 0
        return 0

    cdef int sift(self, Bars refused, Bars required, list outside) except -1:
        """Take out what is inside a refused prefix, and cut the rest to units.  Needs: folded leaves."""
        cdef Py_ssize_t i, kept = 0, at
        cdef uint8_t unit
        cdef Leaf *leaf
        for i in range(self.count):
            leaf = &self.leaves[i]
            at = refused.find_around(&leaf.bits)
            if at >= 0:
                outside.append((new_prefix(&leaf.bits), leaf.weight, new_prefix(&refused.bits[at]),
                                required.find_touching(&leaf.bits) >= 0))
                continue
            unit = self.unit4 if leaf.bits.family == 4 else self.unit6
            if leaf.bits.length > unit:
                cut(&leaf.bits, unit)
            self.leaves[kept] = leaf[0]
            kept += 1
        self.count = kept
        return 0

    cdef void fold(self) noexcept nogil:
        """Give the requests of each prefix inside another to the broader one.  Needs: sorted leaves."""
        cdef Py_ssize_t i, kept = 0
        for i in range(self.count):
            if kept > 0 and covers(&self.leaves[kept - 1].bits, &self.leaves[i].bits):
                self.leaves[kept - 1].weight += self.leaves[i].weight
            else:
                self.leaves[kept] = self.leaves[i]
                kept += 1
        self.count = kept

    cdef int place(self, const Leaf *whole, Bars refused, Bars excluded, Bars required, list outside) except -1:
        """Halve a prefix until each piece is a leaf or is outside.  Its requests are halved, too, but never to none.

            10.0.0.0/8    |================================|      10.64.0.0/10 is excluded, and /9 is the broadest
            pieces        |=======|-------|================|      a leaf, a piece outside, a leaf
        """
        cdef Leaf[DEEPEST] waiting
        cdef Leaf leaf
        cdef Bits bar
        cdef uint64_t half
        cdef uint8_t unit = self.unit4 if whole.bits.family == 4 else self.unit6
        cdef uint8_t shortest = self.shortest4 if whole.bits.family == 4 else self.shortest6
        cdef Py_ssize_t at, depth = 1
        if <int>whole.bits.length + MOST_HALVINGS < shortest:
            raise ValueError(f"{new_prefix(&whole.bits)} is far too broad: no entry is broader than /{shortest}, so it "
                             f"would be more than 65,536 entries; give the addresses in it that you mean")
        waiting[0] = whole[0]
        while depth > 0:
            depth -= 1
            leaf = waiting[depth]
            # 1. outside: inside a bar, or a unit with a bar in it
            at = refused.find_around(&leaf.bits)
            if at >= 0:
                bar = refused.bits[at]
            else:
                at = excluded.find_touching(&leaf.bits)
                if at >= 0:
                    bar = excluded.bits[at]
            if at >= 0 and (leaf.bits.length >= unit or covers(&bar, &leaf.bits)):
                outside.append((new_prefix(&leaf.bits), leaf.weight, new_prefix(&bar),
                                required.find_touching(&leaf.bits) >= 0))
                continue
            # 2. a leaf
            if at < 0 and leaf.bits.length >= shortest:
                self.append(&leaf)
                continue
            # 3. two halves, the left one first
            half = leaf.weight >> 1
            leaf.bits.length += 1
            waiting[depth + 1] = leaf
            waiting[depth + 1].weight = leaf.weight - half
            set_bit(&leaf.bits, leaf.bits.length - 1)
            leaf.weight = 1 if half == 0 and leaf.weight > 0 else half
            waiting[depth] = leaf
            depth += 2
        return 0

    cdef void join(self) noexcept nogil:
        """Join two leaves that are the halves of a prefix which may be an entry."""
        cdef Py_ssize_t i, kept = 0
        cdef Leaf *last
        for i in range(self.count):
            self.leaves[kept] = self.leaves[i]
            kept += 1
            while kept > 1:
                last = &self.leaves[kept - 2]
                if not are_halves(&last.bits, &self.leaves[kept - 1].bits) or last.bits.length <= (
                        self.shortest4 if last.bits.family == 4 else self.shortest6):
                    break
                last.bits.length -= 1
                last.weight += self.leaves[kept - 1].weight
                kept -= 1
        self.count = kept

    cdef int check_settled(self) except -1:
        if not self.is_settled or self.is_required is NULL or self.nodes is NULL:
            raise ValueError("the observed prefixes are not settled")
        return 0

    # 3. The tree.

    cdef int plant(self, Bars excluded) except -1:
        """Make a node for every prefix under which the leaves branch, each behind the nodes inside it."""
        cdef Pending[DEEPEST] pending
        cdef int[DEEPEST] shared            # how many bits a part shares with the part to its right
        cdef Py_ssize_t depth = 0, made = 0, i
        cdef size_t choices = 0
        cdef int bits
        self.nodes = <Node *>resized(NULL, max(1, self.count - 1), sizeof(Node))
        with nogil:
            for i in range(self.count):
                pending[depth].first = <uint32_t>i
                pending[depth].node = -1
                pending[depth].units = units_of(self.leaves[i].bits.family, self.leaves[i].bits.length)
                depth += 1
                bits = shared_bits(&self.leaves[i].bits, &self.leaves[i + 1].bits) if i + 1 < self.count else END
                while depth > 1 and shared[depth - 2] > bits:
                    self.add_node(made, &pending[depth - 2], &pending[depth - 1], shared[depth - 2], <uint32_t>i + 1,
                                  excluded, &choices)
                    pending[depth - 2] = pending[depth - 1]
                    made += 1
                    depth -= 1
                shared[depth - 1] = bits
        if self.count > self.most:
            self.choices = <uint32_t *>PyMem_RawMalloc(choices * sizeof(uint32_t))
            if self.choices is NULL:
                raise MemoryError()
        return 0

    cdef void add_node(self, Py_ssize_t at, const Pending *left, Pending *right, int length, uint32_t end,
                       Bars excluded, size_t *choices) noexcept nogil:
        """Make the node above two parts; `right` becomes the part that it stands for."""
        cdef Node *node = &self.nodes[at]
        cdef Bits bits = self.leaves[left.first].bits
        cdef uint64_t units = left.units + right.units
        node.choices = choices[0]
        node.first, node.middle, node.end = left.first, right.first, end
        node.length = 0 if length < 0 else <uint8_t>length
        node.is_entry = False
        node.extra = 0
        if length >= (self.shortest4 if bits.family == 4 else self.shortest6):
            cut(&bits, node.length)
            node.is_entry = excluded.find_touching(&bits) < 0
            node.extra = units_of(bits.family, node.length) - units
        choices[0] += <size_t>min(self.most, <Py_ssize_t>(end - left.first))
        right.first, right.node, right.units = left.first, at, units

    # 4. The best cover.

    def set_free(self, numbers, /):
        """Let every `solve` leave out these leaves, whatever its `fixed_from` says, unless they are required."""
        cdef Py_ssize_t i
        self.check_settled()
        for i in numbers:
            if not 0 <= i < self.count:
                raise IndexError(f"there is no leaf {i}")
            if self.is_required[i] == OPTIONAL:
                self.is_required[i] = FREE

    def solve(self, per_request, uint64_t per_unit, uint64_t budget, Py_ssize_t fixed_from=2147483647, /):
        """Find the cover of the least cost; of these, one with the fewest entries.

        Args:
            per_request: what it costs to leave out a request; below 2**66.
            per_unit: what a unit beyond the observed costs.  No sum of costs may reach 2**126.
            budget: the most requests that are left out together in one part of the tree.
            fixed_from: leaves from this number on are not left out, but for those of `set_free`.
        Returns:
            The cost; the entries as `Prefix`es in canonical order; the numbers of the leaves that are left out, and
            their requests; the units beyond the observed, of IPv4 and of IPv6.  None if what is required does not fit.
        Cost: about n * K steps for n leaves and K entries.
        """
        cdef Factors factors
        cdef Pending[DEEPEST] pending
        cdef Pending root
        cdef Cost *tables = NULL
        cdef Cost *spare = NULL
        cdef Py_ssize_t k, best = 0
        self.check_settled()
        if self.count <= self.most:     # every leaf is an entry
            return 0, [prefix for prefix, _ in self.leaves_of(range(self.count))], [], 0, 0, 0
        factors.per_request = Cost(per_request >> 64, per_request & UINT64_MAX)
        factors.per_unit, factors.budget, factors.fixed_from = per_unit, budget, fixed_from
        try:
            tables = <Cost *>resized(NULL, 2 * self.count + DEEPEST, sizeof(Cost))
            spare = <Cost *>resized(NULL, self.most + 1, sizeof(Cost))
            with nogil:
                root = self.fill_tables(&factors, pending, tables, spare)
            for k in range(1, root.most + 1):
                if is_less(tables[k], tables[best]):
                    best = k
            if not is_less(tables[best], UNABLE):
                return None
            return number_of(tables[best]), *self.collect(root.node, best)
        finally:
            PyMem_RawFree(tables)
            PyMem_RawFree(spare)

    cdef Pending fill_tables(self, Factors *factors, Pending *pending, Cost *tables, Cost *spare) noexcept nogil:
        """Make the table of every node, and note the choices; the table of the root is then at `tables`."""
        cdef Py_ssize_t depth = 0, at = 0, i, used = 0
        cdef Pending *part
        # hot: begin
        for i in range(self.count):
            part = &pending[depth]
            part.node = -1
            part.table, part.most = used, 1
            part.weight = self.leaves[i].weight
            tables[used] = UNABLE
            if part.weight <= factors.budget and (
                    self.is_required[i] == FREE or (self.is_required[i] == OPTIONAL and i < factors.fixed_from)):
                tables[used] = times(factors.per_request, part.weight)
            tables[used + 1] = Cost(0, 0)
            used += 2
            depth += 1
            while at < self.count - 1 and self.nodes[at].end == i + 1:
                used = join_tables(&self.nodes[at], self.most, factors, &pending[depth - 2], &pending[depth - 1],
                                   tables, spare, self.choices)
                pending[depth - 2].node = at
                at += 1
                depth -= 1
        # hot: end
        return pending[0]

    cdef Bits bits_of(self, const Part *part) noexcept nogil:
        """The prefix of a node or leaf."""
        cdef Bits bits = self.leaves[part.first].bits
        if part.node >= 0:
            cut(&bits, self.nodes[part.node].length)
        return bits

    cdef tuple collect(self, Py_ssize_t node, Py_ssize_t entries):
        """Go back through the choices; the result is that of `solve`, less the cost."""
        cdef Part[2 * DEEPEST] parts
        cdef Part part
        cdef Py_ssize_t depth = 1
        cdef uint32_t choice
        cdef uint64_t extra4 = 0, extra6 = 0, requests = 0
        cdef uint32_t i
        cdef Bits bits
        cdef list chosen = [], left_out = []
        cdef const Node *here
        parts[0] = Part(0, <uint32_t>self.count, node, entries)
        while depth > 0:
            depth -= 1
            part = parts[depth]
            if part.entries == 0:
                for i in range(part.first, part.end):
                    left_out.append(i)
                    requests += self.leaves[i].weight
                continue
            choice = WHOLE if part.node < 0 else self.choices[self.nodes[part.node].choices + part.entries - 1]
            if choice == WHOLE:
                bits = self.bits_of(&part)
                chosen.append(new_prefix(&bits))
                if part.node >= 0 and bits.family == 4:
                    extra4 += self.nodes[part.node].extra
                elif part.node >= 0:
                    extra6 += self.nodes[part.node].extra
                continue
            here = &self.nodes[part.node]
            parts[depth] = Part(here.middle, here.end, right_node(self.nodes, part.node), part.entries - choice)
            parts[depth + 1] = Part(here.first, here.middle, left_node(self.nodes, part.node), choice)
            depth += 2
        return chosen, left_out, requests, extra4, extra6

    def leaves_of(self, numbers, /):
        """Give leaves by their numbers: pairs of a `Prefix` and its requests."""
        cdef Py_ssize_t i
        found = []
        for i in numbers:
            if not 0 <= i < self.count:
                raise IndexError(f"there is no leaf {i}")
            found.append((new_prefix(&self.leaves[i].bits), self.leaves[i].weight))
        return found

    # 5. The greedy cover.

    def greedy(self):
        """Join the two entries that add the fewest units, again and again, until there are few enough.

        Returns:
            For each entry a tuple: whether it is required, its requests, its `Prefix`, its units beyond the observed.
            There are more than `most` if no two of them can be joined.
        Cost: n log n.
        """
        cdef Py_ssize_t n = self.count, left = n, inner = max(1, n - 1), i
        cdef Heap heap
        self.check_settled()
        cdef uint32_t *parents = <uint32_t *>PyMem_RawCalloc(inner, sizeof(uint32_t))
        cdef uint32_t *tops = <uint32_t *>PyMem_RawCalloc(max(1, n), sizeof(uint32_t))
        cdef uint8_t *missing = <uint8_t *>PyMem_RawCalloc(inner, sizeof(uint8_t))
        heap.steps = <Step *>PyMem_RawCalloc(inner, sizeof(Step))
        heap.size = 0
        try:
            if parents is NULL or tops is NULL or missing is NULL or heap.steps is NULL:
                raise MemoryError()
            with nogil:
                find_parents(self.nodes, n - 1, parents, missing)
                for i in range(n - 1):
                    if missing[i] == 0 and self.nodes[i].is_entry:
                        push_step(&heap, Step(added_by(self.nodes, i), <uint32_t>i))
                while left > self.most and heap.size > 0:
                    i = pop_step(&heap).node
                    missing[i] = JOINED
                    left -= 1
                    if i == n - 2:
                        break
                    i = parents[i]
                    missing[i] -= 1
                    if missing[i] == 0 and self.nodes[i].is_entry:
                        push_step(&heap, Step(added_by(self.nodes, i), <uint32_t>i))
                for i in range(n - 1):
                    if missing[i] == JOINED:
                        tops[self.nodes[i].first] = <uint32_t>i + 1     # a node is behind those inside it
            return self.entries_of(tops)
        finally:
            PyMem_RawFree(parents)
            PyMem_RawFree(tops)
            PyMem_RawFree(missing)
            PyMem_RawFree(heap.steps)

    cdef list entries_of(self, const uint32_t *tops):
        """The entries of the greedy cover; `tops` has for each leaf the node that begins there, plus 1, or 0."""
        cdef list found = []
        cdef Py_ssize_t i = 0, k
        cdef uint64_t weight, extra
        cdef bint is_required
        cdef Bits bits
        cdef Part part
        while i < self.count:
            part = Part(<uint32_t>i, <uint32_t>i + 1, <Py_ssize_t>tops[i] - 1, 1)
            extra = 0
            if part.node >= 0:
                part.end = self.nodes[part.node].end
                extra = self.nodes[part.node].extra
            weight, is_required = 0, False
            for k in range(i, part.end):
                weight += self.leaves[k].weight
                is_required = is_required or self.is_required[k] == REQUIRED
            bits = self.bits_of(&part)
            found.append((is_required, weight, new_prefix(&bits), extra))
            i = part.end
        return found


# -- Tables -----------------------------------------------------------------------

# hot: begin
cdef Py_ssize_t join_tables(const Node *node, Py_ssize_t most, const Factors *factors, Pending *left,
                            const Pending *right, Cost *tables, Cost *spare, uint32_t *choices) noexcept nogil:
    """Make the table of a node in the place of those of its halves; return where it ends."""
    cdef const Cost *a = tables + left.table
    cdef const Cost *b = tables + right.table
    cdef Cost *into = tables + left.table
    cdef Py_ssize_t k, i, size = min(most, left.most + right.most)
    cdef uint64_t weight = left.weight + right.weight
    cdef uint32_t choice
    cdef Cost best, cost
    for k in range(size + 1):
        best, choice = UNABLE, 0
        for i in range(max(0, k - right.most), min(k, left.most) + 1):
            cost = plus(a[i], b[k - i])
            if is_less(cost, best):
                best, choice = cost, <uint32_t>i
        if k == 0 and weight > factors.budget:
            best = UNABLE
        if k == 1 and node.is_entry:
            cost = times(Cost(0, factors.per_unit), node.extra)
            if not is_less(best, cost):
                best, choice = cost, WHOLE
        spare[k] = best
        if k > 0:
            choices[node.choices + k - 1] = choice
    for k in range(size + 1):
        into[k] = spare[k]
    left.most, left.weight = size, weight
    return left.table + size + 1
# hot: end


# -- The greedy cover -----------------------------------------------------------

cdef enum:
    JOINED = 255            # in the place of how many halves of a node are no entry yet


cdef struct Step:
    uint64_t added          # how many units more the two entries have when joined
    uint32_t node


cdef struct Heap:           # the step that adds the least is the first
    Step *steps
    Py_ssize_t size


cdef inline bint is_sooner(const Step *a, const Step *b) noexcept nogil:
    return a.added < b.added or (a.added == b.added and a.node < b.node)


cdef void push_step(Heap *heap, Step step) noexcept nogil:
    cdef Py_ssize_t at = heap.size, above
    heap.size += 1
    while at > 0:
        above = (at - 1) >> 1
        if not is_sooner(&step, &heap.steps[above]):
            break
        heap.steps[at] = heap.steps[above]
        at = above
    heap.steps[at] = step


cdef Step pop_step(Heap *heap) noexcept nogil:
    """Take the first step.  Needs: there is one."""
    cdef Step first = heap.steps[0], last
    cdef Py_ssize_t at = 0, below = 1
    heap.size -= 1
    last = heap.steps[heap.size]
    while below < heap.size:
        if below + 1 < heap.size and is_sooner(&heap.steps[below + 1], &heap.steps[below]):
            below += 1
        if not is_sooner(&heap.steps[below], &last):
            break
        heap.steps[at] = heap.steps[below]
        at = below
        below = 2 * at + 1
    heap.steps[at] = last
    return first


cdef inline Py_ssize_t left_node(const Node *nodes, Py_ssize_t at) noexcept nogil:
    """The node of the left half; -1 for a leaf."""
    return at - (nodes[at].end - nodes[at].middle) if nodes[at].middle - nodes[at].first > 1 else -1


cdef inline Py_ssize_t right_node(const Node *nodes, Py_ssize_t at) noexcept nogil:
    return at - 1 if nodes[at].end - nodes[at].middle > 1 else -1


cdef void find_parents(const Node *nodes, Py_ssize_t count, uint32_t *parents, uint8_t *missing) noexcept nogil:
    """Find the parent of every node, and how many of its halves are nodes."""
    cdef Py_ssize_t at, left, right
    for at in range(count):
        left, right = left_node(nodes, at), right_node(nodes, at)
        if left >= 0:
            parents[left] = <uint32_t>at
        if right >= 0:
            parents[right] = <uint32_t>at
        missing[at] = (left >= 0) + (right >= 0)


cdef uint64_t added_by(const Node *nodes, Py_ssize_t at) noexcept nogil:
    """How many units more a node has than its two halves."""
    cdef Py_ssize_t left = left_node(nodes, at), right = right_node(nodes, at)
    return nodes[at].extra - (nodes[left].extra if left >= 0 else 0) - (nodes[right].extra if right >= 0 else 0)
