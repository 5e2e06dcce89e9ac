"""How much memory the process took."""

from __future__ import annotations

import sys


def peak_memory() -> int | None:
    """Returns the most memory that this process has had so far, in bytes; `None` where it is not known: on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
