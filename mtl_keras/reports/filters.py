"""Filters of the templates: format numbers, names and times as text."""

from __future__ import annotations

import math
from collections.abc import Sequence


def decimal(value: float | None, digits: int = 4, *, sign: bool = False) -> str:
    """Returns a number with `digits` decimals, or a dash if it is unknown or not finite."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def percent(value: float | None) -> str:
    """Returns a share in percent, or a dash if it is unknown or not finite."""
    return f"{value:.0%}" if value is not None and math.isfinite(value) else "-"


def duration(seconds: float | None) -> str:
    """Returns a time in a suitable unit, or a dash if it is unknown or not finite."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def count(amount: int, thing: str) -> str:
    """Returns `"1 task"`, `"2 tasks"`."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Returns the first `most` names, and the number of further ones; `"none"` without any."""
    shown = ", ".join(names[:most]) or "none"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def arrow(higher_is_better: bool | None) -> str:
    """Returns an arrow in the direction that is better."""
    return "" if higher_is_better is None else (" ↑" if higher_is_better else " ↓")
