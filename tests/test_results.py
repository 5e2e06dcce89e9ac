"""RESULTS.md is what its script makes of the records, and its commands can be typed."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path

import pytest

import train
from docs import results
from experiments.config import RunConfig

RECORDS = sorted(results.RECORDS.glob("*.json"))


def test_the_page_is_made_of_the_records() -> None:
    assert results.PAGE.read_text("utf-8") == results.page()


def test_every_record_is_shown() -> None:
    shown = {name for section in results.SECTIONS for name in section.records}
    assert {path.stem for path in RECORDS} <= shown


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_its_command_can_be_typed(path: Path) -> None:
    record = json.loads(path.read_text("utf-8"))
    python, program, *flags = shlex.split(results.command(record))
    assert (python, program) == ("python", "train.py")
    assert copy.deepcopy(train.FLAGS)([program, *flags]) == [program]
    RunConfig.from_json(record["config"]).check()
    assert record["config"]["data_dir"] is None
