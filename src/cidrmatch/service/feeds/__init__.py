"""Feeds: lists that publishers keep, taken over safely.

    settings.py     what a feed is told: its source, its use, its proof, its bounds, its targets
    configuration.py  several feeds in one file, feeds.toml
    fetching.py     a source as bytes, by https or from a file, bounded in every way
    public.py       is an address one of the public Internet?
    proofs.py       digests and signatures of the publisher
    listing.py      bytes as entries, or what is wrong with them
    bounds.py       what is refused: everyone, nobody, too broad, too sudden
    hosts.py        host names as a source: each answer with its age
    resolvers.py    ready ways to ask for the addresses of a name
    state.py        the file with the last good list, and what is known of it
    pulling.py      one look at a source, from the lock to the outputs
    delivering.py   the last good list for others: a list file, a list of a snapshot, a list of a store
    events.py       what changed, for people, for programs and for a hook
    command.py      `cidrmatch feed`

    publisher --fetch--> bytes --proof--> --read--> entries --bounds--> state file --deliver--> outputs
                                    refused: the last good list stays, and it grows old

It needs the extra `feeds` for a source in the network, for signatures and for host names; a file needs nothing.
"""

from __future__ import annotations

from .configuration import read_feeds
from .errors import FeedError, FeedRefused, FeedStateError, FeedUnreachable
from .hosts import Answer
from .pulling import Pulled, Puller, Status
from .settings import Bounds, Feed, FeedSettingsError, Hosts, Proof, Targets

__all__ = [
    "Answer",
    "Bounds",
    "Feed",
    "FeedError",
    "FeedRefused",
    "FeedSettingsError",
    "FeedStateError",
    "FeedUnreachable",
    "Hosts",
    "Proof",
    "Pulled",
    "Puller",
    "Status",
    "Targets",
    "read_feeds",
]
