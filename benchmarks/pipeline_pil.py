"""One of the processes of PIL beside `pipeline.py`: `pipeline_pil.py FOLDER BATCH PROCESSES NUMBER SHARED`.

For each line that it reads it decodes, crops and resizes its share of the JPEGs in a folder, one batch after the other,
into a shared file of two batches, uint8 (2, batch, 128, 128, 3). It prints how many images a batch has, and waits for a
line before it uses the place of a batch again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

BOX, SIZE = (0, 20, 178, 198), (128, 128)  # centre crop of 178x178, then 128x128


def framed(path: Path) -> np.ndarray:
    """Returns the uint8 (128, 128, 3) image in a JPEG of 178x218 pixels."""
    with Image.open(path) as image:
        return np.asarray(image.crop(BOX).resize(SIZE, Image.Resampling.BILINEAR))


def main() -> None:
    """Does the work until there is no more input."""
    folder, batch, processes, number = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    shared = np.memmap(sys.argv[5], np.uint8, "r+", shape=(2, batch, *SIZE, 3))
    paths = sorted(folder.iterdir())[number::processes]
    while sys.stdin.readline():
        for index, start in enumerate(range(0, len(paths), batch)):
            if index > 1:
                sys.stdin.readline()
            chosen = paths[start : start + batch]
            for place, path in enumerate(chosen):
                shared[index % 2, place] = framed(path)
            print(len(chosen), flush=True)


if __name__ == "__main__":
    main()
