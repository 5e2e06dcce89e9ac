"""Deliberate differences from `keras.Model`, as listed in `docs/from_keras_model.md`, with the cases that show them."""

from __future__ import annotations

from fnmatch import fnmatchcase

# First cell of a row of the table -> patterns of cases ("file: id").
DIFFERENCES: dict[str, tuple[str, ...]] = {
    "Weight 0": ("test_weights: loss_weights, zero",),
    "Refused weights": ("test_weights: loss_weights, negative", "test_weights: loss_weights, all zero"),
    "More is accepted": (
        "test_weights: loss_weights, partial",
        "test_weights: loss_weights, of an output without a loss",
        "test_weights: of one task alone",
        "test_weights: a list in output order",
        "test_structures: labels, one too many",
        "test_metrics: one list for all outputs",
    ),
    "Means over samples": ("test_compiled: a small last batch",),
    "Missing labels": ("test_labels: missing, *",),
    "Several losses for one output": ("test_structures: loss, two for *",),
    "`evaluate` in a callback": ("test_callbacks: evaluate in a callback",),
    "Finite generators": ("test_data: generator, finite, compiled",),
    "BatchNorm on several devices": ("test_compiled: on two devices: BatchNorm",),
}


def reason(case: str) -> str | None:
    """Returns the row of the table that a case ("file: id") shows, if it does."""
    rows = [row for row, patterns in DIFFERENCES.items() if any(fnmatchcase(case, pattern) for pattern in patterns)]
    return rows[0] if rows else None
