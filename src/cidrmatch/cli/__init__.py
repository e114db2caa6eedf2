"""The command `cidrmatch`, for the terminal."""
