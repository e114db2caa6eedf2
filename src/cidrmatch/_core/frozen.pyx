# cython: language_level=3
"""The frozen form of a list: all its arrays in one block of memory, filled once and never written again.

The frozen form answers two questions.  The first is "is the address in?".  It needs no entries, only ranges.  So
overlapping and adjacent prefixes are merged into disjoint ranges, in one `Table` for both families. layout.h draws its
parts, search.h searches them:

    first    [ 10.0.0.0       | 198.51.100.0   | 203.0.113.5 ]    sorted, no two equal
    last     [ 10.255.255.255 | 198.51.100.255 | 203.0.113.5 ]    last[i] >= first[i], last[i] + 1 < first[i + 1]
    find a:  the last i with first[i] <= a; the answer is a <= last[i]

The second question is "which entry?".  It needs all entries, sorted, and for each entry its parent, the nearest entry
that covers it (`Entries`):

    entries  [ 10.0.0.0/8 | 10.1.0.0/16 | 10.1.2.0/24 | 10.9.0.0/16 | 203.0.113.5/32 ]
    parents  [ -1         | 0           | 1           | 0           | -1             ]
    find a:  the last i with first(i) <= a; while entry i does not cover a, go to its parent

The first step finds the longest match, or an entry inside it, because two prefixes nest or are disjoint.  So the first
entry on the way up that covers the address is the longest match, and its ancestors are all other matches.  Each family
has its own arrays; the IPv4 entries have the lower numbers:

    entries4   [ first ]           [ length ]
    entries6   [ upper ] [ lower ] [ length ]
    parents    of both

The block is laid out twice: once to learn its size, once to get the addresses of its arrays.  The arrays that a check
reads come first, and nodes begin at a cache line:

    [ keys, posts, tries of the ranges | last | map || tries, keys, posts, parents, lengths of the entries ]
      what "is it in?" reads                         what "which entry?" reads

The search functions are inline, in frozen.pxd, so a check pays for no call.  Tries are built in multibit.pyx.

Invariants: no array is written after `freeze`.  Every array has at least the items that a search reads without checking
a count.
Cost: freezing takes a few passes.  Finding an entry reads a few cache lines, and takes a step for each nesting level.
Threads: no lock is needed, because nobody writes after `freeze`.
"""

from cpython.mem cimport PyMem_RawMalloc
from libc.stdint cimport (
    INT32_MAX, INT64_MAX, UINT32_MAX, UINT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)
from libc.string cimport memcpy, memset

from cidrmatch._core.address cimport Bits
from cidrmatch._core.multibit cimport INDEX_BITS, Intervals, MultibitBuilder, MultibitTrie, interval_at
from cidrmatch._core.prefixes cimport Prefix6, PrefixArray, Range, RangeArray, is_before, merge, range_of, unpack4

__all__ = []

cdef extern from "_core/c/layout.h" nogil:
    enum:
        NODE4
        NODE6
        SCAN4
        MAP_PIECES

cdef extern from "_core/c/search.h" nogil:
    void plan_ladder(Ladder *ladder, uint32_t nodes, uint32_t node_size, uint32_t most_scanned)
    void fill_posts4(Firsts4 *firsts)
    void fill_posts6(Firsts6 *firsts)
    uint32_t count_ended4(const Table4 *table, uint32_t address)
    uint32_t count_ended6(const Table6 *table, uint64_t upper, uint64_t lower)

cdef extern from "_core/c/pages.h" nogil:
    void wish_large_pages(void *memory, size_t size)

cdef enum:
    LINE = 64               # bytes of a cache line, and of a node

cdef enum:
    # Set by trials; `python -m benchmarks.forms` measures them.
    SCANNED_RANGES4 = 64
    SCANNED_NODES6 = 4      # 32 ranges
    MANY_RANGES = 8_192     # the map takes 256 KiB and a little more
    MANY_ENTRIES = 32_768   # a list with this many entries or more has tries of match lengths
    PIECES = 8              # at most one in 8 ranges may begin or end inside a /24


# -- Freezing -------------------------------------------------------------------

cdef int freeze(PrefixArray prefixes, int form, int vectors, Table *table, Entries *entries, Block *block) except -1:
    """Freeze sorted prefixes: compute the size, get the memory, compute the addresses of the arrays, fill them."""
    cdef RangeArray merged = merge(prefixes)
    cdef const Range *ranges6
    cdef uint32_t map_blocks = 0
    cdef Py_ssize_t count4 = 0
    cdef uint8_t *base
    cdef MultibitBuilder trie6 = MultibitBuilder(), lengths4 = MultibitBuilder(), lengths6 = MultibitBuilder()
    cdef Intervals intervals
    # 1. sizes
    while count4 < merged.size and merged.ranges[count4].family == 4:
        count4 += 1
    ranges6 = merged.ranges + count4
    table.vectors = vectors
    table.table4.firsts.count = <uint32_t>count4
    table.table6.firsts.count = <uint32_t>(merged.size - count4)
    entries.entries4.firsts.count = <uint32_t>prefixes.size4
    entries.entries6.firsts.count = <uint32_t>prefixes.size6
    if form == MAP or (form == BY_SIZE and is_worth_map4(merged.ranges, table.table4.firsts.count)):
        map_blocks = count_blocks(merged.ranges, table.table4.firsts.count)
    if form == MAP or (form == BY_SIZE and is_worth_trie6(ranges6, table.table6.firsts.count)):
        intervals = Intervals(ranges6, NULL, NULL, table.table6.firsts.count)
        trie6.build6(&intervals)
    intervals = Intervals(NULL, prefixes.array4, NULL, entries.entries4.firsts.count)
    if form == MAP or (form == BY_SIZE and is_worth_lengths(&intervals, 24)):
        lengths4.build4(&intervals)
    intervals = Intervals(NULL, NULL, prefixes.array6, entries.entries6.firsts.count)
    if form == MAP or (form == BY_SIZE and is_worth_lengths(&intervals, 48)):
        lengths6.build6(&intervals)
    plan_ladders(table, entries, form)
    # 2. places
    block.size_bytes = LINE + <Py_ssize_t>lay_out(table, entries, block, NULL, map_blocks, trie6, lengths4, lengths6)
    block.start = PyMem_RawMalloc(<size_t>block.size_bytes)
    if block.start is NULL:
        raise MemoryError()
    wish_large_pages(block.start, <size_t>block.size_bytes)
    base = <uint8_t *>((<uintptr_t>block.start + LINE - 1) & ~<uintptr_t>(LINE - 1))
    lay_out(table, entries, block, base, map_blocks, trie6, lengths4, lengths6)
    # 3. contents
    with nogil:
        fill_table4(&table.table4, merged.ranges)
        fill_table6(&table.table6, ranges6)
        if map_blocks > 0:
            fill_map(&table.table4, merged.ranges, map_blocks)
        fill_trie(&table.table6.trie, trie6)
        fill_entries4(&entries.entries4, prefixes.array4)
        fill_entries6(&entries.entries6, prefixes.array6)
        fill_trie(&entries.entries4.trie, lengths4)
        fill_trie(&entries.entries6.trie, lengths6)
        find_parents(&entries.entries4, &entries.entries6, entries.parents)
    return 0


cdef void plan_ladders(Table *table, Entries *entries, int form) noexcept nogil:
    """Decide how many nodes and steps each ladder has.  Needs: the counts of keys are set."""
    cdef Firsts4 *firsts4 = &table.table4.firsts
    cdef uint32_t most_scanned = UINT32_MAX if form == SCAN else SCANNED_NODES6 if form == BY_SIZE else 1
    table.table4.is_scan = form == SCAN or (form == BY_SIZE and firsts4.count <= SCANNED_RANGES4)
    if table.table4.is_scan:
        plan_ladder(&firsts4.ladder, nodes_for(firsts4.count, SCAN4), NODE4, UINT32_MAX)
    else:
        plan_ladder(&firsts4.ladder, max(1, nodes_for(max(1, firsts4.count) - 1, NODE4)), NODE4, 1)
    plan_ladder(&table.table6.firsts.ladder, nodes_for(table.table6.firsts.count, NODE6), NODE6, most_scanned)
    plan_ladder(&entries.entries4.firsts.ladder, max(1, nodes_for(entries.entries4.firsts.count, NODE4)), NODE4, 1)
    plan_ladder(&entries.entries6.firsts.ladder, nodes_for(entries.entries6.firsts.count, NODE6), NODE6, most_scanned)


cdef uint32_t nodes_for(uint32_t keys, uint32_t node_size) noexcept nogil:
    return (keys + node_size - 1) // node_size


# -- Places ---------------------------------------------------------------------

cdef struct Place:
    uint8_t *base       # NULL while only the size is computed
    size_t used


cdef void *take(Place *place, size_t count, size_t size) noexcept nogil:
    """Take the next piece of the block; a piece for nodes begins at a cache line."""
    cdef void *taken
    if size == LINE:
        place.used = (place.used + LINE - 1) & ~<size_t>(LINE - 1)
    else:
        place.used = (place.used + 7) & ~<size_t>7
    taken = place.base + place.used if place.base is not NULL else NULL
    place.used += count * size
    return taken


cdef MultibitTrie take_trie(Place *place, MultibitBuilder builder) noexcept nogil:
    """Take the memory of a trie; `index` is NULL if there is no trie."""
    cdef MultibitTrie trie
    cdef size_t words = LINE // sizeof(uint16_t)
    trie.rows = <uint16_t *>take(place, ((<size_t>builder.rows << builder.shape.row_bits) + words - 1) // words, LINE)
    trie.nodes = <uint16_t *>take(
        place, ((<size_t>builder.nodes << builder.shape.fork_bits) + words - 1) // words, LINE)
    # A gather reads two words at a time, so one more word follows the last.
    trie.index = <uint16_t *>take(place, (1 << INDEX_BITS) + 1, sizeof(uint16_t)) if builder.nodes > 0 else NULL
    return trie


cdef size_t lay_out(Table *table, Entries *entries, Block *block, uint8_t *base, uint32_t map_blocks,
                    MultibitBuilder trie6, MultibitBuilder lengths4, MultibitBuilder lengths6) noexcept nogil:
    """Set the pointers of all arrays, and return how many bytes they take; without a base only the size is right."""
    cdef Table4 *table4 = &table.table4
    cdef Table6 *table6 = &table.table6
    cdef Entries4 *entries4 = &entries.entries4
    cdef Entries6 *entries6 = &entries.entries6
    cdef Place place = Place(base, 0)
    # 1. the arrays that a check reads, nodes first; item 0 of `last` is read even if there is no range
    table4.firsts.keys = <int32_t *>take(&place, table4.firsts.ladder.nodes, LINE)
    table4.firsts.posts = <int32_t *>take(&place, table4.firsts.ladder.posts, LINE)
    table6.firsts.keys = <int64_t *>take(&place, table6.firsts.ladder.nodes, LINE)
    table6.firsts.posts = <int64_t *>take(&place, table6.firsts.ladder.posts, LINE)
    table6.trie = take_trie(&place, trie6)
    table4.last = <uint32_t *>take(&place, max(1, table4.firsts.count), sizeof(uint32_t))
    table6.firsts.lower = <uint64_t *>take(&place, max(1, table6.firsts.ladder.nodes) * NODE6, sizeof(uint64_t))
    table6.last = <Pair *>take(&place, max(1, table6.firsts.count), sizeof(Pair))
    table4.map = <uint32_t *>take(&place, 65_536, sizeof(uint32_t)) if map_blocks > 0 else NULL
    table4.blocks = <uint64_t *>take(&place, map_blocks, 4 * sizeof(uint64_t))
    block.table_bytes = place.used
    # 2. the arrays that a match reads
    entries4.trie = take_trie(&place, lengths4)
    entries6.trie = take_trie(&place, lengths6)
    entries4.firsts.keys = <int32_t *>take(&place, entries4.firsts.ladder.nodes, LINE)
    entries4.firsts.posts = <int32_t *>take(&place, entries4.firsts.ladder.posts, LINE)
    entries6.firsts.keys = <int64_t *>take(&place, entries6.firsts.ladder.nodes, LINE)
    entries6.firsts.posts = <int64_t *>take(&place, entries6.firsts.ladder.posts, LINE)
    entries6.firsts.lower = <uint64_t *>take(&place, entries6.firsts.ladder.nodes * NODE6, sizeof(uint64_t))
    entries.parents = <int32_t *>take(&place, <size_t>count_entries(entries), sizeof(int32_t))
    entries4.lengths = <uint8_t *>take(&place, entries4.firsts.count, sizeof(uint8_t))
    entries6.lengths = <uint8_t *>take(&place, entries6.firsts.count, sizeof(uint8_t))
    return place.used


# -- Ranges become a table -----------------------------------------------------

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
    cdef const Range *interval
    for i in range(table.firsts.ladder.nodes * SCAN4):
        interval = &ranges[min(i, table.firsts.count - 1)]
        first = <uint32_t>(interval.first_upper >> 32)
        node = table.firsts.keys + <size_t>(i // SCAN4) * NODE4
        node[i % SCAN4] = <int32_t>first
        node[SCAN4 + i % SCAN4] = order4(<uint32_t>(interval.last_upper >> 32) - first)


cdef void fill_table6(Table6 *table, const Range *ranges) noexcept nogil:
    cdef uint32_t i
    for i in range(table.firsts.ladder.nodes * NODE6):
        table.firsts.keys[i] = order6(ranges[i].first_upper) if i < table.firsts.count else INT64_MAX
        table.firsts.lower[i] = ranges[i].first_lower if i < table.firsts.count else UINT64_MAX
    for i in range(table.firsts.count):
        table.last[i].upper = ranges[i].last_upper
        table.last[i].lower = ranges[i].last_lower
    fill_posts6(&table.firsts)


# The map: for each /16, which of its /24s are wholly inside a range.

cdef struct Slashes24:
    uint32_t begin
    uint32_t end
    bint begins_inside      # the range begins inside a /24, or ends inside one
    bint ends_inside


cdef Slashes24 whole_slashes24(const Range *interval) noexcept nogil:
    cdef uint64_t first = interval.first_upper >> 32, last = interval.last_upper >> 32
    cdef Slashes24 whole
    whole.begin = <uint32_t>((first + 255) >> 8)
    whole.end = <uint32_t>((last + 1) >> 8)
    whole.begins_inside = first & 255 != 0
    whole.ends_inside = last & 255 != 255
    return whole


cdef bint is_worth_map4(const Range *ranges, uint32_t count) noexcept nogil:
    """Long enough for a map, and mostly whole /24s?"""
    cdef uint32_t i, pieces = 0
    cdef Slashes24 whole
    if count < MANY_RANGES:
        return False
    for i in range(count):
        whole = whole_slashes24(&ranges[i])
        pieces += whole.begins_inside or whole.ends_inside
    return pieces <= count // PIECES


cdef uint32_t count_blocks(const Range *ranges, uint32_t count) noexcept nogil:
    """How many blocks a map needs: two, and one for each /16 that is only in part inside the ranges."""
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


# The tries: for each /24 or /48, whether it is in, or how long the longest match is.

cdef bint is_worth_trie6(const Range *ranges, uint32_t count) noexcept nogil:
    """Long enough for a trie, and mostly whole /48s?"""
    cdef uint32_t i, pieces = 0
    if count < MANY_RANGES:
        return False
    for i in range(count):
        pieces += ranges[i].first_upper & 0xFFFF != 0 or ranges[i].first_lower != 0 or (
            ranges[i].last_upper & 0xFFFF != 0xFFFF) or ranges[i].last_lower != UINT64_MAX
    return pieces <= count // PIECES


cdef bint is_worth_lengths(const Intervals *entries, uint8_t longest) noexcept nogil:
    """Are there enough entries for a trie of lengths to be faster, and are most of them no longer than `longest`?"""
    cdef uint32_t i, pieces = 0
    cdef Range entry
    if entries.count < MANY_ENTRIES:
        return False
    for i in range(entries.count):
        pieces += interval_at(entries, i, &entry) > <uint32_t>FIRST_LENGTH + longest
    return pieces <= entries.count // PIECES


cdef void fill_trie(const MultibitTrie *trie, MultibitBuilder builder) noexcept nogil:
    if builder.nodes == 0:
        return
    memcpy(trie.index, builder.trie.index, (1 << INDEX_BITS) * sizeof(uint16_t))
    memcpy(trie.rows, builder.trie.rows, (<size_t>builder.rows << builder.shape.row_bits) * sizeof(uint16_t))
    memcpy(trie.nodes, builder.trie.nodes, (<size_t>builder.nodes << builder.shape.fork_bits) * sizeof(uint16_t))


# -- Entries --------------------------------------------------------------------

cdef void fill_entries4(Entries4 *entries, const uint64_t *array) noexcept nogil:
    cdef uint32_t i
    cdef Bits bits
    for i in range(entries.firsts.ladder.nodes * NODE4):
        entries.firsts.keys[i] = INT32_MAX
        if i < entries.firsts.count:
            unpack4(array[i], &bits)
            entries.firsts.keys[i] = order4(<uint32_t>(bits.upper >> 32))
            entries.lengths[i] = bits.length
    fill_posts4(&entries.firsts)


cdef void fill_entries6(Entries6 *entries, const Prefix6 *array) noexcept nogil:
    cdef uint32_t i
    for i in range(entries.firsts.ladder.nodes * NODE6):
        entries.firsts.keys[i] = INT64_MAX
        entries.firsts.lower[i] = UINT64_MAX
        if i < entries.firsts.count:
            entries.firsts.keys[i] = order6(array[i].upper)
            entries.firsts.lower[i] = array[i].lower
            entries.lengths[i] = <uint8_t>array[i].length
    fill_posts6(&entries.firsts)


# hot: begin
cdef void find_parents(const Entries4 *entries4, const Entries6 *entries6, int32_t *parents) noexcept nogil:
    """Find the parent of each entry: the nearest entry that covers it.

    The parent of entry i is entry i - 1, or an ancestor of entry i - 1.  Every
    entry that covers entry i begins before it, and covers all entries that
    begin in between.
    """
    cdef int32_t i, at, base = <int32_t>entries4.firsts.count
    for i in range(base):
        at = i - 1
        while at != NO_ENTRY and not covers4(entries4, at, first4(entries4, i)):
            at = parents[at]
        parents[i] = at
    for i in range(<int32_t>entries6.firsts.count):
        at = base + i - 1 if i > 0 else NO_ENTRY
        while at != NO_ENTRY and not covers6(entries6, at - base, upper6(entries6, i), entries6.firsts.lower[i]):
            at = parents[at]
        parents[base + i] = at
# hot: end


# -- A whole prefix --------------------------------------------------------------

cdef bint contains_all(const Table *table, const Bits *prefix) noexcept nogil:
    """Are all addresses of a prefix in?  Ranges are never adjacent, so one range must hold both ends of the prefix."""
    cdef Range wanted = range_of(prefix)
    cdef uint32_t at
    if not contains(table, prefix):
        return False
    # The range that holds the first address of the prefix is the first range that does not end before this address.
    if prefix.family == 4:
        at = count_ended4(&table.table4, <uint32_t>(wanted.first_upper >> 32))
        return <uint32_t>(wanted.last_upper >> 32) <= table.table4.last[at]
    at = count_ended6(&table.table6, wanted.first_upper, wanted.first_lower)
    return not is_before(table.table6.last[at].upper, table.table6.last[at].lower, wanted.last_upper, wanted.last_lower)


# -- The ranges again ---------------------------------------------------------------

cdef RangeArray ranges_of(const Table *table):
    """The ranges that a table was made of."""
    cdef RangeArray ranges = RangeArray()
    cdef const Table6 *table6 = &table.table6
    cdef Range one
    cdef uint32_t i
    one.family = 4
    one.first_lower = 0
    one.last_lower = UINT64_MAX
    for i in range(table.table4.firsts.count):
        one.first_upper = <uint64_t>first_of_range4(&table.table4, i) << 32
        one.last_upper = <uint64_t>table.table4.last[i] << 32 | UINT32_MAX
        ranges.push(&one)
    one.family = 6
    for i in range(table6.firsts.count):
        one.first_upper = <uint64_t>order6(<uint64_t>table6.firsts.keys[i])
        one.first_lower = table6.firsts.lower[i]
        one.last_upper = table6.last[i].upper
        one.last_lower = table6.last[i].lower
        ranges.push(&one)
    return ranges


cdef uint32_t first_of_range4(const Table4 *table, uint32_t i) noexcept nogil:
    """The first address of a range; `fill_scan` and `fill_table4` say where it is."""
    if table.is_scan:
        return <uint32_t>table.firsts.keys[<size_t>(i // SCAN4) * NODE4 + i % SCAN4]
    return table.first if i == 0 else <uint32_t>order4(<uint32_t>table.firsts.keys[i - 1]) + 1
