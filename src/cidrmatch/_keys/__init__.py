"""The public names of the keys: every name that Python code of other floors may use, with the reason for each.

The rooms of this floor answer: may this address use this key?  Most of them are compiled; Cython code of other packages
cimports them directly.  Floors above use no other name than these.
"""

from .block_file import (
    Identity,  # which file it was: following and saving compare them
    PathLike,  # what names a file
    Revision,  # which version of the data a file holds
    checksum_of,  # of a store, before it is a file
    content_at,  # what lies where somebody wants to save
    drawn_epoch,  # a new history of a file begins
    flush_name,  # a saved file survives a power failure
    identify,  # has the file changed?
    open_block,  # an engine is opened from a file
    remove_drafts,  # of writers that were killed
    revision_of,  # of a file, by its header
    save_block,  # an engine is saved to a file
)
from .check import (
    Checker,  # an engine is one, and answers checks
    Decision,  # what a check answers
    carried_by,  # explain tells the IPv4 addresses in an IPv6 address
    client_of,  # explain asks entries for the address that was judged
)
from .column import judge_columns  # tables of other engines ask an engine
from .key_record import KeyRecord  # what people put and get back
from .notes import (
    entry_as_values,  # named lists are written as notes are
    parse_notes,  # and read
)
from .packed_notes import (
    SELECT_PACKED,  # a usage log writes rows by it
    PackedNotes,  # which are packed
    select_packed,  # a trigger reads them, too
)
from .packing import Packer  # when requests come
from .reasons import (
    REASONS_BY_VERDICT,  # a column tells reasons by their numbers
    Reason,  # the two vocabularies of answers
    State,
)
from .records import (
    rule_of,  # a draft makes rules of records
    write_record,  # a source that is read whole needs no rules
    write_rule,  # a fold writes them
)
from .response import Response  # what policies render
from .rule import (
    FrozenList,  # a named list
    Rule,  # what a view holds of a key
    Shadow,  # a trial, with its counts
)
from .store import (
    Builder,  # a fold writes a store
    KeyStore,  # which people may use alone, too
)
from .store_builder import (
    named,  # an error about many keys names the key
    pairs_of,  # many keys come as pairs
)
from .view import (
    View,  # one version of the data
    key_text,  # a subclass of `str` names the key of its characters
)

__all__ = [
    "REASONS_BY_VERDICT",
    "SELECT_PACKED",
    "Builder",
    "Checker",
    "Decision",
    "FrozenList",
    "Identity",
    "KeyRecord",
    "KeyStore",
    "PackedNotes",
    "Packer",
    "PathLike",
    "Reason",
    "Response",
    "Revision",
    "Rule",
    "Shadow",
    "State",
    "View",
    "carried_by",
    "checksum_of",
    "client_of",
    "content_at",
    "drawn_epoch",
    "entry_as_values",
    "flush_name",
    "identify",
    "judge_columns",
    "key_text",
    "named",
    "open_block",
    "pairs_of",
    "parse_notes",
    "remove_drafts",
    "revision_of",
    "rule_of",
    "save_block",
    "select_packed",
    "write_record",
    "write_rule",
]
