"""How steps, start-up and memory grow: `python benchmarks/growth.py`.

Binary tasks in one fused layer on a small trunk (`many_heads`: batch 32, 32x32x3 noise, unless that is what grows), as
a stock `keras.Model` and as a `MultiTaskModel`:

- `tasks`: a step, against the number of tasks;
- `start`: start-up and peak memory, each in a process of its own, against the number of tasks;
- `active`: a step, against the number of active tasks of 40, the others at weight 0; also for heads of two layers each;
- `batch`: a step of 10 tasks, against the size of the batch;
- `side`: a step of 10 tasks, against the side of the image, with three strided convolutions that are then averaged.

Each law, a line (of start-up and memory a parabola), has the least squares of relative errors from the medians.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, growth_plots, growth_start, many_heads, timing
from benchmarks.curves import Curve, table
from models import hard_sharing, heads, trunks
from mtl_keras import MultiTaskModel, TaskSet

TASKS = (1, 2, 5, 10, 40, 100, 400)
ACTIVE = (1, 2, 5, 10, 20, 40)
SIDES = (16, 32, 64, 128)
BATCHES = (8, 16, 32, 64, 128, 256)
FEW = 10  # tasks, where something else grows
HIDDEN = 256  # units of a head's own layer

Graph = tuple[Any, dict[str, Any]]


def steps(models: Mapping[tuple[str, int], Callable[[], object]], rounds: int, **settings: Any) -> list[Curve]:
    """Times steps in turn.

    Args:
        models: (name, size) -> a step.
        rounds: how often each is timed.
        **settings: of `Curve`.
    """
    named = {f"{name} {size}": step for (name, size), step in models.items()}
    found = timing.interleaved(named, rounds=rounds)
    return [
        Curve(
            name,
            {size: [1e3 * each for each in found[f"{name} {size}"]] for other, size in models if other == name},
            unit="ms",
            **settings,
        )
        for name in dict.fromkeys(name for name, _ in models)
    ]


def trained(
    kind: str, tasks: int, side: int = 32, batch: int = many_heads.BATCH, trunk: trunks.Trunk | None = None
) -> Callable[[], object]:
    """Returns a step of a model that has been trained for an epoch."""
    names, shape, batches = many_heads.noise(tasks, side, batch)
    batches = many_heads.ready(batches)
    model, _ = many_heads.started(kind, names, shape, batches, trunk)
    return many_heads.stepper(model, batches)


def against_tasks(rounds: int, most_stock: int) -> list[Curve]:
    """A step against the number of tasks; stock models of up to `most_stock`."""
    sizes = _sizes(most_stock)
    return steps({(kind, size): trained(kind, size) for kind, size in sizes}, rounds, each="task")


def against_sides(rounds: int) -> list[Curve]:
    """A step against the side of the image, in pixels."""
    models = {(kind, side): trained(kind, FEW, side, trunk=averaged) for kind in many_heads.KINDS for side in SIDES}
    return steps(models, rounds, each="pixel of an image", power=2)


def averaged(images: Any) -> Any:
    """A trunk whose work is in proportion to the number of pixels, as that of `cnn` is not."""
    for filters in (16, 32, 64):
        images = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(images)
    return keras.layers.GlobalAveragePooling2D()(images)


def against_batches(rounds: int) -> list[Curve]:
    """A step against the number of images in it."""
    models = {(kind, size): trained(kind, FEW, batch=size) for kind in many_heads.KINDS for size in BATCHES}
    return steps(models, rounds, each="image")


def against_active(rounds: int) -> list[Curve]:
    """A step against the number of active tasks."""
    tasks, shape, batches = many_heads.noise(max(ACTIVE))
    batches = many_heads.ready(batches)
    graphs = {
        "one layer for all": hard_sharing(many_heads.TRUNK, tasks, shape),
        "two layers each": layers_each(tasks, shape),
    }
    models: dict[tuple[str, int], Callable[[], object]] = {}
    for name, graph in graphs.items():
        model = MultiTaskModel(*graph)
        model.compile("adam", **tasks.compile_args(), max_specializations=len(ACTIVE))
        model.make_train_function()
        models |= {(name, active): partly(model, active, batches) for active in ACTIVE}
    return steps(models, rounds, each="active task")


def layers_each(tasks: TaskSet, shape: tuple[int, int, int]) -> Graph:
    """Returns a network whose heads have two layers of their own."""
    trunk = trunks.get(many_heads.TRUNK, shape)
    hidden = {
        name: keras.layers.Dense(HIDDEN, activation="relu", name=f"{name}_hidden")(trunk.output) for name in tasks
    }
    return trunk.input, {name: heads.probabilities(tasks[name], x) for name, x in hidden.items()}


def partly(model: MultiTaskModel, active: int, batches: tf.data.Dataset) -> Callable[[], object]:
    """Returns a step in which the first `active` tasks run."""
    step = many_heads.stepper(model, batches)
    row = np.arange(len(model.task_names))[None] < active

    def run() -> None:
        model.set_step_weights(row.astype("float32"))
        step()

    return run


def against_tasks_fresh(starts: int, most_stock: int) -> tuple[list[Curve], list[Curve]]:
    """Start-up and peak memory against the number of tasks, each start in a process of its own."""
    sizes = _sizes(most_stock)
    found: dict[tuple[str, int], list[dict[str, float]]] = {each: [] for each in sizes}
    for _ in range(starts):
        for kind, size in sizes:
            found[kind, size].append(growth_start.in_own_process(kind, size))

    def curves(what: str, unit: str) -> list[Curve]:
        return [
            Curve(
                kind,
                {size: [each[what] for each in found[kind, size]] for other, size in sizes if other == kind},
                unit,
                "task",
                degree=2,
            )
            for kind in many_heads.KINDS
        ]

    return curves("start", "s"), curves("memory", "MB")


def _sizes(most_stock: int) -> list[tuple[str, int]]:
    return [(kind, size) for size in TASKS for kind in many_heads.KINDS if kind != "stock" or size <= most_stock]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table and the laws of each part, and draws them."""
    parts: dict[str, tuple[str, Callable[[], Iterable[tuple[str, Sequence[Curve]]]]]] = {
        "tasks": ("tasks", lambda: [("step", against_tasks(arguments.rounds, arguments.stock))]),
        "start": (
            "tasks",
            lambda: zip(("start-up", "peak memory"), against_tasks_fresh(arguments.starts, arguments.stock)),
        ),
        "active": (f"active tasks of {max(ACTIVE)}", lambda: [("step", against_active(arguments.rounds))]),
        "side": ("side (pixels)", lambda: [("step", against_sides(arguments.rounds))]),
        "batch": ("batch (images)", lambda: [("step", against_batches(arguments.rounds))]),
    }
    parser = figures.parser(__doc__, rounds=40)
    parser.add_argument("--starts", type=int, default=3, help="how often each start is timed")
    parser.add_argument("--stock", type=int, default=100, help="most tasks of a stock model: 100 take it a minute")
    parser.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts), help="default: all")
    parser.add_argument("--plots", type=Path, help="folder to draw into")
    arguments = parser.parse_args(argv)
    if arguments.stock < TASKS[1]:
        parser.error(f"--stock must be at least {TASKS[1]}: a law needs two sizes. Received: {arguments.stock}")
    many_heads.warm_up()
    print(timing.machine(), f"{arguments.rounds} rounds, {arguments.starts} starts", sep=", ")
    found = []
    for part in arguments.parts:
        size, measure = parts[part]
        for what, curves in measure():
            print(f"\n## {what}, against {size}\n\n{table(curves, size)}", flush=True)
            found += [curve.growth(f"{what}, against {size}") for curve in curves]
            if arguments.plots:
                name = f"growth_{part}_{what}.svg".replace(" ", "_").replace("-", "_")
                growth_plots.draw(curves, size, what, arguments.plots / name)
        keras.backend.clear_session()
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
