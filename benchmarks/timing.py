"""Interleaved timing: A B A B ..., so that a machine that slows down slows all of them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version


def interleaved(steps: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Times callables in turn.

    Args:
        steps: name -> what to time; each call must wait until its work is done.
        rounds: how often each is timed.
        warm_up: calls of each before that, not timed.

    Returns:
        name -> seconds of each round.
    """
    for step in steps.values():
        for _ in range(warm_up):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, other: str) -> float:
    """Returns the median, over the rounds, of the time of `name` divided by that of `other` in the same round.

    The machine may be twice as slow in one round as in the next; the two of a round share its speed.
    """
    return statistics.median(one / two for one, two in zip(seconds[name], seconds[other]))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns first quartile, median and third quartile; of a single value, three times that."""
    middle = statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (middle,) * 3
    return low, middle, high


def table(seconds: Mapping[str, list[float]], unit: str = "ms") -> str:
    """Returns medians and quartiles as a Markdown table."""
    scale = {"ms": 1e3, "s": 1.0}[unit]
    lines = [f"| what | median ({unit}) | quartiles ({unit}) |", "|---|---|---|"]
    for name, values in seconds.items():
        low, middle, high = (scale * q for q in quartiles(values))
        lines.append(f"| {name} | {middle:.2f} | {low:.2f} - {high:.2f} |")
    return "\n".join(lines)


def cores() -> int:
    """Returns how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Returns one line that says what the figures were measured with."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))
    return (
        f"{cores()} CPU cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, {packages}"
    )
