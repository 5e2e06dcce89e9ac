"""Several runs at a time: `python benchmarks/parallel.py [--data_dir TFDS_DIRECTORY]`.

Times the whole command `train.py --compare single_task` with two seeds on Fashion-MNIST (without `--data_dir`, on the
synthetic look-alike): six runs of the default network, two with both tasks and four with one. `--at_once` runs at a
time, and a Ray cluster that the command starts on this machine, against one after another in one process on all cores.
The commands take turns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness

PROGRAM = Path(__file__).resolve().parent.parent / "train.py"
SEQUENTIAL = "one after another"


def compare(settings: list[str], flags: list[str]) -> None:
    """Trains the comparison in a new process and a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(PROGRAM), *settings, *flags, "--run_dir", f"{folder}/runs"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")


def measure(
    rounds: int = 2,
    at_once: int = 2,
    epochs: int = 3,
    train_examples: float = 0.2,
    data_dir: Path | None = None,
    parts: tuple[str, ...] = ("processes", "ray"),
) -> list[harness.Figure]:
    source = ["--data_dir", str(data_dir.resolve())] if data_dir else ["--synthetic"]
    settings = ["--dataset", "fashion_mnist", *source, "--train_examples", str(train_examples), "--epochs", str(epochs)]
    settings += ["--compare", "single_task", "--seeds", "0,1"]
    cpus = max(1, harness.cores() // at_once)
    flags = {"processes": ["--parallel", str(at_once)], "ray": ["--parallel", "ray", "--run_cpus", str(cpus)]}
    sides = {SEQUENTIAL: []} | {f"--parallel {flags[part][1]}": flags[part] for part in parts}

    def seconds_of(name: str) -> float:
        found = harness.clock(partial(compare, settings, sides[name]))()
        print(f"{name}: {found:.0f} s", flush=True)  # a round takes minutes
        return found

    seconds = harness.interleave({name: partial(seconds_of, name) for name in sides}, rounds, warm_up=0)
    print(harness.times_table(seconds, "s"))
    return [
        harness.ratio(f"6 runs, `{name}` / {SEQUENTIAL}", seconds[name], seconds[SEQUENTIAL], "<= 0.75")
        for name in sides
        if name != SEQUENTIAL
    ]


if __name__ == "__main__":
    harness.run(measure, parts=("processes", "ray"))
