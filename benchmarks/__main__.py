"""Runs the quick set of benchmarks twice and writes benchmarks/RESULTS.md: `python -m benchmarks`, or `make bench`.

Each script is a process of its own, one after the other, on all cores that this one may use (`taskset -c 0,1 make
bench` for two). One that fails is written down as failed, and the others go on; the exit code is then 1.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, timing
from benchmarks.results_page import Benchmark, Run, page, titles

HERE = Path(__file__).resolve().parent
RUNS = 2

# Script -> its arguments here: a quarter of an hour for all of them. Their defaults measure longer.
QUICK: dict[str, str] = {
    "steps": "--rounds 6",
    "executions": "--rounds 8",
    "dropping": "--rounds 20",
    "subsets": "--rounds 12",
    "dst_epochs": "--rounds 6",
    "sharing": "--rounds 6",
    "many_heads": "--rounds 20 --starts 4",
    "peak": "--rounds 10",
    "pipeline": "--rounds 8",
    "start_up": "--rounds 5",
}


def run(script: Path, arguments: Sequence[str]) -> Run:
    """Runs a benchmark in a process of its own; what it prints is shown.

    Args:
        script: the benchmark, which takes `--json FILE` and writes its figures there.
        arguments: its other arguments.
    """
    if not script.is_file():
        return Run(error=f"There is no {script.name}.")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "figures.json"
        command = [sys.executable, str(script), *arguments, "--json", str(found)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            # Where the checkout lies is nobody's business.
            return Run(error=lines[-1].replace(f"{HERE.parent}/", "") if lines else f"exit code {done.returncode}")
        if not found.exists():
            return Run(error="It wrote no figures.")
        return Run(tuple(figures.read(found)))


def run_all(scripts: Mapping[str, Sequence[str]], folder: Path, runs: int = RUNS) -> dict[str, Benchmark]:
    """Runs benchmarks in turn: all of them, then all of them again.

    Args:
        scripts: name -> arguments.
        folder: where the scripts are.
        runs: how often.
    """
    found: dict[str, list[Run]] = {name: [] for name in scripts}
    for number in range(1, runs + 1):
        for name, arguments in scripts.items():
            print(f"\n== {name}, run {number} of {runs}", flush=True)
            found[name].append(run(folder / f"{name}.py", arguments))
            if found[name][-1].error:
                print(f"failed: {found[name][-1].error}", flush=True)
    return {
        name: Benchmark(shlex.join(["python", f"benchmarks/{name}.py", *scripts[name]]), each)
        for name, each in found.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs them, writes the page, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK)}; default: all")
    parser.add_argument("--rounds", type=int, help="of each script, in place of its own number, to see that all works")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md", help="the page to write")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.scripts if name not in QUICK]
    if unknown:
        parser.error(f"NAME must be one of {', '.join(QUICK)}. Received: {unknown[0]}")
    rounds = [] if arguments.rounds is None else ["--rounds", str(arguments.rounds)]
    scripts = {name: [*shlex.split(QUICK[name]), *rounds] for name in arguments.scripts or QUICK}
    found = run_all(scripts, HERE)
    text = page(found, timing.machine(), date.today().isoformat(), titles(HERE / "results"))
    arguments.output.write_text(text, "utf-8")
    print(f"\n{arguments.output}")
    return int(any(each.error for benchmark in found.values() for each in benchmark.runs))


if __name__ == "__main__":
    sys.exit(main())
