"""For people: why a check ends as it does, what deserves a look, how two lists differ.

    compare.py   two lists             addresses gained and lost, entries added, removed, relabelled
    explain.py   one key, one address  every list that applies, what each says, and what decided
    lint.py      a whole engine        what is allowed and still looks like a mistake

Each gives a value with the facts, and words for people where these are more than
the facts.  Nothing here decides who gets in: answers come from the core and from
policies, and advice only asks them.  Nothing here changes an engine.
"""
