"""Maps of dense tasks (classes, depth, surface normals, numbers) as pictures, and their errors.

Classes have fixed colours, the same in every picture: the first seven are those of Okabe and Ito, the others as far as
possible from them and from each other for people with any colour vision. Numbers have matplotlib's viridis, errors its
magma, and normals the colour `(n + 1) / 2`. Pixels without a label are black, and grey in maps of errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw

from mtl_keras.analysis.pixels import CLASS_HEADS, is_labelled
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import fitted_size, picture, text_font
from mtl_keras.reports.style import GREY, VERMILLION

PALETTE = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "sky blue": "#56B4E9",
    "vermillion": "#D55E00",
    "yellow": "#F0E442",
    "bright blue": "#0000FF",
    "navy": "#00008B",
    "ivory": "#FFFFF0",
    "maroon": "#8B0000",
    "mint": "#90EE90",
    "slate": "#2F4F4F",
    "royal blue": "#4169E1",
    "powder blue": "#ADD8E6",
    "crimson": "#DC143C",
    "sandy brown": "#F4A460",
    "purple": "#800080",
    "aquamarine": "#66CDAA",
    "olive": "#556B2F",
}
"""Name of a colour -> colour, in the order of the classes. Further classes repeat them darker, then lighter."""
RIGHT, WRONG = "#F2F2F2", VERMILLION
"""Colours of pixels whose class is right and wrong."""
UNLABELLED, UNLABELLED_ERROR = "#000000", GREY
"""Colours of pixels without a label: none of those of classes, numbers and normals, and none of those of errors."""
NUMBERS, ERRORS = "viridis", "magma"
"""Matplotlib colour maps for numbers and for errors."""
_SHADES = (("", 1.0), ("dark ", 0.6), ("pale ", 0.45))
_LEVELS = 255  # of a colour map; the last index of a palette is for pixels without a label
_MARGIN, _LINE, _SWATCH = 4, 16, 11


class ClassColour(NamedTuple):
    """The colour of a class.

    Attributes:
        name: name of the class.
        colour: its colour, `"#0072B2"`.
        words: the name of the colour.
    """

    name: str
    colour: str
    words: str


def class_colour(index: int) -> tuple[str, str]:
    """Returns the colour of a class and its name; those of 60 classes differ."""
    words, colour = list(PALETTE.items())[index % len(PALETTE)]
    shade, strength = _SHADES[index // len(PALETTE) % len(_SHADES)]
    parts = [1 - (1 - part) * strength if shade == "pale " else part * strength for part in to_rgb(colour)]
    return mpl.colors.to_hex((parts[0], parts[1], parts[2])).upper(), shade + words


def legend(output: Output, maps: Iterable[np.ndarray]) -> list[ClassColour]:
    """Returns the colours of the classes that occur in maps `(height, width)`; empty if `output` has no classes."""
    if output.head not in CLASS_HEADS:
        return []
    present = np.unique(np.concatenate([np.unique(each) for each in maps] or [np.zeros(0, int)]))
    return [ClassColour(output.classes[index], *class_colour(int(index))) for index in present if index >= 0]


def limits_of(maps: Iterable[np.ndarray]) -> tuple[float, float]:
    """Returns the smallest and the largest finite number of maps; (0, 1) if there is none."""
    numbers = [each[np.isfinite(each)] for each in maps]
    known = [each for each in numbers if len(each)]
    if not known:
        return 0.0, 1.0
    return min(float(each.min()) for each in known), max(float(each.max()) for each in known)


def map_picture(
    output: Output, values: np.ndarray, *, limits: tuple[float, float] | None = None, side: int = 128
) -> Image.Image:
    """Returns a map as a picture whose longer side has `side` pixels.

    Of numbers with several channels it shows the first, or the first three as red, green and blue.

    Args:
        output: the task.
        values: a label or prediction: `Output.label_map` or `Output.prediction_map`.
        limits: the numbers at the ends of the colour map; by default the smallest and the largest of `values`.
        side: longer side of the result, in pixels.

    Returns:
        A picture of mode `P` for classes and one channel, else `RGB`.
    """
    if output.head in CLASS_HEADS:
        cycle = len(PALETTE) * len(_SHADES)
        colours = [class_colour(index)[0] for index in range(cycle)]
        return _resized(_indexed(np.where(values >= 0, values % cycle, _LEVELS), colours, UNLABELLED), side)
    known = is_labelled(values[None])[0]
    values = np.nan_to_num(values.astype("float32"))
    low, high = limits or limits_of([values[known]])
    if output.head != "normals":
        values = (values - low) / (high - low if high > low else 1.0)
        if values.shape[-1] < 3:
            return _resized(_scaled(values[..., 0], known, NUMBERS, UNLABELLED), side)
    else:
        values = (values + 1) / 2
    colours_of_pixels = np.clip(values[..., :3] * 255 + 0.5, 0, 255).astype(np.uint8)
    colours_of_pixels[~known] = _bytes(UNLABELLED)
    return _resized(Image.fromarray(colours_of_pixels, "RGB"), side)


def error_picture(output: Output, errors: np.ndarray, *, limit: float, side: int = 128) -> Image.Image:
    """Returns the errors of pixels as a picture of mode `P`.

    Wrong classes are vermillion and right ones almost white; other errors go from black (0) to light yellow.

    Args:
        output: the task.
        errors: `(height, width)`, the result of `Output.pixel_errors`; NaN where there is no label.
        limit: the error at the end of the colour map.
        side: longer side of the result, in pixels.
    """
    known = np.isfinite(errors)
    if output.head in CLASS_HEADS:
        return _resized(_indexed(np.where(known, errors == 1, _LEVELS), [RIGHT, WRONG], UNLABELLED_ERROR), side)
    shares = np.nan_to_num(errors) / (limit if limit > 0 else 1.0)
    return _resized(_scaled(shares, known, ERRORS, UNLABELLED_ERROR), side)


def error_limit(errors: Iterable[np.ndarray]) -> float:
    """Returns the end of a scale of errors: what 98% of them do not exceed, with two digits; 1 without any."""
    known = np.concatenate([each[np.isfinite(each)] for each in errors] or [np.zeros(0)])
    limit = float(np.quantile(known, 0.98)) if len(known) else 0.0
    return float(f"{limit:.2g}") if math.isfinite(limit) and limit > 0 else 1.0


def panels(
    output: Output,
    image: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    *,
    limits: tuple[float, float] | None = None,
    limit: float | None = None,
    side: int = 128,
) -> dict[str, Image.Image]:
    """Returns `image`, `label`, `prediction` and `error` as pictures. Label and prediction have the same colours.

    Args:
        output: the task.
        image: uint8 `(height, width, channels)`, or floats in [0, 1].
        true: map of the label.
        predicted: map of the prediction.
        limits: the numbers at the ends of the colour map; by default those of the label.
        limit: the error at the end of its colour map; by default `error_limit`.
        side: longer side of each picture, in pixels.
    """
    errors = output.pixel_errors(true, predicted)
    limits = limits or limits_of([true])
    return {
        "image": picture(image, side=side),
        "label": map_picture(output, true, limits=limits, side=side),
        "prediction": map_picture(output, predicted, limits=limits, side=side),
        "error": error_picture(output, errors, limit=limit or error_limit([errors]), side=side),
    }


def palette_picture(classes: np.ndarray, count: int) -> Image.Image:
    """Returns a picture of mode `P` whose values are class indices, with the colours of the classes as its palette.

    Args:
        classes: `(height, width)`, from 0 to `count` - 1.
        count: number of classes, at most 256.

    Raises:
        ValueError: for more classes.
    """
    if count > 256:
        raise ValueError(f"count must be at most 256, the values of an 8-bit picture. Received: {count}")
    return _indexed(classes, [class_colour(index)[0] for index in range(count)])


def legend_picture(entries: Sequence[ClassColour], width: int) -> Image.Image:
    """Returns a picture of the colours of classes with their names, in lines of about `width` pixels."""
    font = text_font()
    places, left, top = [], _MARGIN, _MARGIN
    for entry in entries:
        needed = _SWATCH + _MARGIN + math.ceil(font.getlength(entry.name)) + 2 * _MARGIN
        if left + needed > width and left > _MARGIN:
            left, top = _MARGIN, top + _LINE
        places.append((left, top, needed))
        left += needed
    wide = max((x + needed for x, _, needed in places), default=1)
    sheet = Image.new("RGB", (max(width, wide), top + _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for entry, (x, y, _) in zip(entries, places):
        pen.rectangle((x, y + 1, x + _SWATCH, y + 1 + _SWATCH), fill=entry.colour, outline="black")
        pen.text((x + _SWATCH + _MARGIN, y), entry.name, fill="black", font=font)
    return sheet


def _indexed(indices: np.ndarray, colours: Sequence[str], unlabelled: str | None = None) -> Image.Image:
    """Returns a picture of mode `P` of indices of colours; the index 255 has the colour `unlabelled`, if given."""
    drawn = Image.fromarray(np.ascontiguousarray(indices.astype(np.uint8)), "P")
    table = [part for colour in colours for part in _bytes(colour)]
    if unlabelled is not None:
        table += [0] * (3 * _LEVELS - len(table)) + _bytes(unlabelled)
    drawn.putpalette(table)
    return drawn


def _scaled(shares: np.ndarray, known: np.ndarray, colours: str, unlabelled: str) -> Image.Image:
    """Returns a picture of numbers `(height, width)`, from 0 to 1 on a colour map."""
    levels = np.clip(shares * (_LEVELS - 1) + 0.5, 0, _LEVELS - 1).astype(np.uint8)
    table = mpl.colormaps[colours](np.linspace(0, 1, _LEVELS))
    return _indexed(np.where(known, levels, _LEVELS), list(map(mpl.colors.to_hex, table)), unlabelled)


def _bytes(colour: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(colour)]


def _resized(drawn: Image.Image, side: int) -> Image.Image:
    # Without mixing neighbours: the mean of two classes or of two indices is neither of them.
    return drawn.resize(fitted_size(drawn.size, side), Image.Resampling.NEAREST)
