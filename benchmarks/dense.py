"""Training for labels of pixels: `taskset -c 0,1 python benchmarks/dense.py`.

Segmentation of 13 classes, depth and surface normals on `segnet(width=0.25)`, 96x128 pixels, batches of 8.

`--parts` selects what is measured; by default, all.

- `fit`: `MultiTaskModel.fit` against stock `fit` of the same graph, with the same loss and metric objects, on noise.
  With `--torch_python`, the Python of an environment with PyTorch (see `benchmarks/torch_worker.py`), the network is
  trained there too, without metrics, in the faster of two memory formats.
- `metrics`: `fit` with the thirteen metrics of the tasks, against `fit` without metrics.
- `dropping`: a network with a decoder for each task, one of them at weight 0. The ideal is the network that was built
  without that task: the figure is the share of its saving that dropping reaches.
- `loader`: files of rendered scenes in the `.npy` layout, with augmentation: the share of the time in which the next
  batch is not ready for `train_on_batch`. On two cores, reading and augmenting also take cores from the step: the time
  of `fit`, relative to `fit` on one batch in memory, is shown too, without a target.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
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
        figures += measure_metrics(rounds, steps)
    if "dropping" in parts:
        figures += measure_dropping(rounds)
    if "loader" in parts:
        figures += measure_loader(rounds)
    return figures


def measure_fit(rounds: int, steps: int, torch_python: Path | None) -> list[harness.Figure]:
    """Prints the times of a step in `fit`; returns examples per second and their ratios."""
    batches = SEGNET.batches()
    ours = "MultiTaskModel.fit"
    models = {ours: SEGNET.compiled(), "stock": SEGNET.compiled(keras.Model)}
    sides = {name: _in_fit(model, batches, steps) for name, model in models.items()}
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


def measure_metrics(rounds: int, steps: int) -> list[harness.Figure]:
    """Returns the cost of the metrics in `fit`, relative to `fit` without them."""
    batches = SEGNET.batches()
    models = {"with metrics": SEGNET.compiled(), "without": SEGNET.compiled(metrics=None)}
    sides = {name: _in_fit(model, batches, steps) for name, model in models.items()}
    seconds = harness.interleave(sides, rounds, pause=PAUSE)
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
    """Returns the share of the time in which training waits for a batch, and the ratio of the times of `fit`."""
    with tempfile.TemporaryDirectory() as folder:
        scenes = data.load("nyuv2", synthetic=True, sizes={"train": SCENES, "val": 8}, data_dir=folder, cache="none")
        batches = scenes.batches("train", BATCH, shuffle=True, augment=True)
        steps = scenes.steps("train", BATCH)
        model = SEGNET.compiled()
        iterator = iter(batches)
        in_memory = _repeated(next(iterator))

        def waiting() -> float:
            start, waited = time.perf_counter(), 0.0
            for _ in range(steps):
                before = time.perf_counter()
                images, labels = next(iterator)
                waited += time.perf_counter() - before
                model.train_on_batch(images, labels)
            return waited / (time.perf_counter() - start)

        shares = harness.interleave({"waiting": waiting}, rounds)["waiting"]
        sides = {"from files": _in_fit(model, batches, steps), "in memory": _in_fit(model, in_memory, steps)}
        seconds = harness.interleave(sides, rounds)
    print(f"\nSteps with data\n\n{harness.times_table(seconds)}", flush=True)
    return [
        harness.figure("waiting for data: share of the time", shares, "<= 0.05"),
        harness.ratio("step in `fit`, from files / one batch in memory", seconds["from files"], seconds["in memory"]),
    ]


def _in_fit(model: keras.Model, batches: tf.data.Dataset, steps: int) -> Callable[[], float]:
    """Returns a function that returns the seconds of a step in `fit`."""
    return harness.clock(lambda: model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False), steps)


def _steps(models: dict[str, keras.Model], batches: tf.data.Dataset, rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of a step of each model, in each round."""
    sides = {name: harness.clock(step(model, batches)) for name, model in models.items()}
    return harness.interleave(sides, rounds, warm_up=3)


if __name__ == "__main__":
    harness.run(measure, parts=PARTS)
