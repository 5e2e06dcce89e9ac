"""Checkpoints: whole, few, and checked when they are read."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from experiments.checkpoints import Checkpoint, Checkpoints
from mtl_keras.export.replacing import remove_unfinished


class _Model:
    """Saves, or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def save(self, path: Path) -> None:
        path.write_text("weights")
        if self.error:
            raise self.error

    def training_state(self) -> dict[str, np.ndarray]:
        return {"seeds_0": np.array([1, 2], "uint32")}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Four were written."""
    made = Checkpoints(tmp_path / "checkpoints")
    assert made.last() is None
    assert not made
    for step in range(4):
        made.save(2, step, _Model(), {"score": math.inf, "loss": 0.1 * step})
    return made


def _last(checkpoints: Checkpoints) -> Checkpoint:
    return checkpoints.last() or pytest.fail("no checkpoint")


def test_they_are_few_and_come_back(checkpoints: Checkpoints) -> None:
    names = ["epoch-00002-step-0000002", "epoch-00002-step-0000003"]
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == names
    with pytest.raises(OSError, match=r"Cannot write .*epoch-00003-step-0000000: No space left"):
        checkpoints.save(3, 0, _Model(OSError(28, "No space left on device")), {})
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == names
    last = _last(checkpoints)
    assert (last.epoch, last.step, last.model.read_text()) == (2, 3, "weights")
    assert last.state == {"score": math.inf, "loss": 0.1 * 3}
    np.testing.assert_array_equal(last.arrays["seeds_0"], [1, 2])


@pytest.mark.parametrize("name", ["model.keras", "training.npz", "state.json", "checksums.json"])
@pytest.mark.parametrize("how", ["gone", "cut", "turned"])
def test_of_a_damaged_one_the_one_before_is_used(
    checkpoints: Checkpoints, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = checkpoints.folder / "epoch-00002-step-0000003"
    content = (newest / name).read_bytes()
    if how == "gone":
        (newest / name).unlink()
    else:
        middle = len(content) // 2
        turned = content[:middle] + bytes([content[middle] ^ 8]) + content[middle + 1 :]
        (newest / name).write_bytes(content[:middle] if how == "cut" else turned)
    assert _last(checkpoints).step == 2
    message = capsys.readouterr().err
    assert message.startswith("warning: ")
    assert str(newest) in message
    assert "Resuming from epoch-00002-step-0000002" in message
    assert _last(checkpoints).step == 2
    assert capsys.readouterr().err == ""
    assert (checkpoints.folder / "damaged-epoch-00002-step-0000003").is_dir()


def test_if_all_are_damaged_nothing_is_touched(checkpoints: Checkpoints) -> None:
    folders = sorted(checkpoints.folder.iterdir())
    for folder in folders:
        (folder / "model.keras").write_text("other")
    with pytest.raises(ValueError, match=r"No checkpoint in .* can be read: .*model\.keras is damaged"):
        checkpoints.last()
    assert sorted(checkpoints.folder.iterdir()) == folders


def test_what_a_killed_process_was_writing_goes(checkpoints: Checkpoints) -> None:
    (checkpoints.folder / ".writing-epoch-00003-step-0000000-x" / "epoch-00003-step-0000000").mkdir(parents=True)
    assert _last(checkpoints).step == 3
    remove_unfinished(checkpoints.folder.parent)
    assert len(list(checkpoints.folder.iterdir())) == 2
