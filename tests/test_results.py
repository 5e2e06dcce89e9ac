"""The tables of RESULTS.md match the records, and the commands of the records are valid."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path

import pytest

import train
from docs import results
from experiments.config import RunConfig
from experiments.files import write_history, write_json

RECORDS = sorted(results.RECORDS.glob("*.json"))


def test_the_page_shows_all_records() -> None:
    page = results.PAGE.read_text("utf-8")
    assert results.fill(page) == page
    shown = {name for block in results.BLOCK.finditer(page) for name in block[3].split()}
    assert {path.stem for path in RECORDS} == shown


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_commands_are_valid(path: Path) -> None:
    record = json.loads(path.read_text("utf-8"))
    python, program, *flags = shlex.split(results.command(record))
    assert (python, program) == ("python", "train.py")
    assert copy.deepcopy(train.FLAGS)([program, *flags]) == [program]
    RunConfig.from_json(record["config"]).check()
    assert record["config"]["data_dir"] is None


@pytest.mark.parametrize("compared", [False, True])
def test_the_record_of_a_run(compared: bool, tmp_path: Path) -> None:
    provenance = dict.fromkeys(results.PROVENANCE, "x")
    config = {"dataset": "cifar10", "data_dir": "/data", "epochs": 2}
    write_json(tmp_path / "config.json", {**config, "data": {"name": "cifar10"}, **provenance})
    write_json(tmp_path / "metrics.json", {"best_epoch": 1})
    write_history(tmp_path / "history.csv", [{"loss": 0.12345678}, {"loss": 0.1}])
    if compared:
        write_json(tmp_path / "comparison.json", [{"method": "x"}])
    record = results.record_of(tmp_path)
    assert (record["config"]["epochs"], record["config"]["data_dir"]) == (2, None)
    assert record["config"]["batch_size"] == RunConfig().batch_size
    assert (record["data"], record["provenance"]) == ({"name": "cifar10"}, provenance)
    if compared:
        assert record["outcomes"] == [{"method": "x"}]
    else:
        assert record["history"] == {"loss": [0.123457, 0.1]}
        assert record["metrics"] == {"best_epoch": 1}
