"""CelebA in TFDS format and as plain files: the same training."""

from __future__ import annotations

import json
from pathlib import Path

from data.synthetic import materialise
from tests.celeb_a_folder import write_celeb_a_folder
from tests.programs.conftest import Program

SIZES = {"train": 8, "validation": 4, "test": 4}
NETWORK = "face_groups(trunk='cnn(filters=4)', frozen=False)"


def test_both_give_the_same_history(program: Program, drawn: Path, tmp_path: Path) -> None:
    sources = {
        "tfds": materialise("celeb_a", SIZES, cache_dir=drawn),
        "files": write_celeb_a_folder(tmp_path / "files", SIZES, zipped=True),
    }
    histories = {}
    for source, path in sources.items():
        run = tmp_path / f"run-{source}"
        flags = ["--experiment=celeba_landmarks", f"--model={NETWORK}", "--epochs=1", "--batch_size=4"]
        outcome = program("train", *flags, f"--data_dir={path}", f"--run_dir={run}")
        assert outcome.code == 0, outcome.err
        histories[source] = (run / "history.csv").read_text()
        assert json.loads((run / "config.json").read_text())["data"]["sizes"] == SIZES
    assert histories["tfds"] == histories["files"]
