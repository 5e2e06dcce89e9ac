"""Figures: what a benchmark found, how far its rounds lay apart, and what was aimed at."""

from __future__ import annotations

import argparse
import json
import operator
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_RELATIONS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark is run for.

    Args:
        what: what it is, in words; most are ratios of two times of one round.
        value: median over the rounds.
        low: the lowest of them.
        high: the highest.
        target: what is aimed at, as `">= 1.25"`; `""` for nothing.
    """

    what: str
    value: float
    low: float
    high: float
    target: str = ""

    @property
    def met(self) -> bool | None:
        """Whether `value` is what is aimed at; `None` if nothing is."""
        if not self.target:
            return None
        relation, bound = self.target.split()
        return bool(_RELATIONS[relation](self.value, float(bound)))


def of_values(what: str, values: Sequence[float], target: str = "") -> Figure:
    """Returns the figure of what each round found; of a single round, without a spread."""
    return Figure(what, statistics.median(values), min(values), max(values), target)


def of_ratio(
    what: str, seconds: Mapping[str, Sequence[float]], name: str, other: str, target: str = "", scale: float = 1.0
) -> Figure:
    """Returns the figure of the ratio of two times, taken round by round.

    The machine may be twice as slow in one round as in the next; the two of a round share its speed.

    Args:
        what: what it is.
        seconds: what was timed -> seconds of each round.
        name: the numerator's key.
        other: the denominator's key.
        target: what is aimed at.
        scale: what each ratio is multiplied by.
    """
    pairs = zip(seconds[name], seconds[other], strict=True)
    return of_values(what, [scale * one / two for one, two in pairs], target)


def table(figures: Sequence[Figure]) -> str:
    """Returns figures as a Markdown table."""
    lines = ["| what | found | lowest - highest round | aimed at |", "|---|---:|---:|---|"]
    for figure in figures:
        aimed = figure.target and f"{figure.target} {'met' if figure.met else '**missed**'}"
        spread = f"{figure.low:.4g} - {figure.high:.4g}"
        lines.append(f"| {figure.what} | {figure.value:.4g} | {spread} | {aimed or '-'} |")
    return "\n".join(lines)


def parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """Returns the parser of the flags that all benchmarks have: `--rounds` and `--json`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=rounds, help="how often each is timed")
    made.add_argument("--json", type=Path, help="file to write the figures to as well")
    return made


def report(figures: Sequence[Figure], path: Path | None) -> None:
    """Prints figures, and writes them to `path` if there is one."""
    print(f"\n{table(figures)}")
    if path:
        path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n", "utf-8")


def read(path: Path) -> list[Figure]:
    """Returns the figures that `report` wrote."""
    return [Figure(**entry) for entry in json.loads(path.read_text("utf-8"))]
