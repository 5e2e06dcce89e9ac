"""The rows of `docs/from_keras_model.md`: each deliberate difference that a case shows is listed there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tests.drop_in import mirrored
from tests.sources import ROOT


def cases() -> list[Any]:
    modules = [
        importlib.import_module(f"tests.drop_in.{path.stem}") for path in Path(__file__).parent.glob("test_*.py")
    ]
    return [case for module in modules for case in getattr(module, "CASES", [])] + mirrored.cases()


def test_every_difference_is_a_row_of_the_docs() -> None:
    lines = (ROOT / "docs/from_keras_model.md").read_text("utf-8").splitlines()
    rows = {line.split("|")[1].strip() for line in lines if line.startswith("|")}
    shown = {case.differs for case in cases()} - {None}
    assert len(shown) == 9
    assert shown <= rows
