"""House rules that ruff does not check, read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, python_files

LONGEST = 400
# One class with the methods of `keras.Model`.
LONGER = ("mtl_keras/model.py",)
_NOTE_TO_SELF = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b")  # in brackets, so as not to find itself


def faults(path: Path, source: str) -> Iterator[str]:
    """Yields the rules that a file breaks, given by its path from the repository's root."""
    lines = source.splitlines()
    if path.name == "utils.py":
        yield f"{path}: name the file after its purpose, not utils"
    if len(lines) > LONGEST and path.as_posix() not in LONGER:
        yield f"{path}: {len(lines)} lines, more than {LONGEST}"
    for number, line in enumerate(lines, start=1):
        if _NOTE_TO_SELF.search(line):
            yield f"{path}:{number}: a note to do something later"
    for node in ast.walk(ast.parse(source)):
        for problem in _problems(node, in_test=path.parts[0] == "tests"):
            yield f"{path}:{node.lineno}: {problem}"  # type: ignore[attr-defined]


def _problems(node: ast.AST, *, in_test: bool) -> Iterator[str]:
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        yield "bare except"
    if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
        yield "import *"
    if isinstance(node, ast.Assert) and not in_test:
        yield "assert in a program: python -O removes it; raise an error"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.returns is None:
            yield f"{node.name} does not say what it returns"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
        untyped = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        if untyped:
            yield f"{node.name} has arguments without a type: {', '.join(untyped)}"


def test_no_rule_is_broken() -> None:
    files = python_files(tests=True)
    assert Path("mtl_keras/tasks.py") in files
    assert Path("tests/test_house.py") in files
    assert [fault for path in files for fault in faults(path, (ROOT / path).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("models/utils.py", "", "utils"),
        ("models/heads.py", "x = 1\n" * (LONGEST + 1), f"more than {LONGEST}"),
        ("models/heads.py", "x = 1  # TO" + "DO: more", "later"),
        ("models/heads.py", "try:\n    pass\nexcept:\n    pass", "bare except"),
        ("models/heads.py", "assert True", "assert"),
        ("models/heads.py", "def f(x: int): ...", "returns"),
        ("models/heads.py", "class A:\n    def f(self, *args, k, **kw: int) -> None: ...", "without a type: k, args"),
        ("tests/test_x.py", "async def f(x) -> None: ...", "without a type: x"),
    ],
)
def test_a_broken_rule_is_found(path: str, source: str, rule: str) -> None:
    (fault,) = faults(Path(path), source)
    assert rule in fault
    assert path in fault
