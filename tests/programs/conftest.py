"""Programs run within the test process: TensorFlow takes seconds to start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import evaluate
import train

QUICK = ["--synthetic", "--model=mlp(dense=16)", "--epochs=1", "--examples=600", "--batch_size=20"]


@dataclass(frozen=True)
class Outcome:
    """What a program did."""

    code: int
    out: str
    err: str


Program = Callable[..., Outcome]


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    """Runs `train` or `evaluate` with flags, as the command line would."""

    def run(name: str, *arguments: str) -> Outcome:
        capsys.readouterr()
        module = {"train": train, "evaluate": evaluate}[name]
        try:
            module.program([f"{name}.py", *arguments])
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the drawn datasets of these tests are kept."""
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="session")
def finished_run(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run with a schedule, exported."""
    path = tmp_path_factory.mktemp("runs") / "garments"
    flags = [*QUICK, "--schedule=dst", f"--data_dir={drawn}", f"--run_dir={path}", "--export"]
    train.program(["train.py", *flags])
    return path
