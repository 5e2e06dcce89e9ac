"""Nothing that is read is executed: not by the source's own doing, not from a model file, not from a specification."""

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
from experiments.commands import command_line
from experiments.config import RunConfig, make_optimizer, make_schedule
from experiments.loading import load_model
from experiments.run_directory import RunDirectory
from models import network
from mtl_keras import MultiTaskModel, Task, TaskSet, schedules, weightings
from mtl_keras.schedules import curves
from tests.sources import ROOT, python_files

# The blocks of code in the documentation are run by their test, and a model is read from the bytes that its test made.
ALLOWED = {(Path("tests/test_docs.py"), "calls exec"), (Path("tests/drop_in/test_saving.py"), "imports pickle")}

_CALLS = {"eval", "exec", "__import__"}
_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
_ATTRIBUTES = {
    "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "torch.load", "np.loads", "tempfile.mktemp",
    "shutil.unpack_archive", "builtins.eval", "builtins.exec",
}  # fmt: skip
_METHODS = {"extractall", "read_pickle", "enable_unsafe_deserialization"}
_KEYWORDS = {"allow_pickle": True, "safe_mode": False, "shell": True, "extract": True, "untar": True}
_EVERYWHERE = ".".join("0000")  # the address that a server open to the whole network binds to


def dangers(source: str) -> Iterator[str]:
    """Yields what a file does that could execute, or show to everybody, what it did not write itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in _MODULES:
                    yield f"imports {alias.name}"
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            if (node.module or "").split(".")[0] in _MODULES:
                yield f"imports {node.module}"
            yield from (f"imports {name}" for name in sorted(names & _ATTRIBUTES))
        elif isinstance(node, ast.Name) and node.id in _CALLS:
            yield f"calls {node.id}"
        elif isinstance(node, ast.Attribute):
            whole = f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else node.attr
            if whole in _ATTRIBUTES or node.attr in _METHODS:
                yield f"calls {whole}"
        elif isinstance(node, ast.keyword) and node.arg in _KEYWORDS:
            # What is not written out could be either.
            if not isinstance(node.value, ast.Constant) or bool(node.value.value) == _KEYWORDS[node.arg]:
                yield f"passes {node.arg}={ast.unparse(node.value)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _EVERYWHERE in node.value:
            yield f"names {_EVERYWHERE}"


def test_the_source_executes_nothing_that_it_reads() -> None:
    files = python_files(tests=True)
    assert Path("mtl_keras/serialization.py") in files
    found = {(path, danger) for path in files for danger in dangers((ROOT / path).read_text("utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("source", "danger"),
    [
        ("eval('1')", "calls eval"),
        ("run = exec", "calls exec"),
        ("__import__('os')", "calls __import__"),
        ("import pickle as p", "imports pickle"),
        ("from marshal import loads", "imports marshal"),
        ("import shelve, ast", "imports shelve"),
        ("from os import system", "imports os.system"),
        ("os.system('ls')", "calls os.system"),
        ("yaml.load(text, yaml.Loader)", "calls yaml.load"),
        ("np.load(path, allow_pickle=True)", "passes allow_pickle=True"),
        ("np.load(path, allow_pickle=trusted)", "passes allow_pickle=trusted"),
        ("keras.models.load_model(path, safe_mode=False)", "passes safe_mode=False"),
        ("keras.config.enable_unsafe_deserialization()", "calls enable_unsafe_deserialization"),
        ("subprocess.run('ls', shell=True)", "passes shell=True"),
        ("tarfile.open(path).extractall(folder)", "calls extractall"),
        (f"serve(host='{_EVERYWHERE}')", f"names {_EVERYWHERE}"),
    ],
)
def test_a_danger_is_seen(source: str, danger: str) -> None:
    assert list(dangers(source)) == [danger]


def test_what_looks_alike_is_none() -> None:
    harmless = (
        "ast.literal_eval(x); model.compile('sgd'); np.load(f, allow_pickle=False); yaml.safe_load(t); model.eval()"
    )
    assert list(dangers(harmless)) == []


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
    "curve": curves.get,
    "weighting": weightings.get,
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


@pytest.mark.parametrize("text", SPECIFICATIONS)
def test_an_optimizer_is_not_executed(text: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="Received"):
        make_optimizer(text, 1e-3)
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
    with pytest.raises(ValueError, match=r"deseriali|is refused: it holds code") as caught:
        load_model(path)
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
        command_line(evaluate.main, evaluate.FLAGS, ["evaluate.py", f"--run_dir={run.path}"])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "best.keras" in said
    assert "Lambda" in said
    assert not (run.path / "executed").exists()
