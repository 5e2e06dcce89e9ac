"""Measures the memory of the process."""

from __future__ import annotations

import sys


def peak_memory() -> int | None:
    """Returns the peak memory of this process so far, in bytes; `None` if unknown (on Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
