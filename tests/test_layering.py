"""Imports go downwards only, read from the source; the table in CONTRIBUTING.md describes the layers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.sources import ROOT, python_files

# From the top: modules may import those of their own layer and of the layers below.
LAYERS = [
    "train evaluate benchmarks docs",
    "experiments",
    "models data",
    "mtl_keras",  # its `__init__`
    "mtl_keras.callbacks mtl_keras.reports mtl_keras.export mtl_keras.testing",
    "mtl_keras.model",
    "mtl_keras.training",
    "mtl_keras.analysis mtl_keras.arguments mtl_keras.checks mtl_keras.dense_metrics mtl_keras.distribution "
    "mtl_keras.extras mtl_keras.keras_private mtl_keras.labels mtl_keras.layers mtl_keras.logs mtl_keras.losses "
    "mtl_keras.metrics mtl_keras.schedules mtl_keras.serialization mtl_keras.task_checks mtl_keras.tasks "
    "mtl_keras.weightings",
]
LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules.split()}
INDEPENDENT = [{"models", "data"}, {"mtl_keras.schedules", "mtl_keras.weightings"}]
# `models` and `data` do not train: of the library they import the lowest layer only, and models import this module.
ALSO_FOR_MODELS = "mtl_keras.training.graph"
# All other modules of the library, but for callbacks, reports and export, use `keras.ops` and NumPy.
ON_TENSORFLOW = {"mtl_keras.training", "mtl_keras.distribution", *LAYERS[4].split()} - {"mtl_keras.testing"}


def layered(module: str) -> str | None:
    """Returns the module itself or the package around it that is in a layer, None for other libraries."""
    while module and module not in LAYER:
        module = module.rpartition(".")[0]
    return module or None


def imports(module: str, source: str) -> Iterator[str]:
    """Yields the absolute name of everything that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            yield from (".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names)


def violations(path: str, source: str) -> Iterator[str]:
    """Yields what is wrong with the imports of one file, given by its path from the repository's root."""
    module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    here = layered(module)
    if here is None or (here == "mtl_keras" and module != here):
        yield f"{path} is in no layer: add it to LAYERS"
        return
    for imported in imports(module, source):
        there, why = layered(imported), ""
        if imported.partition(".")[0] == "tensorflow" and here.startswith("mtl_keras") and here not in ON_TENSORFLOW:
            why = "TensorFlow is for training, distribution and callbacks"
        elif there is None or there == here:
            continue
        elif LAYER[there] < LAYER[here]:
            why = f"{there} is above {here}"
        elif {here, there} in INDEPENDENT:
            why = f"{here} and {there} are independent"
        elif here in ("models", "data") and LAYER[there] < len(LAYERS) - 1:
            allowed = here == "models" and f"{imported}.".startswith(f"{ALSO_FOR_MODELS}.")
            why = "" if allowed else f"{here} may import the lowest layer of the library only"
        if why:
            yield f"{path} imports {imported}: {why}"


def test_imports_go_downwards() -> None:
    files = [path.as_posix() for path in python_files()]
    assert "mtl_keras/tasks.py" in files
    assert [fault for path in files for fault in violations(path, (ROOT / path).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("mtl_keras/schedules/dst.py", "from mtl_keras import MultiTaskModel", "mtl_keras is above"),
        ("mtl_keras/schedules/dst.py", "from ..callbacks.task_scheduler import TaskScheduler", "is above"),
        ("mtl_keras/schedules/dst.py", "def f() -> None:\n    import mtl_keras.model", "is above"),
        ("mtl_keras/schedules/dst.py", "from mtl_keras.weightings import get", "independent"),
        ("mtl_keras/model.py", "import tensorflow as tf", "TensorFlow"),
        ("models/heads.py", "from data import celeb_a", "independent"),
        ("data/pipeline.py", "from mtl_keras.training import graph", "lowest layer"),
        ("mtl_keras/novelties.py", "import keras", "no layer"),
    ],
)
def test_a_wrong_import_is_found(path: str, source: str, reason: str) -> None:
    (fault,) = violations(path, source)
    assert reason in fault
