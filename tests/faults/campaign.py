"""Injects faults into runs and resumes them: `make faults`, or `python -m tests.faults.campaign`.

Each run trains with DST and a weighting that has a state, on synthetic images; the faults are drawn with --seed. A run
is resumed with --resume, and its files must be bit for bit those of a run without a fault. The faults:

- a SIGKILL while the data is prepared, in an epoch, while a checkpoint is written, in the evaluation, in the export;
- damage of the newest checkpoint: a flipped bit, a truncated or a removed file;
- a full disk while a checkpoint is written: a small tmpfs (Linux, as root);
- a SIGKILL of one of two workers on this machine: the other one must end by itself with an error that names the reason.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults.cluster import WORKERS, run_workers
from tests.faults.comparison import differences, draws, unreadable
from tests.faults.train_with_fault import FILLER, PHASES

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("train_with_fault.py")
WEIGHTINGS = ("uncertainty", "famo")
FLAGS = (
    "--dataset=fashion_mnist --synthetic --examples=480 --batch_size=32 --epochs=3 --model=cnn(filters=4) "
    "--schedule=dst --checkpoint_every=4 --augment --monitor_gradients=3 --task_affinity=2 --early_stopping=2 --export"
).split()
STEPS, CHECKPOINTS = 3 * 15, 3 * 4
# Phase -> how often it occurs in a run, and about how long it takes (s).
LENGTHS = {
    "preparation": (1, 2.0),
    "epoch": (STEPS, 0.03),
    "checkpoint": (CHECKPOINTS, 0.1),
    "evaluation": (1, 0.5),
    "export": (1, 2.0),
}
ENOSPC = "No space left on device"


def command(folder: Path, fault: str, draws: str, *flags: str) -> list[str]:
    """Returns the command that runs the program in `folder / "run"`."""
    return [sys.executable, str(PROGRAM), str(folder / draws), fault, f"--run_dir={folder / 'run'}", *flags]


def start(folder: Path, fault: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Runs the program in `folder / "run"`."""
    return subprocess.run(command(folder, fault, "draws", *flags), cwd=ROOT, capture_output=True, text=True)


def resume(folder: Path, weighting: str) -> str:
    """Resumes a run; returns how it differs from a run without a fault, `""` if it is the same."""
    broken = unreadable(folder / "run")
    if broken:
        return f"unreadable: {broken}"
    return _resumed(folder, weighting)


def _resumed(folder: Path, weighting: str) -> str:
    done = start(folder, "none", "--resume", *FLAGS, f"--weighting={weighting}")
    whole = folder.parent / weighting
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    found = differences(whole / "run", folder / "run")
    if draws(whole / "draws") != draws(folder / "draws"):
        found.append("draws")
    return ", ".join(found)


def kill(folder: Path, number: int, seed: int) -> tuple[str, str]:
    """Kills a run and resumes it; returns the fault and the differences."""
    chance = random.Random(f"{seed} kill {number}")
    weighting, phase = WEIGHTINGS[number % len(WEIGHTINGS)], PHASES[number // len(WEIGHTINGS) % len(PHASES)]
    times, length = LENGTHS[phase]
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        fault = f"{phase},{chance.randint(1, times)},kill,{chance.uniform(0, length):.4f}"
        code = start(folder, fault, *FLAGS, f"--weighting={weighting}").returncode
        if code == -9:
            return f"{weighting}: {fault}", resume(folder, weighting)
        length /= 2  # it ended first
    return f"{weighting}: {fault}", f"could not be killed: exit code {code}"


def damage(folder: Path, number: int, seed: int) -> tuple[str, str]:
    """Damages the newest checkpoint of a killed run, and resumes it."""
    chance = random.Random(f"{seed} damage {number}")
    weighting = WEIGHTINGS[number % len(WEIGHTINGS)]
    shutil.copytree(folder.parent / f"{weighting}-killed", folder)
    newest = max((folder / "run" / "checkpoints").glob("epoch-*"))
    file = chance.choice(sorted(newest.iterdir()))
    how = ("cut", "bit", "gone")[number // len(WEIGHTINGS) % 3]
    content = bytearray(file.read_bytes())
    if how == "bit":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.unlink()
    if how != "gone":
        file.write_bytes(content[: chance.randrange(len(content))] if how == "cut" else content)
    return f"{weighting}: {how} {newest.name}/{file.name}", _resumed(folder, weighting)


def fill(folder: Path, number: int, seed: int) -> tuple[str, str]:
    """Fills the disk of a run while it writes a checkpoint, frees it, and resumes the run."""
    chance = random.Random(f"{seed} fill {number}")
    weighting = WEIGHTINGS[number % len(WEIGHTINGS)]
    fault = f"checkpoint,{chance.randint(2, CHECKPOINTS)},fill,{chance.randint(0, 60_000)}"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        done = start(folder, fault, *FLAGS, f"--weighting={weighting}")
        message = done.stderr.strip().splitlines()[-1]
        if done.returncode != 1 or ENOSPC not in message:
            return f"{weighting}: {fault}", f"exit code {done.returncode}: {message}"
        (folder / FILLER).unlink()
        return f"{weighting}: {fault}; {message.partition(str(folder))[2]}", resume(folder, weighting)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def lose(folder: Path, number: int, seed: int) -> tuple[str, str]:
    """Kills one of two workers and resumes both; compares with two workers without a fault."""
    chance = random.Random(f"{seed} worker {number}")
    weighting = WEIGHTINGS[number % len(WEIGHTINGS)]
    lost, fault = chance.randrange(WORKERS), f"epoch,{chance.randint(2, STEPS)},kill,{chance.uniform(0, 0.03):.4f}"
    what = f"{weighting}: worker {lost}: {fault}"
    flags = [flag for flag in FLAGS if not flag.startswith("--monitor")]
    flags += ["--distribute=multi_worker", f"--weighting={weighting}"]
    for name in ("whole", "lost"):
        (folder / name).mkdir(parents=True)

    def both(name: str, faults: dict[int, str], *more: str) -> list[tuple[int, str]]:
        commands = [
            command(folder / name, faults.get(index, "none"), f"draws-{index}", *flags, *more)
            for index in range(WORKERS)
        ]
        return run_workers(commands, cwd=str(ROOT))

    whole, began = both("whole", {}), time.monotonic()
    ended = both("lost", {lost: fault})
    seconds = time.monotonic() - began
    code, said = ended[1 - lost]
    message = (said.strip().splitlines() or [""])[-1]
    if [whole[0][0], whole[1][0], ended[lost][0], code] != [0, 0, -9, 1] or "Another worker ended" not in message:
        return what, f"{[code for code, _ in (*whole, *ended)]}: {message}"
    resumed = both("lost", {}, "--resume")
    found = differences(folder / "whole" / "run", folder / "lost" / "run")
    rows = [draws(folder / name / f"draws-{index}") for name in ("whole", "lost") for index in range(WORKERS)]
    found += [] if all(row == rows[0] for row in rows) else ["draws"]
    found += [text for code, text in resumed if code]
    return f"{what}, {seconds:.0f} s in all until the other one ended: {message[:60]}", ", ".join(found)


def main() -> int:
    """Injects the faults, prints the results, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--damages", type=int, default=6)
    parser.add_argument("--full_disks", type=int, default=2)
    parser.add_argument("--lost_workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=2, help="how many runs at a time")
    arguments = parser.parse_args()
    kinds = {
        "kill": (kill, arguments.kills),
        "damage": (damage, arguments.damages),
        "fill": (fill, arguments.full_disks),
        "lose": (lose, arguments.lost_workers),
    }
    same: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(arguments.parallel) as pool:
        base = Path(temporary)
        if list(pool.map(partial(_reference, base), [*WEIGHTINGS, *(f"{name}-killed" for name in WEIGHTINGS)])) != [
            0, 0, -9, -9,
        ]:  # fmt: skip
            print("The runs to compare with failed.")
            return 1
        for kind, (act, count) in kinds.items():
            tried = pool.map(lambda n, kind=kind, act=act: act(base / f"{kind}-{n}", n, arguments.seed), range(count))
            for number, (what, wrong) in enumerate(tried, 1):
                same[kind] += not wrong
                print(f"{kind} {number}: {what}: {wrong or 'the same run'}", flush=True)
    for kind, (_, count) in kinds.items():
        print(f"{kind}: {same[kind]} of {count} resumed runs are bit for bit the uninterrupted one")
    print(f"{sum(count for _, count in kinds.values())} faults tried, seed {arguments.seed}")
    return int(any(same[kind] < count for kind, (_, count) in kinds.items()))


def _reference(base: Path, name: str) -> int:
    weighting, _, killed = name.partition("-")
    (base / name).mkdir()
    fault = f"checkpoint,{CHECKPOINTS // 2 + 1},kill,0" if killed else "none"
    return start(base / name, fault, *FLAGS, f"--weighting={weighting}").returncode


if __name__ == "__main__":
    sys.exit(main())
