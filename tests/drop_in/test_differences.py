"""The deliberate differences: each is shown by a case and listed in the docs."""

from __future__ import annotations

import importlib
from fnmatch import fnmatchcase
from pathlib import Path

from tests.drop_in import mirrored
from tests.drop_in.differences import DIFFERENCES
from tests.drop_in.selection import OCCASIONAL, runs
from tests.sources import ROOT

NAMES = [
    (path.stem, case.id)
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if path != Path(__file__)
    for case in getattr(importlib.import_module(f"tests.drop_in.{path.stem}"), "CASES", [])
]
NAMES += [("test_compiled", f"on two devices: {name}") for name in mirrored.NAMES]


def test_ids_are_unique() -> None:
    assert sorted(NAMES) == sorted(set(NAMES))


def test_at_least_200_cases_run() -> None:
    assert len([name for name in NAMES if runs(*name)]) >= 200


def test_every_difference_is_shown_by_a_case() -> None:
    patterns = [pattern for row in DIFFERENCES.values() for pattern in row]
    assert [one for one in patterns if not any(fnmatchcase(": ".join(name), one) for name in NAMES)] == []


def test_every_occasional_case_exists() -> None:
    listed = [(file, pattern) for file, patterns in OCCASIONAL.items() for pattern in patterns]
    unused = [one for one in listed if not any(name[0] == one[0] and fnmatchcase(name[1], one[1]) for name in NAMES)]
    assert unused == []


def test_every_difference_is_a_row_of_the_docs() -> None:
    lines = (ROOT / "docs/from_keras_model.md").read_text("utf-8").splitlines()
    rows = {line.split("|")[1].strip() for line in lines if line.startswith("|")}
    assert [row for row in DIFFERENCES if row not in rows] == []
