"""Lists and engines as documents: TOML, JSON, CSV and text."""
