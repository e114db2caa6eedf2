"""What a product accepts in a list, and what it tells a client that is denied.

    policy       what a product accepts, as a value           presets: four products     plain: as plain values
    judge        how a list is judged                         reach: how many addresses it allows
    problems     one thing that is wrong with a list          checks: single values have the right type
    responses    what a client is told when it is denied

A policy judges lists before they are stored.  No request is judged here, and
nothing here knows a key; the floor below does both.
Threads: safe, because policies and reports never change.
"""
