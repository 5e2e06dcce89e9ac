"""How long it takes until training begins: `python benchmarks/start_up.py [--data_dir TFDS_DIRECTORY]`.

Every time is that of a fresh process, from before it is started until it says that it is there. They take turns; each
is started once before that, so that its files have been read.

`train.py` is timed up to the end of its first training step on Fashion-MNIST (without `--data_dir`, on the drawn
look-alike, a tenth of its size), and compared with two programs without `mtl_keras`. Both import TensorFlow, Keras and
TFDS, open the training data, build the same network in Keras and take one step of a plain `tf.function` (losses,
gradients, Adam); no validation data, metrics, missing labels or records. They differ in the data:

- *in memory*: all of the split is decoded, kept and shuffled, as TFDS' own example for Keras does and `train.py` too;
- *streamed*: images are decoded as they come, and shuffled among 1,000: nothing is read but what the first batch needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, timing

PROGRAMS = Path(__file__).resolve().with_name("start_up_programs.py")


def started(name: str, *arguments: str) -> dict[str, Any]:
    """Starts a program of `start_up_programs.py` in a folder of its own.

    Returns:
        What it said, and the `seconds` that it took to get there.

    Raises:
        RuntimeError: if it said nothing, with the end of what it wrote to stderr.
    """
    command = [sys.executable, str(PROGRAMS), name, *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as cause:
        raise RuntimeError(f"{name} failed with exit code {done.returncode}: {done.stderr[-2000:]}") from cause
    return {**said, "seconds": said["at"] - start}


def timed(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Starts each command once, and then in turn; returns what each said in each round."""
    for command in commands.values():
        started(*command)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(started(*command))
    return found


def compared(
    seconds: Mapping[str, Sequence[float]], added: Sequence[float], train: str = "train.py"
) -> list[figures.Figure]:
    """Returns what is aimed at.

    Args:
        seconds: program -> seconds of each round.
        added: seconds that `import mtl_keras` took in each round of `imports_ours`.
        train: the name of the program that is compared with those without `mtl_keras`.
    """
    ours = "`import mtl_keras`, after `import tensorflow, keras`"
    processes = [one - two for one, two in zip(seconds["imports_ours"], seconds["imports"], strict=True)]
    alone = f"`{train}` to its first step / imports, data and tracing alone"
    return [
        figures.of_values(f"{ours} (s)", added, "<= 0.3"),
        figures.of_values(f"{ours}, as the difference of two processes (s)", processes),
        figures.of_ratio(f"{alone}, data in memory", seconds, train, "in_memory", "<= 1.3"),
        figures.of_ratio(f"{alone}, data streamed", seconds, train, "streamed", "<= 1.3"),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the timings and the figures."""
    parser = figures.parser(__doc__, rounds=3)
    parser.add_argument("--data_dir", type=Path, help="TFDS directory with Fashion-MNIST; default the drawn look-alike")
    arguments = parser.parse_args(argv)
    folder = str(arguments.data_dir.resolve()) if arguments.data_dir else started("draw")["folder"]
    train = ["train", "--dataset", "fashion_mnist", "--data_dir", folder]
    commands = {
        "imports": ["imports"],
        "imports_ours": ["imports_ours"],
        "streamed": ["streamed", folder],
        "in_memory": ["in_memory", folder],
        "train.py": train,
        "train.py --schedule dst": [*train, "--schedule", "dst"],
    }
    found = timed(commands, arguments.rounds)
    seconds = {name: [entry["seconds"] for entry in entries] for name, entries in found.items()}
    print(timing.machine(), f"{arguments.rounds} rounds", sep=", ")
    print(timing.table(seconds, "s"))
    figures.report(compared(seconds, [entry["added"] for entry in found["imports_ours"]]), arguments.json)


if __name__ == "__main__":
    main()
