"""How steps, start-up and memory grow: `python benchmarks/growth.py`.

Binary tasks in one fused layer on a small trunk (batch 32, 32x32x3 noise, unless that is what grows), as a stock
`keras.Model` and as a `MultiTaskModel`:

- `tasks`: a step, against the number of tasks;
- `start`: start-up and peak memory, each in a new process, against the number of tasks;
- `active`: a step, against the number of active tasks of 40; also for heads of two layers each;
- `batch`: a step of 10 tasks, against the size of the batch;
- `side`: a step of 10 tasks, against the side of the image, with three strided convolutions and an average.

Formulas are lines (of start-up and memory parabolas) with the least squares of relative errors from the medians.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import growth_curves, harness
from benchmarks.growth_curves import FittedCurve
from benchmarks.many_heads import BATCH, KINDS, STEPS, start, warm_up
from benchmarks.networks import Graph, Network, Shape, binary_heads, step
from models import heads, trunks
from mtl_keras import MultiTaskModel, TaskSet

TASKS = (1, 2, 5, 10, 40, 100, 400)
ACTIVE = (1, 2, 5, 10, 20, 40)
SIDES = (16, 32, 64, 128)
BATCHES = (8, 16, 32, 64, 128, 256)
FEW = 10  # tasks, where something else grows

Curves = dict[str, list[FittedCurve]]  # what was measured -> curves


def measure_steps(steps: Mapping[tuple[str, int], Callable[[], object]], rounds: int, **settings: Any) -> Curves:
    """Times steps in turn.

    Args:
        steps: (name, size) -> a step.
        rounds: number of measurements of each.
        **settings: of `FittedCurve`.
    """
    found = harness.interleave({key: harness.clock(work) for key, work in steps.items()}, rounds, warm_up=3)
    milliseconds = {key: [1e3 * each for each in values] for key, values in found.items()}
    return {"step": curves_of(milliseconds, unit="ms", **settings)}


def curves_of(found: Mapping[tuple[str, int], Sequence[float]], **settings: Any) -> list[FittedCurve]:
    """Returns a curve for each name in (name, size) -> measurements."""
    names = dict.fromkeys(name for name, _ in found)
    return [FittedCurve(name, {at: found[who, at] for who, at in found if who == name}, **settings) for name in names]


def trained(kind: str, net: Network, batch: int = BATCH) -> Callable[[], object]:
    """Returns a step of a model that has been trained for an epoch."""
    batches = net.batches(batch)
    return step(start(net, kind, batches)[0], batches)


def tasks_and_kinds(stock: int) -> list[tuple[str, int]]:
    """Returns all (kind, number of tasks), stock models with up to `stock` tasks."""
    return [(kind, count) for count in TASKS for kind in KINDS if kind != "stock" or count <= stock]


def against_tasks(rounds: int, stock: int) -> Curves:
    """Measures a step against the number of tasks."""
    steps = {(kind, count): trained(kind, binary_heads(count)) for kind, count in tasks_and_kinds(stock)}
    return measure_steps(steps, rounds, each="task")


def against_sides(rounds: int) -> Curves:
    """Measures a step against the side of the image, in pixels."""
    steps = {(kind, side): trained(kind, binary_heads(FEW, average_trunk, side)) for kind in KINDS for side in SIDES}
    return measure_steps(steps, rounds, each="pixel of an image", power=2)


def average_trunk(images: Any) -> Any:
    """A trunk whose work is in proportion to the number of pixels, unlike that of `cnn`."""
    for filters in (16, 32, 64):
        images = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(images)
    return keras.layers.GlobalAveragePooling2D()(images)


def against_batches(rounds: int) -> Curves:
    """Measures a step against the number of images in it."""
    steps = {(kind, size): trained(kind, binary_heads(FEW), size) for kind in KINDS for size in BATCHES}
    return measure_steps(steps, rounds, each="image")


def against_active(rounds: int) -> Curves:
    """Measures a step against the number of active tasks."""
    fused = binary_heads(max(ACTIVE))
    separate = Network("two layers each", fused.tasks, fused.shape, two_layers_each)
    steps: dict[tuple[str, int], Callable[[], object]] = {}
    for name, net in (("one layer for all", fused), (separate.title, separate)):
        model = net.compiled(max_specializations=len(ACTIVE))
        train = step(model, net.batches(BATCH))
        steps |= {(name, active): with_active(model, train, active) for active in ACTIVE}
    return measure_steps(steps, rounds, each="active task")


def with_active(model: MultiTaskModel, train: Callable[[], object], active: int) -> Callable[[], object]:
    """Returns a step in which the first `active` tasks run."""
    weights = (np.arange(len(model.task_names))[None] < active).astype("float32")

    def run() -> None:
        model.set_step_weights(weights)
        train()

    return run


def two_layers_each(tasks: TaskSet, shape: Shape) -> Graph:
    """Returns a network whose heads have two layers each."""
    trunk = trunks.get("cnn(filters=8)", shape)
    hidden = {name: keras.layers.Dense(256, activation="relu", name=f"{name}_hidden")(trunk.output) for name in tasks}
    return trunk.input, {name: heads.probabilities(tasks[name], x) for name, x in hidden.items()}


def new_start(kind: str, tasks: int) -> tuple[float, float]:
    """Builds a model and trains it for an epoch; to be called in a new process.

    Args:
        kind: one of `KINDS`.
        tasks: number of binary tasks.

    Returns:
        The seconds until the end of the first epoch without those of its steps, and the peak memory in MB.
    """
    warm_up()
    net = binary_heads(tasks)
    batches = net.batches(BATCH)
    model, seconds = start(net, kind, batches)
    (steps,) = harness.interleave({kind: harness.clock(step(model, batches))}, rounds=20, warm_up=3).values()
    return seconds - STEPS * statistics.median(steps), peak_memory()


def peak_memory() -> float:
    """Returns the peak resident memory of this process, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux, the value of `getrusage` includes the process that started this one.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def against_tasks_started(starts: int, stock: int) -> Curves:
    """Measures start-up and peak memory against the number of tasks, each in a new process."""
    keys = tasks_and_kinds(stock)
    found: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in keys}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for _ in range(starts):
            for key in keys:
                found[key].append(pool.submit(new_start, *key).result())
    return {
        what: curves_of({key: [each[place] for each in found[key]] for key in keys}, unit=unit, each="task", degree=2)
        for place, (what, unit) in enumerate((("start-up", "s"), ("peak memory", "MB")))
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table and the formulas of each part, and draws them."""
    parts: dict[str, tuple[str, Callable[[], Curves]]] = {
        "tasks": ("tasks", lambda: against_tasks(arguments.rounds, arguments.stock)),
        "start": ("tasks", lambda: against_tasks_started(arguments.starts, arguments.stock)),
        "active": (f"active tasks of {max(ACTIVE)}", lambda: against_active(arguments.rounds)),
        "side": ("side (pixels)", lambda: against_sides(arguments.rounds)),
        "batch": ("batch (images)", lambda: against_batches(arguments.rounds)),
    }
    parser = harness.parser(__doc__, rounds=40)
    parser.add_argument("--starts", type=int, default=3, help="number of measurements of each start")
    parser.add_argument("--stock", type=int, default=100, help="most tasks of a stock model: 100 take it a minute")
    parser.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts), help="default: all")
    parser.add_argument("--plots", type=Path, help="folder to draw into")
    arguments = parser.parse_args(argv)
    if arguments.stock < TASKS[1]:
        parser.error(f"--stock must be at least {TASKS[1]}: a formula needs two sizes. Received: {arguments.stock}")
    warm_up()
    print(harness.machine(), f"{arguments.rounds} rounds, {arguments.starts} starts", sep=", ")
    figures = []
    for part in arguments.parts:
        size, measure = parts[part]
        for what, curves in measure().items():
            print(f"\n## {what}, against {size}\n\n{growth_curves.table(curves, size)}", flush=True)
            figures += [curve.growth(f"{what}, against {size}") for curve in curves]
            if arguments.plots:
                name = f"growth_{part}_{what}.svg".replace(" ", "_").replace("-", "_")
                growth_curves.draw(curves, size, what, arguments.plots / name)
        keras.backend.clear_session()
    harness.report(figures, arguments.json)


if __name__ == "__main__":
    main()
