"""The analysis of results works on numbers, wherever they come from."""

from __future__ import annotations

import ast

from tests.sources import ROOT


def test_it_knows_no_framework() -> None:
    files = sorted((ROOT / "mtl_keras" / "analysis").glob("*.py"))
    training = ["single_task.py"]
    trees = [ast.parse(path.read_text("utf-8")) for path in files if path.name not in training]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert "numpy" in imported
    assert {name.split(".")[0] for name in imported} & {"keras", "tensorflow"} == set()
