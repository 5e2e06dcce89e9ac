"""The content of model files and specifications is never executed."""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

import evaluate
from experiments.building import make_optimizer, make_schedule
from experiments.config import RunConfig
from experiments.run_directory import RunDirectory
from models import network, saved
from mtl_keras import MultiTaskModel, Task, TaskSet, schedules, weightings
from mtl_keras.schedules import CURVES
from tests.sources import ROOT, python_files

# Arguments with which Keras or NumPy execute what is in a file; ruff checks the functions that do (see pyproject.toml).
UNSAFE = {"allow_pickle": True, "safe_mode": False}


def unsafe_calls(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "enable_unsafe_deserialization":
            yield node.attr
        if isinstance(node, ast.keyword) and node.arg in UNSAFE:
            value = ast.unparse(node.value)
            if value != str(not UNSAFE[node.arg]):  # a name could be either
                yield f"{node.arg}={value}"


def test_no_file_is_read_in_a_way_that_executes_it() -> None:
    files = python_files(tests=True)
    assert Path("mtl_keras/serialization.py") in files
    assert [(path, call) for path in files for call in unsafe_calls((ROOT / path).read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("np.load(path, allow_pickle=True)", ["allow_pickle=True"]),
        ("np.load(path, allow_pickle=trusted)", ["allow_pickle=trusted"]),
        ("keras.models.load_model(path, safe_mode=False)", ["safe_mode=False"]),
        ("keras.config.enable_unsafe_deserialization()", ["enable_unsafe_deserialization"]),
        ("np.load(path, allow_pickle=False); load_model(path, safe_mode=True)", []),
    ],
)
def test_an_unsafe_call_is_found(source: str, found: list[str]) -> None:
    assert list(unsafe_calls(source)) == found


SPECIFICATIONS = [
    "__import__('os').system('touch executed')",
    "dst(floor=__import__('os'))",
    "dst(floor=__import__('os').system('touch executed'))",
    "open('executed', 'w')",
    "(lambda: open('executed', 'w'))()",
    "dst(floor=open('executed', 'w'))",
    "static({'a': open('executed', 'w')})",
    "cnn(filters=open('executed', 'w'))",
    "adam(beta_1=open('executed', 'w'))",
    "adam(beta_1=exec(\"open('executed', 'w')\"))",
    "[open('executed', 'w') for _ in '1']",
    'dst(floor=f\'{open("executed", "w")}\')',
    "dst.__class__.__mro__",
    "dst(floor=().__class__.__base__.__subclasses__())",
    "get_file('executed', 'file:///etc/hostname')",
]
READERS: dict[str, Callable[[str], Any]] = {
    "schedule": schedules.get,
    "run's schedule": make_schedule,
    "curve": CURVES.get,
    "weighting": weightings.get,
    "optimizer": lambda text: make_optimizer(text, 1e-3),
    "network": lambda text: network(text, TaskSet([Task.binary("a")]), (8, 8, 3)),
    "setting": lambda text: RunConfig(schedule=text, weighting=text, optimizer=text, synthetic=True).check(),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, where whatever is executed leaves a file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", SPECIFICATIONS)
def test_a_specification_is_not_executed(reader: str, text: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="Received") as caught:
        READERS[reader](text)
    assert "\n" not in str(caught.value)
    assert not list(folder.iterdir())


def small_model(head: keras.layers.Layer) -> MultiTaskModel:
    inputs = keras.Input((2,))
    return MultiTaskModel(inputs, {"item": head(inputs)})


def lambda_file(path: Path) -> None:
    """Writes a model with a layer of Python code, which leaves a file when it is run."""
    executed = str(path.parent / "executed")
    small_model(keras.layers.Lambda(lambda x: (Path(executed).touch(), x)[1], output_shape=(2,))).save(path)
    Path(executed).unlink(missing_ok=True)


def forged_file(path: Path) -> None:
    """Writes a model whose activation is said to be a function that runs what it is given."""
    small_model(keras.layers.Dense(1, activation="relu")).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    function = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    text = parts["config.json"].decode()
    assert text.count('"activation": "relu"') == 1
    parts["config.json"] = text.replace('"activation": "relu"', f'"activation": {json.dumps(function)}').encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("write", [lambda_file, forged_file])
def test_the_code_in_a_model_file_is_refused(write: Callable[[Path], None], folder: Path) -> None:
    path = folder / "best.keras"
    write(path)
    with pytest.raises(ValueError, match=r"deseriali|is refused: it contains code") as caught:
        saved.load_keras_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises((ValueError, TypeError), match="deseriali"):
        keras.models.load_model(path)
    assert list(folder.iterdir()) == [path]


def test_evaluate_refuses_a_model_with_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(folder / "run")
    run.create(RunConfig(synthetic=True, examples=20, data_dir=str(folder / "data")), {})
    lambda_file(run.best_model)
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        evaluate.program(["evaluate.py", f"--run_dir={run.path}"])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "best.keras" in said
    assert "Lambda" in said
    assert not (run.path / "executed").exists()
