"""The page benchmarks/RESULTS.md, from what two runs of the benchmarks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure

_INTRODUCTION = """\
# Benchmark results

Written by `python -m benchmarks` (`make bench`), which ran each script {runs} times, in turn: all of them, then all of
them again. Do not edit it: what takes longer to measure is in the pages of [results](results):

{pages}

A figure is a median over the rounds of a run, with the lowest and the highest round in brackets; most are ratios of two
times of one round. Two runs agree if the median of one lies among the rounds of the other, or they are less than 1%
apart.

{date}, {machine}.
Not measured on a GPU: `benchmarks/gpu.py` does that.
"""


@dataclass(frozen=True)
class Run:
    """One run of a benchmark.

    Args:
        figures: what it found.
        error: the last line of what it said if it failed; `""` if it did not.
    """

    figures: tuple[Figure, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark and its runs.

    Args:
        command: runs it.
        runs: one after the other.
    """

    command: str
    runs: Sequence[Run]


def agree(one: Figure, other: Figure) -> bool:
    """Returns whether the median of one figure lies among the rounds of the other, or within 1% of its median."""
    near = abs(one.value - other.value) < 0.01 * abs(one.value)
    return near or one.low <= other.value <= one.high or other.low <= one.value <= other.high


def page(benchmarks: Mapping[str, Benchmark], machine: str, date: str, pages: Mapping[str, str]) -> str:
    """Returns the page in Markdown.

    Args:
        benchmarks: name -> its runs, as many of each.
        machine: what it was measured on, in a line.
        date: when.
        pages: path, from where the page is -> title of further pages.
    """
    runs = max(len(benchmark.runs) for benchmark in benchmarks.values())
    links = "\n".join(f"- [{title}]({path})" for path, title in pages.items())
    start = _INTRODUCTION.format(runs=runs, pages=links, date=date, machine=machine)
    rows = [row for benchmark in benchmarks.values() for row in _paired(benchmark.runs)]
    told = [agree(*pair) for pair in rows if len(pair) == 2]
    aimed = [figure.met for row in rows for figure in row if figure.target]
    summary = (
        f"{sum(told)} of {len(told)} figures agree in both runs; {sum(map(bool, aimed))} of {len(aimed)} measurements "
        "with an aim meet it.\n"
    )
    return "\n".join([start, summary, *(_section(name, each) for name, each in benchmarks.items())])


def titles(folder: Path) -> dict[str, str]:
    """Returns the path, from the folder above, and the title of each page of a folder."""
    return {
        f"{folder.name}/{path.name}": path.read_text("utf-8").splitlines()[0].lstrip("# ")
        for path in sorted(folder.glob("*.md"))
    }


def _paired(runs: Sequence[Run]) -> list[tuple[Figure, ...]]:
    """Returns each figure's values in the runs that have it."""
    by_run = [{figure.what: figure for figure in run.figures} for run in runs]
    names = dict.fromkeys(name for figures in by_run for name in figures)
    return [tuple(figures[name] for figures in by_run if name in figures) for name in names]


def _section(name: str, benchmark: Benchmark) -> str:
    lines = [f"## {name}\n", f"`{benchmark.command}`\n"]
    for number, run in enumerate(benchmark.runs, start=1):
        if run.error:
            lines.append(f"**Run {number} failed**: `{run.error}`\n")
    columns = ["what", *(f"run {number}" for number in range(1, len(benchmark.runs) + 1)), "runs agree", "aimed at"]
    rows = [_row(found, len(benchmark.runs)) for found in _paired(benchmark.runs)]
    if rows:
        lines += [f"| {' | '.join(columns)} |", f"|---|{'---:|' * len(benchmark.runs)}---|---|", *rows, ""]
    return "\n".join(lines)


def _row(found: Sequence[Figure], runs: int) -> str:
    cells = [found[0].what, *(f"{each.value:.4g} ({each.low:.4g} - {each.high:.4g})" for each in found)]
    cells += ["-"] * (runs - len(found))
    if len(found) == 2:
        one, other = found
        apart = abs(other.value / one.value - 1) if one.value else float("inf")
        cells.append("yes" if agree(one, other) else f"**no**, {apart:.1%} apart")
    else:
        cells.append("-")
    met = ["met" if each.met else "**missed**" for each in found]
    cells.append(f"{found[0].target}: {', '.join(met)}" if found[0].target else "-")
    return f"| {' | '.join(cells)} |"
