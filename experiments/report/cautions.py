"""Warnings in reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtl_keras.reports.page import Html, paragraph, strong, text

_SMALL = 500


def caution(head: str, words: object) -> Html:
    """Returns a highlighted paragraph; words that are not `Html` are escaped."""
    return paragraph(Html(f"{strong(f'{head}:')} {text(words)}"), "warning")


def small_test_split(config: Mapping[str, Any]) -> Iterator[Html]:
    """Yields a warning if the test split is small.

    Args:
        config: the content of a run's `config.json`.
    """
    images = ((config.get("data") or {}).get("sizes") or {}).get("test")
    if isinstance(images, int) and 0 < images < _SMALL:
        yield caution(
            "Small test split",
            f"{images} images. One image is {1 / images:.1%} of an accuracy, so small differences may be chance. "
            "All seeds use the same test images, so an interval over seeds does not include this.",
        )
