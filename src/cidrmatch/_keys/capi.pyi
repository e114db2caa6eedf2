__all__ = ["get_include"]

def get_include() -> str:
    """The directory of `cidrmatch.h` and of the .pxd files' headers, for the compiler of another extension.

    Returns:
        `str`.
    """
