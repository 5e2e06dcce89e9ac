"""`RunDirectory`: the settings, logs and results of a run."""

from __future__ import annotations

import datetime
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.checkpoints import Checkpoints
from experiments.config import RunConfig
from experiments.evaluation import Evaluation
from experiments.files import read_json, write_json
from experiments.lock import LOCK_FILE
from mtl_keras.export.formats import SUFFIXES
from mtl_keras.export.replacing import remove_unfinished

_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy")
PROVENANCE = ("versions", "git_revision", "date", "cores")
"""Entries of `config.json` besides the settings and the data: how and when the run was started."""

REVISION_VARIABLE = "MTL_KERAS_REVISION"


class RunDirectory:
    """The files of a run.

    They are `config.json`, `history.csv`, `metrics.json`, `predictions.npz`, `examples.npz`, `report.html`,
    `tensorboard/`, `best.keras`, `checkpoints/` and, if requested, `saved_model/`, `model.onnx`, `model.tflite` and
    `gradients.json` and `affinity.json`; `sharing.json` if the network shares softly; `nonfinite/` if the loss became
    NaN or infinite; `output.txt` if the run had a process of its own.

    Args:
        path: the directory.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.history_file = self.path / "history.csv"
        self.gradients_file = self.path / "gradients.json"
        self.affinity_file = self.path / "affinity.json"
        self.sharing_file = self.path / "sharing.json"
        self.metrics_file = self.path / "metrics.json"
        self.predictions_file = self.path / "predictions.npz"
        self.examples_file = self.path / "examples.npz"
        self.output_file = self.path / "output.txt"
        self.report_file = self.path / "report.html"
        self.tensorboard = self.path / "tensorboard"
        self.best_model = self.path / "best.keras"
        self.best_weights = self.path / "best_weights"
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self.nonfinite = self.path / "nonfinite"
        self.saved_model = self.path / "saved_model"

    @property
    def started(self) -> bool:
        """Whether a run has been started here."""
        return self.config_file.exists()

    def check_new(self) -> None:
        """Checks that a new run can start here.

        Raises:
            ValueError: if the directory is not empty.
        """
        if self.path.exists() and (not self.path.is_dir() or any(p.name != LOCK_FILE for p in self.path.iterdir())):
            raise ValueError(
                f"The run directory already exists. Pass --resume to resume the run, or another --run_dir. "
                f"Received: run_dir={str(self.path)!r}"
            )

    def create(self, config: RunConfig, data: Mapping[str, Any] | None = None) -> None:
        """Creates the directory and writes the configuration, with the data and the provenance.

        Args:
            config: the settings.
            data: description of the dataset, as JSON values; `None` before it is opened.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config_file, {**config.to_json(), "data": dict(data or {}), **_provenance()})

    def remove_unfinished(self) -> None:
        """Removes unfinished files of a killed process."""
        remove_unfinished(self.path)

    def remove(self) -> None:
        """Removes the directory of a run that failed before it saved anything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def config(self) -> RunConfig:
        """Returns the configuration that the run was started with.

        Raises:
            ValueError: if there is none or it cannot be read, naming the file.
        """
        if not self.started:
            raise ValueError(f"No run found: the directory has no config.json. Received: run_dir={str(self.path)!r}")
        values = read_json(self.config_file)
        if not isinstance(values, dict):
            raise ValueError(f"{self.config_file} is damaged: it holds no settings")
        own = {name: value for name, value in values.items() if name not in ("data", *PROVENANCE)}
        try:
            return RunConfig.from_json(own)
        except (ValueError, TypeError) as cause:
            raise ValueError(f"{self.config_file} is damaged: {cause}") from cause

    def evaluation_file(self, model: str, split: str) -> Path:
        """Returns the file for the evaluation of a model (`"best"`, `"saved_model"`) on a split."""
        return self.path / f"evaluation-{model}-{split}.json"

    def write_evaluation(self, model: str, split: str, evaluation: Evaluation) -> Path:
        """Writes an evaluation and returns the file."""
        file = self.evaluation_file(model, split)
        write_json(file, {"model": model, "split": split, **evaluation.to_json()})
        return file

    def exported_model(self, format: str) -> Path:
        """Returns the path of the exported model in a format: `"saved_model"`, `"onnx"` or `"litert"`."""
        return self.saved_model if format == "saved_model" else self.path / f"model{SUFFIXES[format]}"

    def remove_results(self) -> None:
        """Removes the results of a model before it is trained further."""
        measured = (self.metrics_file, self.predictions_file, self.examples_file, self.report_file)
        for file in (*measured, *self.path.glob("evaluation-*.json")):
            file.unlink(missing_ok=True)


def _provenance() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in _PACKAGES}},
        "git_revision": git_revision(),
        "date": f"{datetime.date.today():%Y-%m-%d}",
        "cores": cores,
    }


@functools.cache  # config.json is written before the data are opened, and again when they are known
def git_revision() -> str | None:
    """Returns the revision of the code, if it is in a git checkout.

    A copy of the code that was sent to another machine is not: its revision is in `REVISION_VARIABLE`.
    """
    if revision := os.environ.get(REVISION_VARIABLE):
        return revision
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
