"""What a run keeps of the gates of its network."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.config import RunConfig
from experiments.run_directory import RunDirectory
from experiments.runner import run
from experiments.sharing_record import SharingWriter, read_sharing
from mtl_keras.callbacks import SharingMonitor
from mtl_keras.callbacks.sharing_summary import GateSummary, SharingSummary
from tests.quick_runs import without_report

GATE = GateSummary("gate", "item", 1, ("one",), (1.0,), (1.0,), 1 / 3)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch that was broken off and resumed for a second one."""
    folder = tmp_path_factory.mktemp("sharing")
    for epochs in (1, 2):
        config = RunConfig(
            synthetic=True, examples=64, model="mmoe('mlp(dense=8)', experts=2)", batch_size=16, epochs=epochs,
            data_dir=str(folder / "data"),
        )  # fmt: skip
        with nullcontext() if epochs > 1 else without_report():
            run(config, RunDirectory(folder / "run"), resume=epochs > 1)
    return folder / "run"


def test_each_epoch_has_an_entry(resumed: Path) -> None:
    found = read_sharing(resumed / "sharing.json")
    with (resumed / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert list(found) == [0, 1]
    for row, summary in zip(history, found.values(), strict=True):
        assert [(gate.owner, gate.experts) for gate in summary.gates] == [
            ("item", ("expert1_1", "expert1_2")),
            ("group", ("expert1_1", "expert1_2")),
        ]
        assert summary.examples == 6
        assert float(row["gate_entropy"]) == pytest.approx(summary.gate_entropy, rel=1e-5)
        assert float(row["unused_experts"]) == len(summary.unused_experts)


def test_the_report_and_tensorboard_have_them(resumed: Path) -> None:
    assert '<section id="sharing"' in (resumed / "report.html").read_text("utf-8")
    events = EventAccumulator(str(resumed / "tensorboard" / "sharing"), {"tensors": 0}).Reload()
    assert "gate_entropy_level1/item" in events.PluginTagToContent("scalars")
    assert sorted(event.step for event in events.Tensors("sharing/gate_entropy")) == [0, 1]
    events = EventAccumulator(str(resumed / "tensorboard" / "train"), {"tensors": 0}).Reload()
    assert "summary/gate_entropy" in events.PluginTagToContent("scalars")


def record_of(file: Path) -> SharingWriter:
    monitor = SharingMonitor()
    monitor.summary = SharingSummary(4, (GATE,))
    return SharingWriter(file, monitor)


def test_an_epoch_that_is_trained_again_is_written_once(tmp_path: Path) -> None:
    file = tmp_path / "sharing.json"
    first = record_of(file)
    for epoch in range(3):
        first.add(epoch, ["item"])
    again = record_of(file)
    again.restore(2)
    again.add(2, ["item"])
    content = json.loads(file.read_text())
    assert [entry["epoch"] for entry in content["epochs"]] == [0, 1, 2]
    assert content["epochs"][0]["gates"][0]["entropy"] == 0.333333
    assert read_sharing(file)[2].gates[0].experts == ("one",)


@pytest.mark.parametrize("content", [{}, [1], {"epochs": [{}]}, {"epochs": None}])
def test_a_damaged_record_is_named(tmp_path: Path, content: Any) -> None:
    (tmp_path / "sharing.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"sharing\.json is damaged"):
        read_sharing(tmp_path / "sharing.json")
