"""Lists in a database, changed while requests run; every worker knows within ten seconds (B11, C19).

people --change--> tables --look, every two seconds--> follower --feed--> engine --> requests
                     |                                    ^
                     '---nudge: there is something new ---'

schema      the tables
"""
