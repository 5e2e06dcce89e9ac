"""Training for labels of pixels: `taskset -c 0,1 python benchmarks/dense.py`.

Segmentation of 13 classes, depth and surface normals on `segnet(width=0.25)`, 96x128 pixels, batches of 8.

`--parts` selects what is measured; by default, all.

- `fit`: `MultiTaskModel.fit` against stock `fit` of the same graph, with the same loss and metric objects, on noise.
  With `--torch_python`, the Python of an environment with PyTorch (see `benchmarks/torch_worker.py`), the network is
  trained there too, without metrics, in the faster of two memory formats.
- `metrics`: a step with the thirteen metrics of the tasks, against one without metrics.
- `dropping`: a network with a decoder for each task, one of them at weight 0. The ideal is the network that was built
  without that task: the figure is the share of its saving that dropping reaches.
- `loader`: `fit` from files of rendered scenes in the `.npy` layout, with augmentation, against `fit` on one batch in
  memory: the difference is the time spent waiting for data.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import harness
from benchmarks.networks import Network, step
from benchmarks.torch_process import EQUAL, TorchProcess
from models import network
from mtl_keras import Task, TaskSet

PARTS = ("fit", "metrics", "dropping", "loader")
PAUSE = 0.03  # seconds until idle threads have stopped spinning
BATCH, SIZE, CLASSES = 8, (96, 128), 13
SCENES = 160

_TASKS = TaskSet([Task.segmentation("segmentation", CLASSES), Task.depth("depth"), Task.normals("normals")]).at_size(
    *SIZE
)


@dataclasses.dataclass(frozen=True, eq=False)
class _DenseNetwork(Network):
    """A network for `_TASKS`; about a tenth of the pixels have no label."""

    def batches(self, size: int = BATCH) -> tf.data.Dataset:
        rng = np.random.default_rng(0)
        pixels = (size, *self.shape[:2])
        valid = rng.random((*pixels, 1)) > 0.1
        labels = {
            "segmentation": rng.integers(-1, CLASSES, pixels).astype("int32"),
            "depth": (rng.random((*pixels, 1)) * valid).astype("float32"),
            "normals": (keras.utils.normalize(rng.normal(size=(*pixels, 3))) * valid).astype("float32"),
        }
        images = rng.random((size, *self.shape), "float32")
        return _repeated((images, {name: labels[name] for name in self.tasks}))


def _repeated(batch: tuple[np.ndarray, dict[str, np.ndarray]]) -> tf.data.Dataset:
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensors(batch).cache().repeat().prefetch(2).with_options(options)


def _network(title: str, identifier: str) -> _DenseNetwork:
    return _DenseNetwork(title, _TASKS, (*SIZE, 3), partial(network, identifier))


SEGNET = _network("SegNet", "segnet(width=0.25)")
DECODERS = _network("SegNet with a decoder for each task", "decoders(segnet(width=0.25))")


def measure(
    rounds: int = 12, steps: int = 8, parts: Sequence[str] = PARTS, torch_python: Path | None = None
) -> list[harness.Figure]:
    figures = []
    if "fit" in parts:
        figures += measure_fit(rounds, steps, torch_python)
    if "metrics" in parts:
        figures += measure_metrics(rounds)
    if "dropping" in parts:
        figures += measure_dropping(rounds)
    if "loader" in parts:
        figures += measure_loader(rounds)
    return figures


def measure_fit(rounds: int, steps: int, torch_python: Path | None) -> list[harness.Figure]:
    """Prints the times of a step in `fit`; returns examples per second and their ratios."""
    batches = SEGNET.batches()

    def in_fit(model: keras.Model) -> Callable[[], float]:
        return harness.clock(lambda: model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False), steps)

    ours = "MultiTaskModel.fit"
    sides = {ours: in_fit(SEGNET.compiled()), "stock": in_fit(SEGNET.compiled(keras.Model))}
    targets = {"stock": ">= 1.00", "PyTorch": ">= 1.20"}
    torch = TorchProcess.fastest(torch_python, "segnet", EQUAL) if torch_python else None
    if torch:
        print(torch.machine)
        torch.prepare([EQUAL])
        sides["PyTorch"] = partial(torch.seconds, EQUAL, steps)
    seconds = harness.interleave(sides, rounds, pause=PAUSE)
    if torch:
        torch.close()
    print(f"\n{SEGNET.title}, batch {BATCH}\n\n{harness.times_table(seconds)}", flush=True)
    times = seconds.pop(ours)
    figures = [harness.figure("examples/s in `fit`", [BATCH / each for each in times])]
    return figures + [
        harness.ratio(f"examples/s, `fit` / {name}", other, times, targets[name]) for name, other in seconds.items()
    ]


def measure_metrics(rounds: int) -> list[harness.Figure]:
    """Returns the cost of the metrics, relative to a step without them."""
    models = {"with metrics": SEGNET.compiled(), "without": SEGNET.compiled(metrics=None)}
    seconds = _steps(models, SEGNET.batches(), rounds)
    print(f"\nMetrics\n\n{harness.times_table(seconds)}", flush=True)
    ratios = harness.ratios(seconds["with metrics"], seconds["without"])
    return [harness.figure("metrics: share of a step", [each - 1 for each in ratios], "<= 0.03")]


def measure_dropping(rounds: int) -> list[harness.Figure]:
    """Returns the share of the ideal saving that dropping the decoder of a task reaches."""
    dropped, *others = DECODERS.tasks
    one_dropped = DECODERS.compiled()
    one_dropped.set_task_weights({dropped: 0.0})
    models = {
        "all tasks": DECODERS.compiled(),
        "one dropped": one_dropped,
        "built without it": DECODERS.subset(others).compiled(),
    }
    seconds = _steps(models, DECODERS.batches(), rounds)
    print(f"\n{DECODERS.title}\n\n{harness.times_table(seconds)}", flush=True)
    every, dropping, ideal = seconds.values()
    reached = [(a - b) / (a - c) for a, b, c in zip(every, dropping, ideal, strict=True)]
    return [
        harness.ratio("step, one dropped / all tasks", dropping, every),
        harness.figure("saving of dropping / of building without it", reached, ">= 0.9"),
    ]


def measure_loader(rounds: int) -> list[harness.Figure]:
    """Returns the share of the training time in which `fit` waits for data."""
    with tempfile.TemporaryDirectory() as folder:
        scenes = data.load("nyuv2", synthetic=True, sizes={"train": SCENES, "val": 8}, data_dir=folder, cache="none")
        batches = scenes.batches("train", BATCH, shuffle=True, augment=True)
        steps = scenes.steps("train", BATCH)
        first = next(iter(batches))
        model = SEGNET.compiled()

        def epoch(source: tf.data.Dataset) -> Callable[[], float]:
            return harness.clock(lambda: model.fit(source, steps_per_epoch=steps, verbose=0, shuffle=False), steps)

        seconds = harness.interleave({"from files": epoch(batches), "in memory": epoch(_repeated(first))}, rounds)
    print(f"\nSteps with data\n\n{harness.times_table(seconds)}", flush=True)
    ratios = harness.ratios(seconds["in memory"], seconds["from files"])
    return [harness.figure("waiting for data: share of the time", [1 - each for each in ratios], "<= 0.05")]


def _steps(models: dict[str, keras.Model], batches: tf.data.Dataset, rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of a step of each model, in each round."""
    sides = {name: harness.clock(step(model, batches)) for name, model in models.items()}
    return harness.interleave(sides, rounds, warm_up=3)


if __name__ == "__main__":
    harness.run(measure, parts=PARTS)
