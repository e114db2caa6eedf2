"""For people: a decision in words, and what deserves a look in an engine."""
