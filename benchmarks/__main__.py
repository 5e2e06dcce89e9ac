"""Runs the quick benchmarks twice and writes benchmarks/RESULTS.md: `python -m benchmarks`, or `make bench`.

Each script runs in a process of its own, one after the other, on all cores that this process may use (`taskset -c 0,1
make bench` for two). A script that fails is reported as failed, and the others go on; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from benchmarks import harness
from benchmarks.harness import Figure

HERE = Path(__file__).resolve().parent
RUNS = 2

# Script -> its arguments here: a quarter of an hour for all of them. Their defaults measure longer.
QUICK: dict[str, str] = {
    "steps": "--rounds 6",
    "dropping": "--rounds 12",
    "dst_epochs": "--rounds 6",
    "many_heads": "--rounds 20 --starts 4",
    "sharing": "--rounds 6 --steps 8 --parts dropping libraries",
    "dense": "--rounds 6 --steps 4",
    "flops": "--rounds 10",
    "pipeline": "--rounds 8",
    "start_up": "--rounds 5",
}

_INTRODUCTION = """\
# Benchmark results

Written by `python -m benchmarks` (`make bench`), which ran all scripts, {runs} times in turn. Do not edit this page.
Longer measurements are in other pages:

{pages}

A figure is the median over the rounds of a run, with the lowest and the highest round in brackets. Most are ratios of
two times of the same round. Two runs agree if the median of one lies among the rounds of the other, or if they differ
by less than 1%.

{date}, {machine}.
Not measured on a GPU: use `benchmarks/gpu.py`.
"""


class Run(NamedTuple):
    """The figures of one run of a benchmark, or the last line of stderr if it failed."""

    figures: Sequence[Figure] = ()
    error: str = ""


def run(script: Path, arguments: Sequence[str]) -> Run:
    """Runs a benchmark in a process of its own, which prints to this one's output."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, str(script), *arguments, "--json", str(file)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode:
            *_, last = ["", *done.stderr.splitlines()]
            # The path of the checkout does not belong on the page.
            return Run(error=last.replace(f"{HERE.parent}/", "") or f"exit code {done.returncode}")
        return Run(harness.read(file)) if file.exists() else Run(error="It wrote no figures.")


def run_all(scripts: Mapping[str, Sequence[str]], folder: Path) -> dict[str, list[Run]]:
    """Runs all benchmarks, given as name -> arguments, in turn, and then all of them again."""
    found: dict[str, list[Run]] = {name: [] for name in scripts}
    for number in range(1, RUNS + 1):
        for name, arguments in scripts.items():
            print(f"\n== {name}, run {number} of {RUNS}", flush=True)
            found[name].append(run(folder / f"{name}.py", arguments))
            if found[name][-1].error:
                print(f"failed: {found[name][-1].error}", flush=True)
    return found


def agree(one: Figure, other: Figure) -> bool:
    """Returns whether the median of one figure lies among the rounds of the other, or they differ by less than 1%."""
    near = abs(one.value - other.value) < 0.01 * abs(one.value)
    return near or one.low <= other.value <= one.high or other.low <= one.value <= other.high


def page(scripts: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[Run]], pages: Path) -> str:
    """Returns the page in Markdown, with links to the further `pages` beside it."""
    titles = {path: path.read_text("utf-8").splitlines()[0].lstrip("# ") for path in sorted(pages.glob("*.md"))}
    links = "\n".join(f"- [{title}]({pages.name}/{path.name})" for path, title in titles.items())
    rows = {name: _by_figure(runs) for name, runs in found.items()}
    pairs = [row for each in rows.values() for row in each if len(row) == RUNS]
    met = [figure.met for each in rows.values() for row in each for figure in row if figure.target]
    parts = [
        _INTRODUCTION.format(runs=RUNS, pages=links, date=date.today(), machine=harness.machine()),
        f"{sum(agree(*row) for row in pairs)} of {len(pairs)} figures agree in both runs; {sum(met)} of {len(met)} "
        "measurements with a target meet it.\n",
    ]
    header = ["what", *(f"run {number}" for number in range(1, RUNS + 1)), "runs agree", "target"]
    for name, runs in found.items():
        parts.append(f"## {name}\n\n`{shlex.join(['python', f'benchmarks/{name}.py', *scripts[name]])}`\n")
        parts += [f"**Run {at} failed**: `{each.error}`\n" for at, each in enumerate(runs, start=1) if each.error]
        if rows[name]:
            parts.append(harness.table(header, map(_cells, rows[name])) + "\n")
    return "\n".join(parts)


def _by_figure(runs: Sequence[Run]) -> list[list[Figure]]:
    """Returns the values of each figure in the runs that have it."""
    names = dict.fromkeys(figure.what for run in runs for figure in run.figures)
    return [[figure for run in runs for figure in run.figures if figure.what == name] for name in names]


def _cells(row: Sequence[Figure]) -> list[str]:
    agreement = "-"
    if len(row) == RUNS:
        one, other = row
        apart = abs(other.value / one.value - 1) if one.value else float("inf")
        agreement = "yes" if agree(one, other) else f"**no**, {apart:.1%} apart"
    values = [f"{each.value:.4g} ({each.low:.4g} - {each.high:.4g})" for each in row]
    met = ", ".join("met" if each.met else "**missed**" for each in row)
    target = f"{row[0].target}: {met}" if row[0].target else "-"
    return [row[0].what, *values, *["-"] * (RUNS - len(row)), agreement, target]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmarks, writes the page, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK)}; default: all")
    parser.add_argument("--rounds", type=int, help="replaces the rounds of each script, for a quick check")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md", help="the page to write")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.scripts if name not in QUICK]
    if unknown:
        parser.error(f"NAME must be one of {', '.join(QUICK)}. Received: {unknown[0]}")
    rounds = [] if arguments.rounds is None else ["--rounds", str(arguments.rounds)]
    scripts = {name: [*shlex.split(QUICK[name]), *rounds] for name in arguments.scripts or QUICK}
    found = run_all(scripts, HERE)
    arguments.output.write_text(page(scripts, found, HERE / "results"), "utf-8")
    print(f"\n{arguments.output}")
    return int(any(run.error for runs in found.values() for run in runs))


if __name__ == "__main__":
    sys.exit(main())
