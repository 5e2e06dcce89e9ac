"""A locked folder: one process at a time, and free again when that process ends in any way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.lock import locked
from tests.sources import ROOT

_HOLD = """
import sys, time
from pathlib import Path
from experiments.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_frees_its_lock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="Another process is using the run directory"), locked(folder):
            pass
        holder.kill()
        holder.wait()
    with locked(folder):
        pass
    assert list(folder.iterdir()) == []
