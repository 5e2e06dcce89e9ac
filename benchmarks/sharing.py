"""What soft parameter sharing costs: `taskset -c 0,1 python benchmarks/sharing.py`.

`--parts` selects what is measured; by default, all. All inputs are noise.

- `dropping`: a step of `mmoe` and `ple` with one task at weight 0, on vectors of 32 features (4 tasks, batch 1024) and
  on 32x32x3 images (3 tasks, batch 64), against a step of the same graph without that task's output. In PLE, the
  task's experts of the first level stay in both, since the shared gate reads them. A network that was built without the
  task does not have these experts, and its gates are narrower: the ratio to its step is printed too, without a target.
- `libraries`: `fit` against other implementations of the same networks. `mmoe` with 8 experts of 64 and 32 units, and
  `ple` with 2 levels of 64 and 32 units (at each, 2 shared experts and one for each task: 12 in all), for 4 binary
  tasks on vectors of 32 features, batch 1024; `cross_stitch` with two copies of `cnn` on 32x32x3 images, batch 128.
  The stock layer has all experts and gates of all tasks, and returns the features of all tasks (`expert_layers.py`);
  *stock* is our graph as `keras.Model`. With `--torch_python`, the Python of an environment with PyTorch (see
  `benchmarks/torch_worker.py`), the networks are trained there too, without metrics, with its fused Adam, and
  images in the faster of two memory formats.
- `architectures`: a step of each network of three tasks, with its default arguments, against hard sharing of the same
  trunk: `mlp` on vectors, batch 1024, and `cnn` on 32x32x3 images, batch 128; and a step with one of the tasks dropped.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import expert_layers, harness
from benchmarks.networks import BATCH, Graph, Network, Shape, step
from benchmarks.torch_process import EQUAL, TorchProcess
from models import network
from mtl_keras import MultiTaskModel, Task, TaskSet

PARTS = ("dropping", "libraries", "architectures")
PAUSE = 0.03  # seconds until idle threads have stopped spinning
ROWS = 1024  # batch of vectors

_VECTOR, _IMAGE = (32,), (32, 32, 3)
_FOUR = TaskSet(Task.binary(f"task_{number}") for number in range(1, 5))
_THREE = TaskSet([Task.classification("class", 10), Task.binary("animal"), Task.binary("striped")])


def _network(title: str, identifier: str, tasks: TaskSet, shape: Shape) -> Network:
    return Network(title, tasks, shape, partial(network, identifier))


_MLP = "mlp(dense=[64, 32], dropout=0)"
_MMOE = _network("mmoe, vectors", f"mmoe({_MLP}, experts=8)", _FOUR, _VECTOR)
_PLE = _network("ple, vectors", f"ple({_MLP}, levels=2, shared_experts=2, task_experts=1)", _FOUR, _VECTOR)
_STITCH = _network("cross_stitch, images", "cross_stitch(cnn)", _THREE.subset(["class", "animal"]), _IMAGE)

# Network, batch.
DROPPING = (
    (_MMOE, ROWS),
    (_PLE, ROWS),
    (_network("mmoe, images", "mmoe(cnn)", _THREE, _IMAGE), 64),
    (_network("ple, images", "ple(cnn)", _THREE, _IMAGE), 64),
)

GraphOf = Callable[[TaskSet, Shape], Graph]

# Network, batch, its name in PyTorch, its graphs with all experts in one stock layer.
_EXPERTS = {"widths": (64, 32), "experts": 8}
LIBRARIES: tuple[tuple[Network, int, str, Mapping[str, GraphOf]], ...] = (
    (
        _MMOE,
        ROWS,
        "mmoe",
        {
            "stock layer": expert_layers.one_layer(expert_layers.MMoE, **_EXPERTS),
            "stock layer, batched kernels": expert_layers.one_layer(expert_layers.BatchedMMoE, **_EXPERTS),
        },
    ),
    (
        _PLE,
        ROWS,
        "ple",
        {"stock layer": expert_layers.one_layer(expert_layers.PLE, widths=(64, 32), shared=2, own=1)},
    ),
    (_STITCH, BATCH, "cross_stitch", {}),
)

NAMES = ("cross_stitch", "nddr", "sluice", "mmoe", "cgc", "ple", "dselect_k", "mtan", "task_routing", "ltb")
HARD = "hard sharing"
# Title, trunk, tasks, shape, batch.
ARCHITECTURES = (
    ("vectors", "mlp", _FOUR.subset(["task_1", "task_2", "task_3"]), _VECTOR, ROWS),
    ("images", "cnn", _THREE, _IMAGE, BATCH),
)


def measure(
    rounds: int = 30, steps: int = 16, parts: Sequence[str] = PARTS, torch_python: Path | None = None
) -> list[harness.Figure]:
    figures = []
    if "dropping" in parts:
        for net, batch in DROPPING:
            figures += measure_dropping(net, batch, rounds)
    if "libraries" in parts:
        for net, batch, name, layers in LIBRARIES:
            torch = TorchProcess.fastest(torch_python, name, EQUAL) if torch_python else None
            figures += measure_libraries(net, batch, layers, torch, rounds, steps)
            if torch:
                torch.close()
    if "architectures" in parts:
        for setting in ARCHITECTURES:
            figures += measure_architectures(*setting, rounds)
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}")
    return figures


def measure_dropping(net: Network, batch: int, rounds: int) -> list[harness.Figure]:
    """Prints the times of a step; returns the ratios."""
    dropped, *others = net.tasks

    def without_output(tasks: TaskSet, shape: Shape) -> Graph:
        inputs, outputs = net.graph(net.tasks, shape)
        return inputs, {name: outputs[name] for name in tasks}

    smaller = net.subset(others)
    models = {
        "all tasks": net.compiled(),
        "one dropped": _drop(net.compiled(), dropped),
        "without its output": dataclasses.replace(smaller, graph=without_output).compiled(),
        "built without it": smaller.compiled(),
    }
    seconds = _steps(models, net.batches(batch), rounds)
    print(f"\n{net.title}, batch {batch}\n\n{harness.times_table(seconds)}", flush=True)
    one_dropped = seconds["one dropped"]
    return [
        harness.ratio(f"{net.title}: one dropped / {name}", one_dropped, seconds[name], target)
        for name, target in (("without its output", "<= 1.10"), ("built without it", ""), ("all tasks", ""))
    ]


def measure_libraries(
    net: Network,
    batch: int,
    layers: Mapping[str, GraphOf],
    torch: TorchProcess | None,
    rounds: int,
    steps: int,
) -> list[harness.Figure]:
    """Prints the times of a step in `fit`; returns examples per second and their ratios."""
    _forget()
    batches = net.batches(batch)

    def in_fit(model: keras.Model) -> Callable[[], float]:
        return harness.clock(lambda: model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False), steps)

    ours = "MultiTaskModel.fit"
    sides = {ours: in_fit(net.compiled()), "stock": in_fit(net.compiled(keras.Model))}
    targets = {"stock": ">= 1.00"}
    for name, graph in layers.items():
        sides[name] = in_fit(dataclasses.replace(net, graph=graph).compiled(keras.Model))
    targets["stock layer"] = ">= 1.00"
    if torch:
        print(torch.machine)
        torch.prepare([EQUAL])
        sides["PyTorch"], targets["PyTorch"] = partial(torch.seconds, EQUAL, steps), ">= 1.20"
    seconds = harness.interleave(sides, rounds, pause=PAUSE)
    print(f"\n{net.title}, batch {batch}\n\n{harness.times_table(seconds)}", flush=True)
    times = seconds.pop(ours)
    figures = [harness.figure(f"{net.title}: examples/s in `fit`", [batch / each for each in times])]
    for name, other in seconds.items():
        figures.append(harness.ratio(f"{net.title}: examples/s, `fit` / {name}", other, times, targets.get(name, "")))
    return figures


def measure_architectures(
    title: str, trunk: str, tasks: TaskSet, shape: Shape, batch: int, rounds: int
) -> list[harness.Figure]:
    """Prints a table for `benchmarks/results/sharing.md`; returns the ratios."""
    _forget()
    dropped, *_ = tasks
    models = {}
    for name, identifier in {HARD: trunk, **{name: f"{name}({trunk})" for name in NAMES}}.items():
        net = _network(name, identifier, tasks, shape)
        models[name] = net.compiled()
        models[f"{name}, one dropped"] = _drop(net.compiled(), dropped)
    seconds = _steps(models, net.batches(batch), rounds)
    figures, rows = [], []
    for name in (HARD, *NAMES):
        cost = harness.ratios(seconds[name], seconds[HARD])
        saving = harness.ratios(seconds[f"{name}, one dropped"], seconds[name])
        if name != HARD:
            figures.append(harness.figure(f"{title}, {name}: step / {HARD}", cost))
        figures.append(harness.figure(f"{title}, {name}: step, one dropped / all tasks", saving))
        size = sum(variable.value.shape.num_elements() for variable in models[name].trainable_variables)
        milliseconds = 1e3 * statistics.median(seconds[name])
        rows.append([name, f"{size:,}", f"{milliseconds:.1f}", *map(_spread, (cost, saving))])
    header = ["network", "parameters", "step (ms)", f"step / {HARD}", "step, one task dropped / all tasks"]
    print(f"\n{title}, `{trunk}`, batch {batch}\n\n{harness.table(header, rows)}", flush=True)
    return figures


def _spread(ratios: Sequence[float]) -> str:
    low, middle, high = harness.quartiles(ratios)
    return f"{middle:.2f} ({low:.2f} - {high:.2f})"


def _drop(model: MultiTaskModel, task: str) -> MultiTaskModel:
    model.set_task_weights({task: 0.0})
    return model


def _steps(models: Mapping[str, keras.Model], batches: tf.data.Dataset, rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of a step of each model, in each round."""
    sides = {name: harness.clock(step(model, batches)) for name, model in models.items()}
    return harness.interleave(sides, rounds, warm_up=3)


def _forget() -> None:
    """Frees the models of earlier parts."""
    keras.backend.clear_session()
    gc.collect()


if __name__ == "__main__":
    harness.run(measure, parts=PARTS)
