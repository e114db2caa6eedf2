"""Who changes what, and when it is seen: changes, the commits that publish them, files, followers.

    changes      what may be said about keys and lists        --refusals--  when it is refused
       |                                                      --answers---  what it is answered with
    draft        a view in the making  --storable--  what a store can hold
       |
    engine       the commit: one reference moves from view to view, and nobody who reads waits
       |
    folding      the overlay becomes part of the store
    snapshots    a view as a file's block, and back           saving: which file, which revision
    following    newer revisions of a file are taken over     file_lock: one writer at a time
    settings, ids, forking      what all views share; hashed ids; who begins anew in a forked child

A view (`_keys`) answers; nothing of this floor stands between a request and its
answer.  What a product accepts is the policy's business, one floor below.
Threads: writers take turns by the engine's lock; readers take none.
"""
