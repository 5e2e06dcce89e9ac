"""Draws the picture of README.md from a run on synthetic faces: `python docs/picture.py runs/flagship`."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from experiments.building import open_dataset
from experiments.files import read_history
from experiments.run_directory import RunDirectory
from models import saved

FACES = 4
SHOWN = ("Eyeglasses", "Wearing_Hat", "Smiling", "Blond_Hair", "Wearing_Necktie")


def main(run: str) -> None:
    """Draws predictions for test images, and the schedule's probabilities, into docs/images/flagship.png."""
    directory = RunDirectory(run)
    dataset = open_dataset(directory.config())
    images, labels = next(iter(dataset.batches("test", FACES)))
    predictions = saved.load_keras_file(directory.best_model).predict_on_batch(images)
    figure = plt.figure(figsize=(11, 5.2), layout="constrained")
    faces, schedule = figure.subfigures(1, 2, width_ratios=(1, 1))
    for i, axes in enumerate(faces.subplots(2, FACES // 2).flat):
        axes.imshow(images[i])
        for points, style in ((labels["landmarks"][i], "wo"), (predictions["landmarks"][i], "r+")):
            x, y = np.reshape(points, (-1, 2)).T * images.shape[1] - 0.5
            axes.plot(x, y, style, markersize=6, fillstyle="none")
        predicted = [name.replace("_", " ") for name in SHOWN if predictions[name][i, 0] >= 0.5]
        axes.set_title(", ".join(predicted) or "-", fontsize=8)
        axes.axis("off")
    faces.suptitle("Synthetic test faces: predicted attributes (five of 40) and landmarks (+, true: o)", fontsize=9)
    tasks, history = list(dataset.tasks), read_history(directory.history_file)
    axes = schedule.subplots()
    probabilities = [history[f"{task}_probability"] for task in tasks]
    image = axes.imshow(probabilities, aspect="auto", cmap="cividis", vmin=0, vmax=1)
    axes.set_yticks(range(len(tasks)), tasks, fontsize=5)
    axes.set_xlabel("epoch")
    axes.set_title("DST: probability that a task runs in a step", fontsize=9)
    schedule.colorbar(image)
    target = Path(__file__).parent / "images" / "flagship.png"
    figure.savefig(target, dpi=100)
    print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
