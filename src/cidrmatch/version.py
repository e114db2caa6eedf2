"""The version. It has a file of its own, so that the build can read it before the core is compiled."""

__version__ = "0.1.0"
