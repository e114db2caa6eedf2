"""May this client address use this API key?  Strict, typed, and fast.

>>> from cidrmatch import AllowList
>>> office = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "2001:db8::/48"])
>>> "198.51.100.7" in office
True
>>> office.match("198.51.100.7").label
'Office'
"""

from __future__ import annotations

from ._core import (
    AllowList,
    Condition,
    Entry,
    PatriciaTrie,
    Prefix,
    aggregate,
    format_address,
    parse_address,
    parse_entry,
    parse_prefix,
)
from ._keys import Decision, KeyRecord, KeyStore, Reason, Revision, State
from .engine.engine import Engine, Transaction
from .errors import (
    AlreadyExists,
    CidrmatchError,
    Conflict,
    EngineError,
    FeatureOff,
    InUse,
    InvalidAddress,
    InvalidPrefix,
    InvalidText,
    LockOut,
    LockTimeout,
    NotFlushed,
    NotPermitted,
    PolicyError,
    SnapshotError,
    UnknownName,
)
from .gateways.pipeline import Outcome, run_pipeline
from .policy import presets
from .policy.policy import KeyRules, Policy, Report
from .policy.problems import Problem
from .policy.responses import Response
from .version import __version__

__all__ = [
    "AllowList",
    "AlreadyExists",
    "CidrmatchError",
    "Condition",
    "Conflict",
    "Decision",
    "Engine",
    "EngineError",
    "Entry",
    "FeatureOff",
    "InUse",
    "InvalidAddress",
    "InvalidPrefix",
    "InvalidText",
    "KeyRecord",
    "KeyRules",
    "KeyStore",
    "LockOut",
    "LockTimeout",
    "NotFlushed",
    "NotPermitted",
    "Outcome",
    "PatriciaTrie",
    "Policy",
    "PolicyError",
    "Prefix",
    "Problem",
    "Reason",
    "Report",
    "Response",
    "Revision",
    "SnapshotError",
    "State",
    "Transaction",
    "UnknownName",
    "__version__",
    "aggregate",
    "format_address",
    "parse_address",
    "parse_entry",
    "parse_prefix",
    "presets",
    "run_pipeline",
]
