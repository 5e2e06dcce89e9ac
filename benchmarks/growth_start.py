"""One start of a training in a process of its own: `python benchmarks/growth_start.py MultiTaskModel 40`.

Prints as JSON what `measure` returns. For `benchmarks/growth.py`.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import many_heads, timing

ROUNDS = 20  # steady steps


def measure(kind: str, tasks: int) -> dict[str, float]:
    """Builds a model and trains it for an epoch.

    Args:
        kind: one of `many_heads.KINDS`.
        tasks: how many binary tasks.

    Returns:
        `"start"`, the seconds until the end of the first epoch without those of its steady steps, and `"memory"`, the
        most that the process ever had in memory, in MB.
    """
    many_heads.warm_up()
    names, shape, batches = many_heads.noise(tasks)
    batches = many_heads.ready(batches)
    model, seconds = many_heads.started(kind, names, shape, batches)
    steps = timing.interleaved({kind: many_heads.stepper(model, batches)}, rounds=ROUNDS)[kind]
    return {"start": seconds - many_heads.STEPS * statistics.median(steps), "memory": peak_memory()}


def peak_memory() -> float:
    """Returns the most that this process ever had in memory, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, what `getrusage` says begins with the memory of the process that started this one.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def in_own_process(kind: str, tasks: int) -> dict[str, float]:
    """Returns what `measure` finds in a fresh process.

    Raises:
        RuntimeError: if it fails, with its last line.
    """
    done = subprocess.run([sys.executable, __file__, kind, str(tasks)], capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"A start of {kind} with {tasks} tasks ended with exit code {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
