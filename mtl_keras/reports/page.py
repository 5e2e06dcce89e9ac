"""Self-contained HTML pages, written with Jinja2 templates that escape all values."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from mtl_keras.reports.filters import arrow, count, decimal, duration, listed, percent

_NUMBER = re.compile(r"[-+±]?[\d.,]+|-$")
_LONG = 24  # characters; longer cells are wrapped


def environment(*folders: Path) -> Environment:
    """Returns a Jinja2 environment for pages that need no network, no script and no other file.

    A page extends `page.html` and is rendered with `title` and `sections`, a dict from the id of each section to its
    heading. It fills the blocks `lead` (above all sections) and `content`, with the macros in `macros.html`: `section`,
    `table`, `figure`, `details`, `grid` and `warning`. The functions of `mtl_keras.reports.filters` are filters.

    Args:
        folders: further folders with templates.
    """
    result = Environment(
        loader=ChoiceLoader([FileSystemLoader(folders), PackageLoader("mtl_keras.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (arrow, count, decimal, duration, listed, percent, cell_class):
        result.filters[filter_.__name__] = filter_
    return result


def cell_class(cell: object, numbers: bool = True) -> str:
    """Returns the CSS class of a table cell: `"number"` aligns it to the right, `"prose"` wraps it.

    Args:
        cell: its value.
        numbers: whether cells that begin with a number are aligned to the right.
    """
    if hasattr(cell, "__html__"):
        return ""
    if len(str(cell)) > _LONG:
        return "prose"
    return "number" if numbers and _NUMBER.match(str(cell)) else ""
