"""The best and worst examples of a run's model, as images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.predictions import Kept
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.page import Html, Section, details, paragraph, text
from mtl_keras.reports.pictures import beside, embedded, picture

_FEW = 8
_SIDE, _SMALL = 128, 96
"""Pixels of the longer side of an image, and of a small one if there are many tasks."""


def examples_section(kept: Kept, outputs: Mapping[str, Output]) -> Section:
    """Returns, for each task, the examples of the test split with the smallest and the largest loss.

    Args:
        kept: `examples.npz`.
        outputs: task -> description of its output.

    Raises:
        ValueError: if the file is damaged.
    """
    few = len(outputs) <= _FEW
    try:
        rows = {name: _rows(kept, name, output, _SIDE if few else _SMALL) for name, output in outputs.items()}
    except (IndexError, TypeError, ValueError) as cause:
        raise ValueError(f"{kept.path} is damaged: {cause}") from cause
    body = paragraph(
        "For each task, the examples of the test split with the smallest loss (best) and the largest (worst). Circles "
        "are true points, crosses predicted ones; a reconstruction is to the right of its original.",
        "note",
    )
    for name, row in rows.items():
        body = Html(body + (Html(f"<h3>{text(name)}</h3>") + row if few else details(name, row)))
    return Section("Examples", "examples", body)


def _rows(kept: Kept, name: str, output: Output, side: int) -> Html:
    figures = []
    for kind in ("best", "worst"):
        for row in kept.get(f"{kind}/{name}"):
            figures.append(_example(kept, int(row), kind, name, output, side))
    return Html(f'<div class="pictures">{"".join(figures)}</div>')


def _example(kept: Kept, row: int, kind: str, name: str, output: Output, side: int) -> str:
    true, predicted = kept.get(f"true/{name}")[row], kept.get(f"pred/{name}")[row]
    image = kept.get("images")[row]
    if output.head == "reconstruction":
        drawn = beside([picture(image, side=side), picture(predicted, side=side)])
        true, predicted = (np.asarray(values, "float64") / 255 for values in (true, predicted))
    elif output.is_points:
        drawn = picture(image, true_points=true, predicted_points=predicted, side=side)
    else:
        drawn = picture(image, side=side)
    words = output.compared(true, predicted)
    number = int(kept.get("index")[row])
    alt = f"example {number} of the test split, {kind} of {name}"
    return f"<figure>{embedded(drawn, alt)}<figcaption>{kind}, number {number}: {text(words)}</figcaption></figure>"
