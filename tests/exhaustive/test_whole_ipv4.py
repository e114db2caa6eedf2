"""All 2**32 addresses of IPv4, for lists of every kind, against a bitmap made from plain ranges.

    pytest tests/exhaustive/test_whole_ipv4.py --run-long        every list, every address: half an hour
    CIDRMATCH_DATA=folder pytest ...                             the real lists in there, not only generated ones

Addresses are asked chunk by chunk.  A chunk is made once, all values of its last bytes; its first ones are patched:

    packed      [ 10.0.0.0 | 10.0.0.1 | ... | 10.255.255.255 ]     2**24 addresses, then the same with 11.
    expected    [ 0 0 0 0 1 1 1 1 1 1 0 0 ... ]                    slices of ones, one for each range
    answers     [ 0 0 0 0 1 1 1 1 1 1 0 0 ... ]                    what `contains_many` writes, with `out`

The truth knows nothing of cidrmatch: `ipaddress` parses, a sweep merges, a slice assignment paints.  A list is asked in
the form that its size chooses, about every address.  Where its ranges begin and end, the other forms are asked as well,
each with other vector instructions.

A share runs always: the shorter lists, in chunks of 2**16 addresses, around their borders.
"""

import gzip
import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from socket import inet_ntoa
from time import perf_counter
from typing import NamedTuple

import pytest

from cidrmatch import AllowList
from cidrmatch._core.table import freeze_as
from tests.judges import ipv4_network

DATA = os.environ.get("CIDRMATCH_DATA")
SEED = int(os.environ.get("CIDRMATCH_SEED", "20240616"))
END = 2**32
LONGEST_SCAN = 512
"""Ranges; a scan asks every one, so nobody waits for a longer one."""
