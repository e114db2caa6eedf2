"""What a product accepts in a list, and what it says to whoever is refused.

    policy       what a product accepts, as a value           presets: four products     plain: as plain values
    judge        how a list is judged                         reach: how many addresses it lets through
    problems     one thing that is wrong with a list          checks: a single value is of its kind
    responses    what a client is told when it is denied

A policy judges lists before they are stored.  No request is judged here, and
nothing here knows a key: that is the floor below.
Threads: safe, policies and reports are values.
"""
