from __future__ import annotations

import gc
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from absl import flags
from rich.console import Console

from experiments.commands import command_line
from tests.sources import ROOT


@pytest.fixture
def collecting() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("program", ["train", "evaluate"])
def test_flags_are_read_before_tensorflow_is_imported(program: str) -> None:
    asked = f"import {program}, sys; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT).returncode == 0


@pytest.mark.usefixtures("collecting")
def test_no_garbage_is_looked_for_while_tensorflow_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("import gc\ncollected = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow")
    seen = []
    command_line(
        lambda values: seen.append((sys.modules["tensorflow"].collected, gc.isenabled(), gc.get_freeze_count() > 0)),
        flags.FlagValues(),
        ["program"],
    )
    assert seen == [(False, True, True)]


@pytest.mark.usefixtures("collecting")
def test_garbage_is_looked_for_again_if_tensorflow_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('broken')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow")
    with pytest.raises(ImportError, match="broken"):
        command_line(lambda values: None, flags.FlagValues(), ["program"])
    assert gc.isenabled()


@pytest.mark.parametrize("notebook", [False, True])
def test_a_notebook_shows_no_live_display(notebook: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    # `!python train.py` runs in a pseudo-terminal, with these variables.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    if notebook:
        monkeypatch.setenv("JPY_PARENT_PID", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "")
    monkeypatch.delenv("TTY_COMPATIBLE")
    seen = []
    command_line(lambda values: seen.append(Console(file=terminal).is_terminal), flags.FlagValues(), ["program"])
    assert seen == [not notebook]
