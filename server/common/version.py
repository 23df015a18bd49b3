"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version


def our_version() -> str:
    """Return the installed package's version, or `unknown`."""
    try:
        return version("blinklog")
    except PackageNotFoundError:
        return "unknown"
