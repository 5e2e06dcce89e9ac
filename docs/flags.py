"""Writes the tables of flags in docs/train.md from the programs: `python docs/flags.py`. A test compares them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import evaluate
import train
from experiments.config import SETTINGS

PAGE = Path(__file__).with_name("train.md")
_TITLES = {
    "evaluate": "### Evaluating a run",
    "predict": "### Predicting images",
    "report": "### Writing a report again",
    "compare": "### Comparing runs",
}


def with_tables(text: str) -> str:
    """Returns the page with its tables of flags written again; each follows its heading and at most one paragraph."""
    settings = {*SETTINGS, "export_formats"}
    tables = {
        "### What to run": (train.FLAGS, [name for name in _defined(train.FLAGS) if name not in settings]),
        "### Settings of a run": (train.FLAGS, [name for name in _defined(train.FLAGS) if name in settings]),
        **{_TITLES[mode]: (evaluate.FLAGS, names) for mode, names in evaluate.MODES.items()},
    }
    for title, (defined, names) in tables.items():
        section = re.search(rf"\n{re.escape(title)}\n(?:(?!#|\|).*\n)*((?:\|.*\n)+)", text)
        if section is None:
            raise ValueError(f"docs/train.md needs a section {title!r} with a table.")
        text = text[: section.start(1)] + _rows(defined, names) + text[section.end(1) :]
    return text


def _defined(values: flags.FlagValues) -> list[str]:
    """Returns the names of flags in the order of their definition."""
    return [flag.name for module in values.flags_by_module_dict().values() for flag in module]


def _rows(defined: flags.FlagValues, names: Iterable[str]) -> str:
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for name in names:
        default = defined[name].default
        shown = "none" if default in (None, "") else "off" if default is False else f"`{default}`"
        lines.append(f"| `--{name}` | {shown} | {defined[name].help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
