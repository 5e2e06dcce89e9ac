"""What all benchmarks share: flags, interleaved timing, ratios of medians with their spread, and tables.

The alternatives run in turn, A B A B ..., so that a machine that slows down slows all of them. A ratio is taken within
each round. A figure is the median over the rounds, with the lowest and the highest round.

This module must import quickly: `start_up.py` times processes that import it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import operator
import os
import platform
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

_RELATIONS = {">=": operator.ge, "<=": operator.le}
_HELP = {
    "rounds": "number of measurements of each alternative",
    "starts": "number of measurements of each start-up",
    "steps": "number of steps that are timed together",
}


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark measures: `value` is the median over the rounds, `low` and `high` their range.

    Args:
        what: its name in tables.
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
    """Returns a function that does the work, waits for its results, and returns the seconds divided by `per`."""

    def timed() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / per

    return timed


def interleave(
    sides: Mapping[Any, Callable[[], float]], rounds: int, warm_up: int = 1, pause: float = 0.0
) -> dict[Any, list[float]]:
    """Runs the sides in turn, and returns the measurements of each: one per round.

    Args:
        sides: name -> a function that returns what it measured, usually made by `clock`.
        rounds: number of measurements of each side.
        warm_up: number of earlier rounds whose results are dropped: they compile functions.
        pause: seconds after each call, in which idle threads stop spinning.
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


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; all columns but the first are right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def times_table(seconds: Mapping[str, Sequence[float]], unit: str = "ms") -> str:
    """Returns a Markdown table of medians and quartiles, in `"ms"` or `"s"`."""
    scale = {"ms": 1e3, "s": 1.0}[unit]
    rows = []
    for name, values in seconds.items():
        low, middle, high = (scale * quartile for quartile in quartiles(values))
        rows.append([name, f"{middle:.2f}", f"{low:.2f} - {high:.2f}"])
    return table(["what", f"median ({unit})", f"quartiles ({unit})"], rows)


def figures_table(figures: Sequence[Figure]) -> str:
    """Returns a Markdown table of figures."""
    rows = []
    for each in figures:
        target = f"{each.target} {'met' if each.met else '**missed**'}" if each.target else "-"
        rows.append([each.what, f"{each.value:.4g}", f"{each.low:.4g} - {each.high:.4g}", target])
    return table(["what", "median", "lowest - highest round", "target"], rows)


def run(measure: Callable[..., Sequence[Figure]], **choices: Collection[str]) -> Sequence[Figure]:
    """Parses the flags of a benchmark, runs it, prints its figures and returns them; `--json FILE` also writes them.

    Args:
        measure: the benchmark. Its parameters are the flags, with their defaults: `rounds: int = 12` is `--rounds`. A
            tuple takes several values, None a path. The docstring of its module is the help text.
        **choices: flag -> the values that it accepts.
    """
    description = inspect.getdoc(inspect.getmodule(measure))
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, parameter in inspect.signature(measure).parameters.items():
        default = parameter.default
        several = {"nargs": "*"} if isinstance(default, tuple) else {}
        kind = Path if default is None else str if several else type(default)
        text = f"{_HELP.get(name, 'see above')}; default: {default}"
        parser.add_argument(f"--{name}", type=kind, default=default, choices=choices.get(name), help=text, **several)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    settings = vars(parser.parse_args())
    path = settings.pop("json")
    print(machine(), *(f"{name} {value}" for name, value in settings.items() if value), sep=", ", flush=True)
    figures = measure(**settings)
    if figures:
        print(f"\n{figures_table(figures)}")
    if path:
        path.write_text(json.dumps([asdict(each) for each in figures], indent=1) + "\n", "utf-8")
    return figures


def read(path: Path) -> list[Figure]:
    """Returns the figures that `run` wrote."""
    return [Figure(**entry) for entry in json.loads(path.read_text("utf-8"))]


def cores() -> int:
    """Returns how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Returns one line with the machine and the versions that were measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras"))
    where = f"{cores()} CPU cores, {platform.system()} {platform.machine()}"
    return f"{where}, Python {platform.python_version()}, {packages}"
