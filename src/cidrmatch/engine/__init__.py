"""Changing data: changes, the commits that publish them, snapshot files and their followers.

    changes      what may be said about keys and lists        --refusals--  when a change is refused
       |                                                      --answers---  the report of a change
    draft        the next view while it is changed  --storable--  what a store can hold
       |
    engine       the commit: one reference is replaced, and no reader waits
       |
    folding      moving the overlay into the store
    snapshots    a view as a file's block, and back           revisions: which file, which revision
    following    newer revisions of a file are taken over     file_lock: one writer at a time
    settings, ids, forking      what all views share; hashed ids; what a forked child makes again

A view (`_keys`) answers requests; no code of this floor runs for a request.
What a product accepts is decided by its policy, one floor below.
Threads: writers take turns by the engine's lock; readers take none.
"""
