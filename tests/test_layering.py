"""Imports go downwards only, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, python_files

# A room is a top-level file or folder, or one inside `mtl_keras`. Rooms may import their own level and those below.
LEVELS: dict[float, str] = {
    7: "train evaluate benchmarks docs",
    6: "experiments",
    5: "models data",
    4: "mtl_keras",  # its `__init__`: the library's front door
    3: "mtl_keras.callbacks mtl_keras.reports mtl_keras.export mtl_keras.testing",
    2: "mtl_keras.model",
    1: "mtl_keras.training",
    0: "mtl_keras.analysis mtl_keras.arguments mtl_keras.checks mtl_keras.distribution mtl_keras.extras "
    "mtl_keras.keras_private mtl_keras.labels mtl_keras.layers mtl_keras.logs mtl_keras.losses mtl_keras.metrics "
    "mtl_keras.schedules mtl_keras.serialization mtl_keras.tasks mtl_keras.weightings",
}
LEVEL = {room: level for level, rooms in LEVELS.items() for room in rooms.split()}

# Rooms that could see each other by their levels, and must not.
STRANGERS = [
    ("models", "data"),
    ("data", "models"),
    ("mtl_keras.schedules", "mtl_keras.weightings"),
    ("mtl_keras.weightings", "mtl_keras.schedules"),
]

# Of the library, these see level 0 only, and what is named here: they describe networks and data, and do not train.
LEVEL_0_AND = {"models": ("mtl_keras.training.graph",), "data": ()}

# The modules of the core that may name TensorFlow; all others are written in `keras.ops` and NumPy.
ON_TENSORFLOW = ("mtl_keras.training", "mtl_keras.distribution")
CORE = {*LEVELS[0].split(), "mtl_keras.model", "mtl_keras.training", "mtl_keras.testing", "mtl_keras"}


MODULES = {name for names in LEVEL_0_AND.values() for name in names}


def room_of(module: str) -> str | None:
    """Returns the room that a dotted module name lies in, None for a module of somebody else."""
    first, _, rest = module.partition(".")
    if first == "mtl_keras" and rest:
        return f"mtl_keras.{rest.partition('.')[0]}"
    return first if first in LEVEL or (ROOT / first).is_dir() or (ROOT / f"{first}.py").exists() else None


def imported_modules(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields the line and the absolute name of everything that a file imports, wherever in the file."""
    package = path.with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                # `from mtl_keras import schedules` means the room, `from mtl_keras import Task` the front door.
                name = f"{base}.{alias.name}"
                yield node.lineno, name if name in LEVEL or name in MODULES else base


def violations(path: Path, source: str) -> list[str]:
    """Returns what is wrong with the imports of one file.

    Args:
        path: the file, relative to the repository's root.
        source: what it holds.
    """
    parts = path.with_suffix("").parts
    here = room_of(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    if here not in LEVEL:
        return [f"{path}: the room {here!r} has no level; add it to LEVELS in {Path(__file__).name}"]
    found = []
    for line, module in imported_modules(path, ast.parse(source)):
        if here in CORE and here not in ON_TENSORFLOW and module.partition(".")[0] == "tensorflow":
            found.append(f"{path}:{line}: imports {module}: of the core, {' and '.join(ON_TENSORFLOW)} alone may")
        there = room_of(module)
        if there is None or there == here:
            continue
        if there not in LEVEL:
            reason = f"{there!r} has no level"
        elif LEVEL[there] > LEVEL[here]:
            reason = f"{there} lies above {here}"
        elif (here, there) in STRANGERS:
            reason = f"{here} and {there} must not know each other"
        elif there.startswith("mtl_keras") and LEVEL[there] > 0 and module not in LEVEL_0_AND.get(here, (module,)):
            reason = f"{here} may import level 0 of the library only"
        else:
            continue
        found.append(f"{path}:{line}: imports {module}: {reason}")
    return list(dict.fromkeys(found))


def test_imports_go_downwards() -> None:
    files = python_files()
    assert Path("mtl_keras/tasks.py") in files
    assert [fault for path in files for fault in violations(path, (ROOT / path).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("mtl_keras/schedules/dst.py", "from mtl_keras.model import MultiTaskModel", "lies above"),
        ("mtl_keras/schedules/dst.py", "from mtl_keras import callbacks", "lies above"),
        ("mtl_keras/schedules/dst.py", "from mtl_keras import MultiTaskModel", "lies above"),
        ("mtl_keras/schedules/dst.py", "from .. import callbacks", "lies above"),
        ("mtl_keras/schedules/dst.py", "from ..callbacks.task_scheduler import TaskScheduler", "lies above"),
        ("mtl_keras/schedules/dst.py", "def f() -> None:\n    import mtl_keras.model", "lies above"),
        ("mtl_keras/schedules/dst.py", "from mtl_keras.weightings import get", "must not know each other"),
        ("mtl_keras/weightings/upgrad.py", "import mtl_keras.schedules.dst", "must not know each other"),
        ("mtl_keras/model.py", "import keras\nfrom mtl_keras.callbacks import progress", "lies above"),
        ("models/heads.py", "from data import celeb_a", "must not know each other"),
        ("data/celeb_a.py", "import models.trunks", "must not know each other"),
        ("models/heads.py", "from mtl_keras.model import MultiTaskModel", "level 0"),
        ("data/pipeline.py", "import mtl_keras", "level 0"),
        ("data/pipeline.py", "from train import main", "lies above"),
        ("experiments/runner.py", "import evaluate", "lies above"),
        ("models/heads.py", "from mtl_keras.training import groups", "level 0"),
        ("models/heads.py", "from mtl_keras.training.step import Scope", "level 0"),
        ("data/pipeline.py", "from mtl_keras.training import graph", "level 0"),
        ("mtl_keras/training/step.py", "from mtl_keras.model import MultiTaskModel", "lies above"),
        ("mtl_keras/weightings/dwa.py", "from mtl_keras.training.state import LiveWeighting", "lies above"),
        ("mtl_keras/model.py", "import tensorflow as tf", "of the core"),
        ("mtl_keras/schedules/dst.py", "from tensorflow.python import eager", "of the core"),
        ("mtl_keras/model.py", "from mtl_keras.novelties import x", "has no level"),
        ("mtl_keras/novelties.py", "import keras", "has no level"),
        ("novelties/one.py", "import keras", "has no level"),
    ],
)
def test_a_bad_import_is_caught(path: str, source: str, reason: str) -> None:
    (fault,) = violations(Path(path), source)
    assert reason in fault
    assert path in fault


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("mtl_keras/schedules/dst.py", "import numpy as np\nfrom mtl_keras.schedules.base import Schedule"),
        (
            "mtl_keras/schedules/dst.py",
            "from . import base\nfrom .curves import cosine\nfrom ..serialization import Registry",
        ),
        ("mtl_keras/callbacks/task_scheduler.py", "from mtl_keras import schedules\nfrom mtl_keras.model import M"),
        ("mtl_keras/__init__.py", "from mtl_keras.callbacks import TaskScheduler\nfrom .model import M"),
        ("models/heads.py", "from mtl_keras.layers import TaskSplit\nfrom mtl_keras import tasks"),
        ("models/heads.py", "from mtl_keras.training import graph\nfrom mtl_keras.training.graph import reach"),
        ("mtl_keras/training/step.py", "import tensorflow as tf\nfrom mtl_keras.distribution import Replicas"),
        ("mtl_keras/distribution.py", "import tensorflow as tf"),
        ("mtl_keras/callbacks/tensorboard.py", "import tensorflow as tf"),
        ("experiments/runner.py", "import data\nimport models\nimport mtl_keras\nfrom mtl_keras import MultiTaskModel"),
        ("train.py", "from experiments import runner"),
    ],
)
def test_a_good_import_is_let_through(path: str, source: str) -> None:
    assert violations(Path(path), source) == []
