"""The files of a run: whole or not there."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from experiments.config import RunConfig
from experiments.files import read_history, read_json, write_history, write_json
from experiments.run_directory import RunDirectory


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [math.nan, 1.5, (math.inf,)]})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {"x": [None, 1.5, [None]]}


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert read_json(tmp_path / "a.json") == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("content", ["{", "", "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        RunDirectory(tmp_path).config()


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"epoch": 3})
    with pytest.raises(ValueError, match="Did you mean 'epochs'"):
        RunDirectory(tmp_path).config()


def test_history_has_a_column_for_every_key(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [{"loss": 1.0}, {"loss": math.nan, "val_loss": 2.0}])
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "0", "loss": "1.0", "val_loss": ""},
        {"epoch": "1", "loss": "nan", "val_loss": "2.0"},
    ]


def test_a_history_comes_back(tmp_path: Path) -> None:
    write_history(tmp_path / "history.csv", [{"b": 1.0, "a": math.nan}, {"a": 0.25}])
    columns = read_history(tmp_path / "history.csv")
    assert columns == {
        "a": [pytest.approx(math.nan, nan_ok=True), 0.25],
        "b": [1.0, pytest.approx(math.nan, nan_ok=True)],
    }
    write_history(tmp_path / "history.csv", [])
    assert read_history(tmp_path / "history.csv") == {}
    with pytest.raises(ValueError, match=r"There is no .*other.csv"):
        read_history(tmp_path / "other.csv")


def test_a_configuration_comes_back(tmp_path: Path) -> None:
    config = RunConfig(tasks=("item",), task_weights={"item": 2.0}, export=("saved_model", "onnx"), seed=3)
    directory = RunDirectory(tmp_path / "run")
    directory.create(config, {"name": "fashion_mnist"})
    assert directory.config() == config
    stored = read_json(directory.config_file)
    assert set(stored["versions"]) >= {"python", "keras", "tensorflow"}
