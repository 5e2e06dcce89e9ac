"""The figures of RESULTS.md: learning curves of single runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt


def draw_totals(records: Sequence[Path], target: Path) -> None:
    """Draws the weighted total of the losses, in training and validation, one panel a record.

    Args:
        records: JSON files of runs in docs/results.
        target: the PNG file to write.
    """
    figure, panels = plt.subplots(
        1, len(records), figsize=(1.5 + 2.5 * len(records), 3), sharey=True, layout="constrained", squeeze=False
    )
    for axes, file in zip(panels.flat, records):
        history = json.loads(file.read_text(encoding="utf-8"))["history"]
        epochs = range(1, len(history["loss"]) + 1)
        axes.plot(epochs, history["loss"], "-", color="tab:blue", label="training")
        axes.plot(epochs, history["val_loss"], "--", color="tab:orange", label="validation")
        axes.set_title(file.stem, fontsize=9)
        axes.set_xlabel("epoch")
        axes.set_yscale("log")
        axes.grid(alpha=0.3, which="both")
    panels.flat[0].set_ylabel("weighted total of the losses")
    panels.flat[0].legend(fontsize=8)
    figure.savefig(target, dpi=100)
    plt.close(figure)
