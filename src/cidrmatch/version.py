"""The version, alone, so that the build can read it before the core is compiled."""

__version__ = "0.1.0"
