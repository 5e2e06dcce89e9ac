"""The Python in README.md and docs/ runs as it stands there."""

from __future__ import annotations

import copy
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
import tensorflow as tf

import evaluate
import train
from data import recipes
from docs import flags
from models import NETWORKS
from models.parallel import COPIES_PER_TASK
from mtl_keras.schedules import SCHEDULES
from mtl_keras.weightings import WEIGHTINGS
from tests.quick_runs import without_report
from tests.sources import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOUR = ROOT / "docs" / "tour.ipynb"
_BLOCK = re.compile(r"^```python[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def python_blocks(text: str) -> list[tuple[int, str]]:
    """Returns the line at which each ```python block's code starts, and the code."""
    return [(text.count("\n", 0, block.start(1)) + 1, block[1]) for block in _BLOCK.finditer(text)]


def run_page(page: Path) -> dict[str, Any]:
    """Runs a page's blocks one after the other, as one program, and returns what they made.

    Each is compiled under the page's name and line, so that a failure's traceback points into the page.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, code in python_blocks(page.read_text("utf-8")):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
    return namespace


@pytest.fixture
def own_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets afterwards what a page registers."""
    for registry in (SCHEDULES, WEIGHTINGS, recipes):
        monkeypatch.setattr(registry, "_registered", dict(registry._factories))


@pytest.fixture
def eager(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs the steps of most pages without compiling them: tracing takes longer than the few steps that they train.

    Pages that train a whole run have enough steps to compile.
    """
    page: Path = request.getfixturevalue("page")
    tf.config.run_functions_eagerly("from experiments.runner import run" not in page.read_text("utf-8"))
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager", "own_registries")
@pytest.mark.filterwarnings("ignore:.*run_functions_eagerly:UserWarning")  # of tf.data, which always compiles
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT)
    with without_report():  # that the report is written, the notebook shows
        run_page(page)


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MTL_KERAS_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path))
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # saved without outputs
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(TOUR.parent)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert any("srcdoc" in output.data.get("text/html", "") for output in shown)  # the report


def commands(text: str) -> list[list[str]]:
    """Returns the words of every `python train.py ...` and `python evaluate.py ...` line in ```bash blocks."""
    blocks = re.findall(r"^```bash[ \t]*\n(.*?)^```[ \t]*$", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["python"] and line[1] in ("train.py", "evaluate.py")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_flags_that_exist(page: Path) -> None:
    for program, *arguments in commands(page.read_text("utf-8")):
        defined = {"train.py": train.FLAGS, "evaluate.py": evaluate.FLAGS}[program]
        rest = copy.deepcopy(defined)([program, *arguments])[1:]
        assert not rest or "--compare" in arguments


def test_the_tables_of_flags_are_those_of_the_programs() -> None:
    text = flags.PAGE.read_text("utf-8")
    assert text == flags.with_tables(text), "run `python docs/flags.py`"
    for defined in (train.FLAGS, evaluate.FLAGS):
        assert all(f"| `--{name}` |" in text for name in defined)


def test_the_readme_has_code_to_run() -> None:
    assert python_blocks((ROOT / "README.md").read_text("utf-8"))


def test_the_arguments_of_soft_sharing_are_those_of_the_builders() -> None:
    page = (ROOT / "docs" / "sharing.md").read_text("utf-8")
    for name in ("mmoe", "dselect_k", "cgc", "ple", *COPIES_PER_TASK, "mtan", "task_routing", "ltb"):
        first, *others = inspect.signature(NETWORKS[name]).parameters.values()
        assert (first.name, first.default) == ("trunk", None)
        arguments = ", ".join(f"`{each.name}={each.default!r}`" for each in others)
        assert f"| `{name}` | {arguments} |\n" in page
