"""The compiled half of an engine: may this address use this key?  Use it through `cidrmatch`."""
