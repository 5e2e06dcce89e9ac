"""What all benchmarks share: interleaved timing, ratios of medians with their spread, tables and flags.

The alternatives run in turn, A B A B ..., so that a machine that slows down slows all of them. A ratio is taken within
each round. A figure is the median over the rounds, with the lowest and the highest round.

This module must import quickly: `start_up.py` times processes that import it.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

_RELATIONS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark measures.

    Args:
        what: its name in tables.
        value: median over the rounds.
        low: the lowest round.
        high: the highest round.
        target: for example `">= 1.25"`; `""` for none.
    """

    what: str
    value: float
    low: float
    high: float
    target: str = ""

    @property
    def met(self) -> bool | None:
        """Whether `value` reaches the target; `None` without one."""
        if not self.target:
            return None
        relation, bound = self.target.split()
        return bool(_RELATIONS[relation](self.value, float(bound)))


def figure(what: str, values: Sequence[float], target: str = "") -> Figure:
    """Returns the figure of one value per round."""
    return Figure(what, statistics.median(values), min(values), max(values), target)


def ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Returns the ratio of two times in each round."""
    return [a / b for a, b in zip(one, other, strict=True)]


def ratio(what: str, one: Sequence[float], other: Sequence[float], target: str = "", scale: float = 1.0) -> Figure:
    """Returns the figure of `scale * one / other`, computed round by round."""
    return figure(what, [scale * each for each in ratios(one, other)], target)


def clock(work: Callable[[], object], per: int = 1) -> Callable[[], float]:
    """Returns a function that does the work and returns the seconds that it took.

    Args:
        work: must wait until its results are there.
        per: the seconds are divided by this number, for example of steps.
    """

    def timed() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / per

    return timed


def interleave(
    sides: Mapping[Any, Callable[[], float]], rounds: int, warm_up: int = 1, pause: float = 0.0
) -> dict[Any, list[float]]:
    """Runs the sides in turn.

    Args:
        sides: name -> a function that returns what it measured, usually made by `clock`.
        rounds: number of measurements of each side.
        warm_up: number of calls of each side before, whose results are dropped: they compile functions.
        pause: seconds after each call, in which idle threads stop spinning.

    Returns:
        name -> the measurement of each round.
    """
    found: dict[Any, list[float]] = {name: [] for name in sides}
    for number in range(warm_up + rounds):
        for name, side in sides.items():
            value = side()
            time.sleep(pause)
            if number >= warm_up:
                found[name].append(value)
    return found


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns first quartile, median and third quartile; a single value three times."""
    middle = statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (middle,) * 3
    return low, middle, high


def times_table(seconds: Mapping[str, Sequence[float]], unit: str = "ms") -> str:
    """Returns medians and quartiles as a Markdown table."""
    scale = {"ms": 1e3, "s": 1.0}[unit]
    lines = [f"| what | median ({unit}) | quartiles ({unit}) |", "|---|---:|---:|"]
    for name, values in seconds.items():
        low, middle, high = (scale * quartile for quartile in quartiles(values))
        lines.append(f"| {name} | {middle:.2f} | {low:.2f} - {high:.2f} |")
    return "\n".join(lines)


def figures_table(figures: Sequence[Figure]) -> str:
    """Returns figures as a Markdown table."""
    lines = ["| what | median | lowest - highest round | target |", "|---|---:|---:|---|"]
    for each in figures:
        target = each.target and f"{each.target} {'met' if each.met else '**missed**'}"
        lines.append(f"| {each.what} | {each.value:.4g} | {each.low:.4g} - {each.high:.4g} | {target or '-'} |")
    return "\n".join(lines)


def parser(description: str | None, rounds: int | None) -> argparse.ArgumentParser:
    """Returns a parser with the flags of all benchmarks.

    Args:
        description: shown by `--help`.
        rounds: default of `--rounds`; `None` to leave this flag out.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds is not None:
        made.add_argument("--rounds", type=int, default=rounds, help="number of measurements of each alternative")
    made.add_argument("--json", type=Path, help="also write the figures to this file")
    return made


def report(figures: Sequence[Figure], path: Path | None) -> None:
    """Prints figures, and writes them to `path` if there is one."""
    print(f"\n{figures_table(figures)}")
    if path:
        path.write_text(json.dumps([asdict(each) for each in figures], indent=1) + "\n", "utf-8")


def read(path: Path) -> list[Figure]:
    """Returns the figures that `report` wrote."""
    return [Figure(**entry) for entry in json.loads(path.read_text("utf-8"))]


def cores() -> int:
    """Returns how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Returns one line with the machine and the versions that were measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))
    where = f"{cores()} CPU cores, {platform.system()} {platform.machine()}"
    return f"{where}, Python {platform.python_version()}, {packages}"
