"""A CSV file and small drawn images that a tiny network learns from in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = ("checks", "columns", "rows")
HEADER = ("image", "kind", "red", "bright", "contrast")
_SIDE = 16


def draw(folder: Path, count: int = 500, seed: int = 0) -> Path:
    """Draws patterns into `folder/images`, and returns a CSV file that says of each what it shows.

    `kind` is one of `KINDS`; `red` and `bright` are yes or no and 0 or 1, with gaps; `contrast` is a number in the
    thousands.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    y, x = np.mgrid[:_SIDE, :_SIDE] // 4 % 2
    patterns = {"checks": y ^ x, "columns": x, "rows": y}
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(count):
            kind = str(rng.choice(KINDS))
            red, bright = (bool(value) for value in rng.random(2) < 0.5)
            contrast = rng.uniform(20, 100)
            grey = (120 if bright else 40) + patterns[kind] * contrast + rng.normal(0, 8, (_SIDE, _SIDE))
            colours = np.stack([grey, *[grey * (0.6 if red else 1.0)] * 2], axis=-1)
            name = f"images/{number:03}.png"
            Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(folder / name)
            known = rng.random(2) < (0.7, 0.8)
            row = ["yes" if red else "no", str(int(bright))]
            writer.writerow([name, kind, *np.where(known, row, ["", "NA"]), f"{contrast * 1000:.1f}"])
    return folder / "labels.csv"
