"""How steps, start-up and memory grow: `python benchmarks/growth.py`.

Binary tasks in one fused layer on a small trunk (batch 32, 32x32x3 noise, unless that is what grows), as a stock
`keras.Model` and as a `MultiTaskModel`. `--parts` selects what grows:

- `tasks`: a step, against the number of tasks, at most `--stock` for a stock model: 100 take it a minute;
- `start`: start-up and peak memory, each in a new process (Linux only), against the number of tasks;
- `active`: a step, against the number of active tasks of 40; also for heads of two layers each;
- `side`: a step of 10 tasks, against the side of the image, with three strided convolutions and an average;
- `batch`: a step of 10 tasks, against the size of the batch.

Formulas are lines (of start-up and memory parabolas) with the least squares of relative errors from the medians.
`--plots FOLDER` draws them.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure as Plot
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.polynomial import Polynomial

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.many_heads import BATCH, KINDS, STEPS, start, warm_up
from benchmarks.networks import Graph, Network, Shape, binary_heads, step
from models import heads, trunks
from mtl_keras import MultiTaskModel, TaskSet

PARTS = ("tasks", "start", "active", "side", "batch")
TASKS = (1, 2, 5, 10, 40, 100, 400)
ACTIVE = (1, 2, 5, 10, 20, 40)
SIDES = (16, 32, 64, 128)
BATCHES = (8, 16, 32, 64, 128, 256)
FEW = 10  # tasks, where something else grows

_INK = "#767676"  # legible on white and on black
_STYLES = (("#D55E00", "s"), ("#0C82C4", "o"))  # colour-blind safe, with different markers


@dataclasses.dataclass(frozen=True)
class Curve:
    """Measurements (> 0) of one alternative at several sizes, to which a polynomial is fitted.

    Args:
        points: size -> measurement of each round.
        each: what the polynomial counts, in the singular.
        power: the polynomial is one in size ** power.
        degree: 1 or 2; 1 if there are too few sizes.
    """

    name: str
    points: Mapping[int, Sequence[float]]
    unit: str
    each: str
    power: int = 1
    degree: int = 1

    def fit(self) -> Polynomial:
        """Returns the polynomial with the least squares of relative errors from the medians."""
        degree = self.degree if len(self.points) > self.degree + 1 else 1
        sizes, medians = np.array(list(self.points), float), self._medians()
        return Polynomial.fit(sizes**self.power, medians, degree, w=1 / medians).convert()

    def predict(self, sizes: Sequence[float]) -> np.ndarray:
        """Returns the values of the polynomial."""
        return self.fit()(np.asarray(sizes, float) ** self.power)

    def formula(self) -> str:
        """Returns the polynomial in words: `"12.1 ms + 0.031 ms per task, at most 4% off"`."""
        constant, *others = self.fit().coef
        text = f"{constant:.3g} {self.unit}"
        for factor, name in zip(others, (self.each, f"{self.each} squared")):
            text += f" {'-' if factor < 0 else '+'} {abs(factor):.2g} {self.unit} per {name}"
        off = np.abs(self.predict(list(self.points)) / self._medians() - 1).max()
        return f"{text}, at most {100 * off:.2g}% off"

    def _medians(self) -> np.ndarray:
        return np.array([statistics.median(values) for values in self.points.values()])


def curves_of(found: Mapping[tuple[str, int], Sequence[float]], **settings: Any) -> list[Curve]:
    """Returns a curve for each alternative in (alternative, size) -> measurements; `settings` are those of `Curve`."""
    names = dict.fromkeys(name for name, _ in found)
    return [Curve(name, {at: found[who, at] for who, at in found if who == name}, **settings) for name in names]


def table(curves: Sequence[Curve], size: str) -> str:
    """Returns medians and quartiles as a Markdown table, and the formulas below it."""
    rows = []
    for at in dict.fromkeys(at for curve in curves for at in curve.points):
        spreads = [harness.quartiles(curve.points[at]) if at in curve.points else None for curve in curves]
        cells = ["{1:.4g} ({0:.4g} - {2:.4g})".format(*spread) if spread else "-" for spread in spreads]
        rows.append([str(at), *cells])
    header = [size, *(f"{curve.name} ({curve.unit})" for curve in curves)]
    return "\n".join([harness.table(header, rows), "", *(f"- {curve.name}: {curve.formula()}" for curve in curves)])


def draw(curves: Sequence[Curve], size: str, what: str, path: Path) -> None:
    """Draws medians, quartiles and fits of at most two curves into an SVG file, for light and dark pages."""
    parts = ("text.", "axes.edge", "axes.label", "xtick.", "ytick.", "grid.")
    style: dict[Any, Any] = {f"{part}color": _INK for part in parts}
    # Text stays text: smaller files, and searchable. The same curves give the same file.
    with matplotlib.rc_context(style | {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "growth"}):
        plot = Plot(figsize=(3.6, 2.6), layout="constrained")
        axes = plot.subplots()
        for curve, (colour, marker) in zip(curves, _STYLES):
            low, middle, high = np.transpose([harness.quartiles(values) for values in curve.points.values()])
            sizes = list(curve.points)
            spread = (middle - low, high - middle)
            axes.errorbar(sizes, middle, spread, color=colour, marker=marker, markersize=4, ls="none", label=curve.name)
            line = np.geomspace(sizes[0], sizes[-1])
            axes.plot(line, curve.predict(line), color=colour, linewidth=1)
        ticks = sorted({at for curve in curves for at in curve.points})
        axes.set(xscale="log", yscale="log", xlabel=size, ylabel=f"{what} ({curves[0].unit})")
        axes.set_xticks(ticks, [str(at) for at in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.4, linewidth=0.5)
        plot.legend(loc="outside upper left", ncols=len(curves), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        plot.savefig(path, transparent=True, metadata={"Date": None, "Title": f"{what}, against {size}"})


def step_of(kind: str, net: Network, batch: int = BATCH) -> Callable[[], object]:
    """Returns a step of a model that has been trained for an epoch."""
    batches = net.batches(batch)
    return step(start(net, kind, batches)[0], batches)


def average_trunk(images: Any) -> Any:
    """A trunk whose work is in proportion to the number of pixels, unlike that of `cnn`."""
    for filters in (16, 32, 64):
        images = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(images)
    return keras.layers.GlobalAveragePooling2D()(images)


def two_layers_each(tasks: TaskSet, shape: Shape) -> Graph:
    """Returns a network whose heads have two layers each."""
    trunk = trunks.get("cnn(filters=8)", shape)
    hidden = {name: keras.layers.Dense(256, activation="relu", name=f"{name}_hidden")(trunk.output) for name in tasks}
    return trunk.input, {name: heads.probabilities(tasks[name], x) for name, x in hidden.items()}


def with_active(model: MultiTaskModel, train: Callable[[], object], active: int) -> Callable[[], object]:
    """Returns a step in which the first `active` tasks run."""
    weights = (np.arange(len(model.task_names))[None] < active).astype("float32")

    def step_with_active() -> None:
        model.set_step_weights(weights)
        train()

    return step_with_active


def start_in_new_process(kind: str, tasks: int) -> tuple[float, float]:
    """Builds a model and trains it for an epoch.

    Returns:
        The seconds until the end of the first epoch without those of its steps, and the peak memory of this process in
        MB (10^6 bytes).
    """
    warm_up()
    net = binary_heads(tasks)
    batches = net.batches(BATCH)
    model, seconds = start(net, kind, batches)
    (steps,) = harness.interleave({kind: harness.clock(step(model, batches))}, rounds=20, warm_up=3).values()
    # The value of `getrusage` would include the process that started this one.
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return seconds - STEPS * statistics.median(steps), int(kilobytes) * 1024 / 1e6


def measure_starts(keys: Sequence[tuple[str, int]], starts: int) -> dict[str, list[Curve]]:
    """Measures start-up and peak memory of (kind, number of tasks), each in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        found = [[pool.submit(start_in_new_process, *key) for key in keys] for _ in range(starts)]
        seconds, megabytes = np.transpose([[each.result() for each in row] for row in found]).tolist()
    settings = {"each": "task", "degree": 2}
    return {
        "start-up": curves_of(dict(zip(keys, seconds)), unit="s", **settings),
        "peak memory": curves_of(dict(zip(keys, megabytes)), unit="MB", **settings),
    }


def measure_steps(steps: Mapping[tuple[str, int], Callable[[], object]], rounds: int, **settings: Any) -> list[Curve]:
    """Times steps in turn, given as (alternative, size) -> step."""
    found = harness.interleave({key: harness.clock(work) for key, work in steps.items()}, rounds, warm_up=3)
    milliseconds = {key: [1e3 * each for each in values] for key, values in found.items()}
    return curves_of(milliseconds, unit="ms", **settings)


def measure_part(part: str, rounds: int, starts: int, stock: int) -> tuple[str, dict[str, list[Curve]]]:
    """Returns the label of what grows, and what was measured -> its curves."""
    counts = [(kind, count) for count in TASKS for kind in KINDS if kind != "stock" or count <= stock]
    if part == "start":
        return "tasks", measure_starts(counts, starts)
    if part == "tasks":
        label, settings = "tasks", {"each": "task"}
        steps = {(kind, count): step_of(kind, binary_heads(count)) for kind, count in counts}
    elif part == "active":
        label, settings, steps = f"active tasks of {max(ACTIVE)}", {"each": "active task"}, {}
        fused = binary_heads(max(ACTIVE))
        for name, graph in (("one layer for all", fused.graph), ("two layers each", two_layers_each)):
            model = dataclasses.replace(fused, graph=graph).compiled(max_specializations=len(ACTIVE))
            train = step(model, fused.batches(BATCH))
            steps |= {(name, active): with_active(model, train, active) for active in ACTIVE}
    elif part == "side":
        label, settings = "side (pixels)", {"each": "pixel of an image", "power": 2}
        steps = {(kind, at): step_of(kind, binary_heads(FEW, average_trunk, at)) for kind in KINDS for at in SIDES}
    else:
        label, settings = "batch (images)", {"each": "image"}
        steps = {(kind, size): step_of(kind, binary_heads(FEW), size) for kind in KINDS for size in BATCHES}
    return label, {"step": measure_steps(steps, rounds, **settings)}


def measure(
    rounds: int = 40, starts: int = 3, stock: int = 100, parts: Sequence[str] = PARTS, plots: Path | None = None
) -> list[harness.Figure]:
    if stock < TASKS[1]:
        raise ValueError(f"--stock must be at least {TASKS[1]}: a formula needs two sizes. Received: {stock}")
    warm_up()
    figures = []
    for part in parts:
        size, measured = measure_part(part, rounds, starts, stock)
        for what, curves in measured.items():
            print(f"\n## {what}, against {size}\n\n{table(curves, size)}", flush=True)
            for curve in curves:
                (least, first), *_, (most, last) = curve.points.items()
                figures.append(harness.ratio(f"{what}, against {size}, {curve.name}: {most} / {least}", last, first))
            if plots:
                name = f"growth_{part}_{what}.svg".replace(" ", "_").replace("-", "_")
                draw(curves, size, what, plots / name)
        keras.backend.clear_session()
    return figures


if __name__ == "__main__":
    harness.run(measure, parts=PARTS)
