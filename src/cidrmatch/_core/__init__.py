"""The compiled core: addresses, prefixes, the trie, the table.  Use it through `cidrmatch`."""
