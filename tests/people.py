"""A small table without images, for the tests: people, with two binary tasks and a regression."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

TASKS = ("rich", "married", "spends")
FEATURES = ("age", "hours per week", "job", "member", "country")


def columns(count: int, seed: int = 0) -> dict[str, list[str]]:
    """Returns the cells of a table in which the tasks can be learned; some cells of features and labels are empty."""
    rng = np.random.default_rng(seed)
    age, hours = rng.integers(18, 80, count), rng.normal(40, 8, count).round(1)
    job, member = rng.choice(["clerk", "cook", "nurse"], count), rng.choice(["no", "yes"], count)
    score = (age - 49) / 18 + (job == "nurse") - (member == "no") * 0.5
    numbers = {
        "age": _with_gaps(age, 0.1, rng),
        "hours per week": list(map(str, hours)),
        "job": _with_gaps(job, 0.1, rng),
        "member": list(map(str, member)),
        "country": ["CH"] * count,
    }
    labels = {
        "rich": _with_gaps((score > 0).astype(int), 0.2, rng),
        "married": ["yes" if each else "no" for each in score + rng.normal(0, 0.5, count) > 0.3],
        "spends": list(map(str, (1000 + 300 * score + 10 * (hours - 40)).round(1))),
    }
    return numbers | labels


def write(file: Path, table: dict[str, list[str]]) -> Path:
    """Writes columns as a CSV file."""
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(table)
        writer.writerows(zip(*table.values()))
    return file


def _with_gaps(values: np.ndarray, share: float, rng: np.random.Generator) -> list[str]:
    return ["" if rng.random() < share else str(value) for value in values]
