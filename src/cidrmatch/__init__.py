"""May this client address use this API key?  Strict, typed, and fast.

>>> from cidrmatch import AllowList
>>> office = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "2001:db8::/48"])
>>> "198.51.100.7" in office
True
>>> office.match("198.51.100.7").label
'Office'
"""

from __future__ import annotations

from . import presets
from ._core.address import format_address, parse_address
from ._core.patricia import PatriciaTrie
from ._core.prefix import Entry, Prefix, aggregate, parse_entry, parse_prefix
from ._core.table import AllowList
from .errors import CidrmatchError, InvalidAddress, InvalidPrefix, InvalidText, PolicyError
from .policy import Policy, Problem, Report
from .version import __version__

__all__ = [
    "AllowList",
    "CidrmatchError",
    "Entry",
    "InvalidAddress",
    "InvalidPrefix",
    "InvalidText",
    "PatriciaTrie",
    "Policy",
    "PolicyError",
    "Prefix",
    "Problem",
    "Report",
    "__version__",
    "aggregate",
    "format_address",
    "parse_address",
    "parse_entry",
    "parse_prefix",
    "presets",
]
