"""Describes your own files before a run begins, since kinds of tasks are inferred and may be wrong."""

from __future__ import annotations

import textwrap

import data
from experiments.config import RunConfig
from experiments.few_steps import are_few

_WIDTH = 79


def announcement(dataset: data.AnyDataset, config: RunConfig) -> str:
    """Returns a line about the images, a line for each kind of task with its tasks, and a warning about few steps.

    Lines are cut to 79 characters.
    """
    sizes = ", ".join(f"{dataset.size(split)} {split}" for split in ("train", "validation", "test"))
    lines = [f"Data: {sizes}; images as {'x'.join(map(str, dataset.image_shape))} (--image_size)"]
    kinds: dict[str, list[str]] = {}
    for name, task in dataset.tasks.items():
        labels = f" ({', '.join(task.labels)})" if task.labels and task.head == "classification" else ""
        kinds.setdefault(task.head, []).append(f"{name}{labels}")
    lines += [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
    steps = config.epochs * dataset.steps("train", config.batch_size)
    if are_few(steps):
        lines.append(f"Few steps: {steps} in all. A lower --batch_size or more --epochs may do better.")
    return "\n".join(textwrap.shorten(line, _WIDTH, placeholder=" ...") for line in lines)
