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
from dataclasses import dataclass
from datetime import date
from pathlib import Path

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


@dataclass(frozen=True)
class Run:
    """One run of a benchmark.

    Args:
        figures: its figures.
        error: the last line of stderr if it failed, else `""`.
    """

    figures: tuple[Figure, ...] = ()
    error: str = ""


def run(script: Path, arguments: Sequence[str]) -> Run:
    """Runs a benchmark in a process of its own, which prints to this one's output.

    Args:
        script: the benchmark, which takes `--json FILE` and writes its figures there.
        arguments: its other arguments.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, str(script), *arguments, "--json", str(file)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            # The path of the checkout does not belong on the page.
            return Run(error=lines[-1].replace(f"{HERE.parent}/", "") if lines else f"exit code {done.returncode}")
        return Run(tuple(harness.read(file))) if file.exists() else Run(error="It wrote no figures.")


def run_all(scripts: Mapping[str, Sequence[str]], folder: Path, runs: int = RUNS) -> dict[str, list[Run]]:
    """Runs all benchmarks in turn, and then all of them again.

    Args:
        scripts: name -> arguments.
        folder: where the scripts are.
        runs: number of runs of each.
    """
    found: dict[str, list[Run]] = {name: [] for name in scripts}
    for number in range(1, runs + 1):
        for name, arguments in scripts.items():
            print(f"\n== {name}, run {number} of {runs}", flush=True)
            found[name].append(run(folder / f"{name}.py", arguments))
            if found[name][-1].error:
                print(f"failed: {found[name][-1].error}", flush=True)
    return found


def agree(one: Figure, other: Figure) -> bool:
    """Returns whether the median of one figure lies among the rounds of the other, or they differ by less than 1%."""
    near = abs(one.value - other.value) < 0.01 * abs(one.value)
    return near or one.low <= other.value <= one.high or other.low <= one.value <= other.high


def page(scripts: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[Run]], pages: Path) -> str:
    """Returns the page in Markdown.

    Args:
        scripts: name -> arguments.
        found: name -> its runs, as many of each.
        pages: folder of further pages, beside the page.
    """
    links = (
        f"- [{path.read_text('utf-8').splitlines()[0].lstrip('# ')}]({pages.name}/{path.name})"
        for path in sorted(pages.glob("*.md"))
    )
    runs = max(map(len, found.values()))
    parts = [
        _INTRODUCTION.format(runs=runs, pages="\n".join(links), date=date.today(), machine=harness.machine()),
        _summary([row for each in found.values() for row in _by_figure(each)]),
    ]
    header = ["what", *(f"run {number}" for number in range(1, runs + 1)), "runs agree", "target"]
    for name, each in found.items():
        parts.append(f"## {name}\n\n`{shlex.join(['python', f'benchmarks/{name}.py', *scripts[name]])}`\n")
        parts += [f"**Run {at} failed**: `{run.error}`\n" for at, run in enumerate(each, start=1) if run.error]
        if rows := _by_figure(each):
            lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * runs}---|---|", *(_line(row, runs) for row in rows)]
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _by_figure(runs: Sequence[Run]) -> list[list[Figure]]:
    """Returns the values of each figure in the runs that have it."""
    names = dict.fromkeys(figure.what for run in runs for figure in run.figures)
    return [[figure for run in runs for figure in run.figures if figure.what == name] for name in names]


def _summary(rows: Sequence[Sequence[Figure]]) -> str:
    agreed = [agree(*row) for row in rows if len(row) == 2]
    met = [figure.met for row in rows for figure in row if figure.target]
    return (
        f"{sum(agreed)} of {len(agreed)} figures agree in both runs; {sum(map(bool, met))} of {len(met)} measurements "
        "with a target meet it.\n"
    )


def _line(row: Sequence[Figure], runs: int) -> str:
    cells = [row[0].what, *(f"{each.value:.4g} ({each.low:.4g} - {each.high:.4g})" for each in row)]
    cells += ["-"] * (runs - len(row))
    if len(row) == 2:
        one, other = row
        apart = abs(other.value / one.value - 1) if one.value else float("inf")
        cells.append("yes" if agree(one, other) else f"**no**, {apart:.1%} apart")
    else:
        cells.append("-")
    met = ", ".join("met" if each.met else "**missed**" for each in row)
    return f"| {' | '.join([*cells, f'{row[0].target}: {met}' if row[0].target else '-'])} |"


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
