"""The benchmark of long training, at the smallest size: that it works, and that it would notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from benchmarks import figures, soak
from mtl_keras import MultiTaskModel

FIRST = "resident memory at the end / after 10 steps"


def gauge_of(memory: list[float], traced: list[int]) -> soak.Gauge:
    gauge = soak.Gauge(5)
    gauge.readings = [
        (5 * number, *reading) for number, reading in enumerate(zip(memory, traced, strict=True), start=1)
    ]
    return gauge


def smaller(optimizer: str, **compile_args: Any) -> MultiTaskModel:
    """A model for two of the toy tasks, which is compiled in a second."""
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Dense(4)(keras.layers.Flatten()(inputs))
    names = ("bright", "round")
    outputs = {name: keras.layers.Dense(1, activation="sigmoid", name=name)(features) for name in names}
    model = MultiTaskModel(inputs, outputs)
    model.compile(optimizer, loss="binary_crossentropy", metrics=["accuracy"], jit_compile=False, **compile_args)
    return model


@pytest.mark.parametrize(
    ("memory", "traced", "missed"),
    [
        ([500, 700, 700, 701, 702, 701], [3, 9, 9, 9, 9, 9], set()),
        ([500, 700, 704, 708, 712, 716], [3, 9, 9, 9, 9, 9], {FIRST}),
        ([500, 700, 700, 701, 702, 701], [3, 9, 9, 9, 9, 10], {"of these after 10 steps"}),
        ([500, 700, 700, 701, 702, 701], [3, 11, 11, 11, 11, 11], {"functions traced"}),
    ],
)
def test_growth_is_noticed(memory: list[float], traced: list[int], missed: set[str]) -> None:
    results = soak.found(gauge_of(memory, traced), 10)
    assert {figure.what for figure in results if figure.met is False} == missed
    growth = next(figure for figure in results if figure.what == "growth in MB per 1,000 steps")
    assert growth.value == pytest.approx(800 if FIRST in missed else 80)


def test_the_memory_of_this_process_is_read() -> None:
    before = soak.resident_megabytes()
    kept = bytearray(b"x" * 50_000_000)
    assert 40 < soak.resident_megabytes() - before < 60
    assert kept


def test_a_short_soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(soak, "FUNCTIONS", 1)
    monkeypatch.setattr(soak, "toy_model", smaller)
    file = tmp_path / "figures.json"
    code = soak.main(["--steps=6", "--epoch=3", "--every=2", "--warm_up=4", f"--json={file}"])
    found = figures.read(file)
    assert code == int(any(figure.met is False for figure in found))
    assert [figure.value for figure in found if "traced" in figure.what] == [2]  # one with a look at the gradients
    printed = capsys.readouterr().out
    assert "| 6 |" in printed
    assert "limit" in printed.splitlines()[-1]


def test_a_soak_has_all_callbacks_of_a_run(tmp_path: Path) -> None:
    with (tmp_path / "quiet").open("w") as quiet:
        every = soak.watching(tmp_path, [], quiet)
        fewer = soak.watching(tmp_path, ["TensorBoard", "GradientMonitor"], quiet)
    assert [type(callback).__name__ for callback in every] == list(soak.NAMES)
    assert len(fewer) == len(every) - 2
