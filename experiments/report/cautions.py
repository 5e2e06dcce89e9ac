"""What a reader should be careful about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtl_keras.reports.page import Html, paragraph, strong, text

_SMALL = 500


def caution(head: str, words: object) -> Html:
    """Returns a paragraph that stands out; words that are not `Html` are escaped."""
    return paragraph(Html(f"{strong(f'{head}:')} {text(words)}"), "warning")


def small_test_split(config: Mapping[str, Any]) -> Iterator[Html]:
    """Yields a caution if a handful of images decides.

    Args:
        config: what `config.json` of a run holds.
    """
    images = ((config.get("data") or {}).get("sizes") or {}).get("test")
    if isinstance(images, int) and 0 < images < _SMALL:
        yield caution(
            "Small test split",
            f"{images} images. One of them is {1 / images:.1%} of an accuracy, and what a few decide is chance. "
            "Other seeds are judged on the same images: an interval over seeds does not know of it.",
        )
