"""The suite; `tests.reference` and `tests.strategies` are its shared ground."""
