"""Images with their predictions: points, reconstructions, text."""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mtl_keras.reports.style import GREEN, VERMILLION

_LINE, _MARGIN = 14, 4
"""Height of a line of text and margin around the text, in pixels."""
_LETTER = 6.6
"""Average width of a letter, in pixels."""


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Returns images of floats in [0, 1] as uint8; uint8 images are returned unchanged."""
    if images.dtype == np.uint8:
        return images
    return np.clip(np.nan_to_num(images) * 255 + 0.5, 0, 255).astype(np.uint8)


def picture(
    image: np.ndarray,
    *,
    true_points: np.ndarray | None = None,
    predicted_points: np.ndarray | None = None,
    side: int = 128,
) -> Image.Image:
    """Returns an image, enlarged or reduced so that its longer side has `side` pixels, with points drawn on it.

    Args:
        image: uint8 `(height, width, channels)`, or floats in [0, 1].
        true_points: `(2 * points,)`: x0, y0, x1, y1, ... in [0, 1], drawn as circles; NaN ones are not drawn.
        predicted_points: the same, drawn as crosses.
        side: longer side of the result, in pixels.
    """
    pixels = to_bytes(np.asarray(image))
    pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    drawn = Image.fromarray(np.ascontiguousarray(pixels), "RGB")
    size = fitted_size(drawn.size, side)
    drawn = drawn.resize(size, Image.Resampling.NEAREST if side >= 2 * max(drawn.size) else Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(drawn)
    radius = max(2.0, side / 40)
    for x, y in _points(true_points, size):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=GREEN, width=2)
    for x, y in _points(predicted_points, size):
        for slope in (1, -1):
            pen.line((x - radius, y - slope * radius, x + radius, y + slope * radius), fill=VERMILLION, width=2)
    return drawn


def fitted_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Returns a size (width, height) enlarged or reduced so that its longer side has `side` pixels."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """Returns pictures side by side, with a small gap between them."""
    width = sum(each.width for each in pictures) + _MARGIN * (len(pictures) - 1)
    joined = Image.new("RGB", (width, max(each.height for each in pictures)), "white")
    left = 0
    for each in pictures:
        joined.paste(each, (left, 0))
        left += each.width + _MARGIN
    return joined


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Returns pictures below each other, with a small gap between them."""
    height = sum(each.height for each in pictures) + _MARGIN * (len(pictures) - 1)
    joined = Image.new("RGB", (max(each.width for each in pictures), height), "white")
    top = 0
    for each in pictures:
        joined.paste(each, (0, top))
        top += each.height + _MARGIN
    return joined


def same_size(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Returns pictures padded with white to the largest width and height among them."""
    size = (max(each.width for each in pictures), max(each.height for each in pictures))
    sheets = []
    for each in pictures:
        sheet = Image.new("RGB", size, "white")
        sheet.paste(each, (0, 0))
        sheets.append(sheet)
    return sheets


def with_caption(drawn: Image.Image, lines: Sequence[str], least_width: int = 200) -> Image.Image:
    """Returns a picture with lines of text below it, wrapped to about its width or to `least_width` pixels."""
    letters = int((max(drawn.width, least_width) - 2 * _MARGIN) / _LETTER)
    wrapped = [part for line in lines for part in textwrap.wrap(line, letters) or [""]]
    font = text_font()
    widest = max((math.ceil(font.getlength(line)) for line in wrapped), default=0)
    width = max(drawn.width, least_width, widest + 2 * _MARGIN)
    sheet = Image.new("RGB", (width, drawn.height + 2 * _MARGIN + _LINE * len(wrapped)), "white")
    sheet.paste(drawn, ((width - drawn.width) // 2, 0))
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(wrapped):
        pen.text((_MARGIN, drawn.height + _MARGIN + _LINE * number), line, fill="black", font=font)
    return sheet


def text_font() -> ImageFont.FreeTypeFont:
    """Returns the font of text in pictures."""
    # Matplotlib's font has Greek and Cyrillic letters too; Pillow's does not.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 11)


def data_uri(drawn: Image.Image) -> str:
    """Returns a picture in a `data:` URI, for the `src` of an `<img>`: PNG for one with a palette, else JPEG."""
    content = io.BytesIO()
    if drawn.mode == "P":
        drawn.save(content, "PNG", optimize=True)
        kind = "png"
    else:
        drawn.save(content, "JPEG", quality=82)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def _points(values: np.ndarray | None, size: tuple[int, int]) -> list[tuple[float, float]]:
    if values is None:
        return []
    pairs = np.asarray(values, "float64").reshape(-1, 2) * size
    return [(float(x), float(y)) for x, y in pairs if np.isfinite([x, y]).all()]
