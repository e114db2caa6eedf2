"""Who changes what, and when it is seen: transactions, files, followers."""
