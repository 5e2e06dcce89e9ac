"""The benchmarks with tiny networks: they run, and compute what they print. Times are not tested."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import data
from benchmarks import __main__ as program
from benchmarks import expert_layers, growth, harness, long_training, networks, sharing, start_up, torch_process
from benchmarks import weightings as weightings_benchmark
from benchmarks.harness import Figure
from benchmarks.many_heads import KINDS
from benchmarks.networks import Network
from data.fashion_mnist import GROUP_OF_ITEM
from models import network
from mtl_keras import Task, TaskSet
from mtl_keras.testing import toy_model
from mtl_keras.weightings import WEIGHTINGS

WRITES_FIGURES = """
import json, sys
value = float(sys.argv[1])
json.dump([{"what": "x", "value": value, "low": value, "high": value}], open(sys.argv[3], "w"))
"""

# Answers as `torch_worker.py` does: a step takes as many seconds as the method's name has letters.
FAKE_WORKER = """
import json, os, sys
print(json.dumps({"machine": "fake"}), flush=True)
for request in map(json.loads, sys.stdin):
    answer = {"known": request["prepare"]} if "prepare" in request else None
    print(json.dumps(answer or {"seconds": len(request["method"]) * request["steps"]}), flush=True)
"""


def tiny_graph(tasks: TaskSet, shape: tuple[int, int, int]) -> networks.Graph:
    """A network of one layer per task, and a shared one."""
    inputs = keras.Input(shape)
    features = keras.layers.Dense(4)(keras.layers.Flatten()(inputs))
    outputs = {}
    for name, task in tasks.items():
        layer = keras.layers.Dense(functools.reduce(int.__mul__, task.shape), activation="sigmoid")
        outputs[name] = keras.layers.Reshape(task.shape)(layer(features))
    return inputs, outputs


TASKS = [Task.classification("class", 2), Task.binary("animal"), Task.reconstruction("reconstruction", (4, 4, 1))]
TINY = Network("tiny", TaskSet(TASKS), (4, 4, 1), tiny_graph)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks, run eagerly: nothing is compiled."""
    monkeypatch.setattr(Network, "compiled", functools.partialmethod(Network.compiled, run_eagerly=True))
    monkeypatch.setattr(harness, "machine", lambda: "machine")


def test_alternatives_are_interleaved() -> None:
    calls: list[str] = []
    sides = {name: lambda name=name: calls.append(name) or len(calls) for name in "ab"}
    assert harness.interleave(sides, rounds=2, warm_up=1) == {"a": [3, 5], "b": [4, 6]}
    assert calls == ["a", "b"] * 3
    assert 0 <= harness.clock(lambda: None, per=2)() < 1


def test_figures_are_medians_of_ratios_with_their_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [harness.ratio("a / b", [2.0, 3.0, 8.0], [1.0, 1.0, 2.0], ">= 4"), harness.figure("once", [5.0])]

    def measure(rounds: int = 3, parts: Sequence[str] = (), folder: Path | None = None) -> list[Figure]:
        assert (rounds, parts, folder) == (2, ["x", "y"], Path("here"))
        return found

    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", f"name --rounds 2 --parts x y --folder here --json {file}".split())
    assert harness.run(measure, parts=("x", "y")) == found
    assert harness.read(tmp_path / "figures.json") == found
    assert (found[0].value, found[0].low, found[0].high, found[0].met) == (3.0, 2.0, 4.0, False)
    assert capsys.readouterr().out.splitlines() == [
        "machine, rounds 2, parts ['x', 'y'], folder here",
        "",
        "| what | median | lowest - highest round | target |",
        "| --- | ---: | ---: | ---: |",
        "| a / b | 3 | 2 - 4 | >= 4 **missed** |",
        "| once | 5 | 5 - 5 | - |",
    ]
    assert harness.times_table({"a": [1.0, 2.0, 3.0]}, "s").splitlines()[-1] == "| a | 2.00 | 1.50 - 2.50 |"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1.0, 0.5, 1.05), (1.1, 1.0, 1.2), True),  # the rounds of the second include the median of the first
        ((1.0, 0.9, 1.06), (1.1, 1.04, 1.2), False),  # ranges overlap, but neither includes the other's median
        ((1.0, 1.0, 1.0), (1.009, 1.009, 1.009), True),
    ],
)
def test_runs_agree_within_the_spread(one: tuple[float, ...], other: tuple[float, ...], expected: bool) -> None:
    assert program.agree(Figure("x", *one), Figure("x", *other)) is expected
    assert program.agree(Figure("x", *other), Figure("x", *one)) is expected


def test_the_page_shows_all_runs_and_failures(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(WRITES_FIGURES)
    (tmp_path / "bad.py").write_text("raise SystemExit('first line\\nlast line')")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "more.md").write_text("# More\n")
    scripts = {"bad": [], "good": ["2.5"]}
    text = program.page(scripts, program.run_all(scripts, tmp_path), tmp_path / "pages")
    assert "- [More](pages/more.md)\n" in text
    assert "1 of 1 figures agree in both runs; 0 of 0 measurements with a target meet it." in text
    assert "## bad\n\n`python benchmarks/bad.py`\n\n**Run 1 failed**: `last line`" in text
    assert "| what | run 1 | run 2 | runs agree | target |" in text
    assert text.endswith("| x | 2.5 (2.5 - 2.5) | 2.5 (2.5 - 2.5) | yes | - |\n")


def test_the_quick_benchmarks_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert [name for name in program.QUICK if not (program.HERE / f"{name}.py").is_file()] == []
    with pytest.raises(SystemExit):
        program.main(["speling"])
    assert "must be one of steps, dropping" in capsys.readouterr().err


SMALL = TINY.subset(["class", "animal"])
VECTORS = TaskSet(Task.binary(name) for name in "ab")
EXPERTS = Network("tiny", VECTORS, (3,), functools.partial(network, "mmoe(mlp(dense=[4, 2]), experts=2)"))
LAYER = expert_layers.one_layer(expert_layers.MMoE, widths=(4, 2), experts=2)
SHARING = {
    "DROPPING": ((EXPERTS, 2),),
    "LIBRARIES": ((EXPERTS, 2, "mmoe", {"stock layer": LAYER}),),
    "ARCHITECTURES": (("vectors", "mlp(dense=4)", VECTORS, (3,), 2),),
    "NAMES": ("cgc",),
}
DATA = SimpleNamespace(batches=lambda *_, **__: SMALL.batches(2), label_counts=lambda: {"class": 2, "animal": 1})
GROWTH = {"TASKS": (1, 2), "ACTIVE": (1, 2), "start": lambda net, kind, _: (net.compiled(KINDS[kind]), 1.0)}


@pytest.mark.parametrize(
    ("name", "flags", "replaced", "expected"),
    [
        (
            "steps",
            "--rounds=1 --steps=1",
            {"NETWORKS": ((TINY, 2),), "IN_PYTORCH": {TINY: ("decoder", ">= 1.4")}},
            "tiny: images/s, `fit` / handwritten loop",
        ),
        (
            "dropping",
            "--rounds=1",
            {"DECODER": TINY, "SETS": [("class", "animal")]},
            "class, animal: that speed-up / that of a model built for these",
        ),
        (
            "dst_epochs",
            "--rounds=1 --steps=2",
            {"CIFAR10": SMALL, "data": SimpleNamespace(load=lambda *_, **__: DATA)},
            "epoch under DST: measured / predicted",
        ),
        ("gradient_monitor", "--rounds=1", {"CIFAR10": TINY}, "monitored step / plain step"),
        (
            "affinity",
            "--rounds=1",
            {"CIFAR10": TINY},
            "cost in % of training with every=10, step with one source",
        ),
        (
            "flops",
            "--rounds=1",
            {"FASHION_MNIST": SMALL, "DECODER": dataclasses.replace(SMALL, title="x"), "SIDE": 8, "PROFILED": 1},
            "x: share of the peak",
        ),
        (
            "progress",
            "--rounds=1 --seconds=0.01",
            {"FASHION_MNIST": TINY, "binary_heads": lambda *_: SMALL, "BATCH": 2},
            "tiny: share of the time spent in Progress",
        ),
        (
            "gpu",
            "--rounds=1 --steps=1 --batch=2 --networks x",
            {"NETWORKS": {"x": SMALL}, "ways": lambda: {"half": ("mixed_bfloat16", False)}, "device": lambda: "Toy"},
            "Toy, x: step, half: pcgrad / all tasks",
        ),
        (
            "many_heads",
            "--rounds=1 --starts=1",
            {"faces": lambda: (TINY, TINY.batches(2)), "binary_heads": lambda _: SMALL, "STEPS": 1},
            "start-up, tiny: MultiTaskModel / stock",
        ),
        ("growth", "--rounds=1 --stock=2 --parts tasks", GROWTH, "step, against tasks, MultiTaskModel: 2 / 1"),
        ("sharing", "--rounds=1 --parts dropping", SHARING, "tiny: one dropped / without its output"),
        ("sharing", "--rounds=1 --steps=1 --parts libraries", SHARING, "tiny: examples/s, `fit` / stock layer"),
        ("sharing", "--rounds=1 --parts architectures", SHARING, "vectors, cgc: step / hard sharing"),
        (
            "dense",
            "--rounds=1 --steps=1 --parts fit metrics dropping",
            {"SEGNET": SMALL, "DECODERS": SMALL},
            "saving of dropping / of building without it",
        ),
        ("grouping", "--rounds=1 --tasks=3", {"EXACT": (2,)}, "exact search, 2 tasks, the slowest (s)"),
        ("growth", "--rounds=1 --parts active", GROWTH, "step, against active tasks of 2, two layers each: 2 / 1"),
        (
            "weightings",
            "--rounds=1 --steps=1 --network cifar10 --methods mgda",
            {"NETWORKS": {"cifar10": TINY}},
            "cifar10, mgda(representation=True), ours: step / equal weights",
        ),
        (
            "long_training",
            "--steps=6 --epoch=3 --every=2 --warm_up=4",
            {"toy_model": functools.partial(toy_model, run_eagerly=True)},
            "resident MB at the end",
        ),
    ],
)
def test_a_benchmark_runs(
    name: str,
    flags: str,
    replaced: dict[str, Any],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    script = importlib.import_module(f"benchmarks.{name}")
    for attribute, value in replaced.items():
        monkeypatch.setattr(script, attribute, value)
    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", [name, *flags.split(), f"--json={file}"])
    harness.run(script.measure)
    assert expected in {figure.what for figure in harness.read(file)}


def test_a_curve_is_fitted_to_relative_errors(tmp_path: Path) -> None:
    line = growth.Curve("a", {1: [1, 2, 3], 4: [16, 17, 18]}, "ms", "pixel", power=2)
    assert line.fit().coef == pytest.approx([1, 1])
    assert growth.table([line], "side").splitlines()[3:] == [
        "| 4 | 17 (16.5 - 17.5) |",
        "",
        f"- a: {line.formula()}",
    ]
    parabola = growth.Curve("b", {1: [6.0], 2: [11.0], 3: [18.0], 4: [27.0]}, "s", "task", degree=2)
    assert parabola.formula().startswith("3 s + 2 s per task + 1 s per task squared, at most ")
    assert parabola.predict([5]) == pytest.approx([38])
    growth.draw([line, parabola], "side", "step", tmp_path / "new" / "plot.svg")
    assert ">b</text>" in (tmp_path / "new" / "plot.svg").read_text()


@pytest.mark.parametrize(
    ("memory", "traced", "missed"),
    [
        ([500, 700, 700, 701, 702, 701], [3, 9, 9, 9, 9, 9], set()),
        ([500, 700, 704, 708, 712, 716], [3, 9, 9, 9, 9, 9], {"resident memory at the end / after 10 steps"}),
        ([500, 700, 700, 701, 702, 701], [3, 11, 11, 11, 11, 11], {"traced functions"}),
    ],
)
def test_a_leak_is_noticed(memory: list[float], traced: list[int], missed: set[str]) -> None:
    readings = [(5 * number, *reading) for number, reading in enumerate(zip(memory, traced), start=1)]
    assert {figure.what for figure in long_training.figures_of(readings, 10) if figure.met is False} == missed


def test_ratios_of_weightings_are_those_of_each_round() -> None:
    # The second round ran at half the speed: its ratios are those of the others, its times are not.
    seconds = {
        ("static", "ours"): [0.010, 0.020, 0.010],
        ("static", "TorchJD"): [0.020, 0.040, 0.020],
        ("mgda", "ours"): [0.013, 0.026, 0.013],
        ("mgda", "TorchJD"): [0.0065, 0.013, 0.0065],
    }
    found = {figure.what: figure for figure in weightings_benchmark.figures_of(seconds, "cifar10")}
    assert {what.removeprefix("cifar10, "): (round(each.value, 3), each.met) for what, each in found.items()} == {
        "static, ours: steps/s": (100.0, None),
        "static, TorchJD: steps/s": (50.0, None),
        "static: steps/s, ours / TorchJD": (2.0, True),
        "mgda, ours: steps/s": (76.923, None),
        "mgda, ours: step / equal weights": (1.3, True),
        "mgda, TorchJD: steps/s": (153.846, None),
        "mgda, TorchJD: step / equal weights": (0.325, None),
        "mgda: steps/s, ours / TorchJD": (0.5, False),
    }


def test_the_torch_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(FAKE_WORKER)
    monkeypatch.setattr(torch_process, "WORKER", worker)
    torch = torch_process.TorchProcess.fastest(Path(sys.executable), "cifar10", "mgda")
    assert torch.machine in ("fake; spinning threads", "fake; sleeping threads")
    assert torch.prepare(["static", "mgda"]) == ["static", "mgda"]
    assert torch.seconds("mgda", 3) == 4
    torch.close()


def test_the_torch_worker_names_methods_and_networks_as_we_do() -> None:
    # Without importing it: PyTorch is not installed here.
    files = (program.HERE / name for name in ("torch_worker.py", "torch_networks.py"))
    tables = {
        node.target.id: {ast.literal_eval(key) for key in node.value.keys}
        for file in files
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
    }
    here = {
        *weightings_benchmark.NETWORKS,
        "decoder",
        "fashion_mnist",
        "segnet",
        *(name for _, _, name, _ in sharing.LIBRARIES),
    }
    assert tables.pop("NETWORKS") == here
    assert {*weightings_benchmark.LIMITED} <= set().union(*tables.values()) <= set(WEIGHTINGS.names)


@pytest.mark.parametrize("entry", [entry for entry in sharing.LIBRARIES if entry[-1]], ids=lambda entry: entry[2])
def test_stock_layers_compute_the_same_networks(entry: Any) -> None:
    net, _, _, graphs = entry
    ours = keras.Model(*net.graph(net.tasks, net.shape))
    alone, *others = (keras.Model(*graph(net.tasks, net.shape)) for graph in graphs.values())
    assert [each.count_params() for each in (alone, *others)] == [ours.count_params()] * len(graphs)
    # By path, experts and tasks are in the order of the stock layer.
    unused = sorted(ours.weights, key=lambda weight: weight.path)
    for weight in alone.weights:
        source = next(each for each in unused if each.shape == weight.shape)
        unused = [each for each in unused if each is not source]
        weight.assign(source)
    x = keras.random.normal((5, *net.shape))
    for task, output in ours(x).items():
        np.testing.assert_allclose(alone(x)[task], output, rtol=1e-5)


def test_the_plain_programs_do_the_same_as_train() -> None:
    recipe = data.recipes["fashion_mnist"]()
    ours = keras.Model(*network("cnn", recipe.tasks, recipe.image_shape))
    plain = start_up.plain_network()
    assert [weight.shape for weight in plain.weights] == [weight.shape for weight in ours.weights]
    assert [type(layer).__name__ for layer in plain.layers] == [type(layer).__name__ for layer in ours.layers]
    assert start_up.GROUP_OF_ITEM == GROUP_OF_ITEM
