"""How many cases each fuzzing test generates, and what they have in common.

The cases are the same in every run: hypothesis draws them from the test's own code, not from the clock.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

COUNTS = {
    "any text": 400,
    "near misses": 500,
    "arguments": 700,
    "configs": 200,
    "optimizers": 200,
    "networks": 200,
    "nested": 200,
    "round trips": 200,
    "names": 300,
    "task arguments": 300,
    "members": 150,
    "sets": 150,
    "weights": 250,
    "rows": 250,
    "classes": 200,
    "masks": 100,
    "schedules": 200,
    "records": 150,
    "draws": 200,
    "running": 150,
    "random drop": 100,
    "settings": 150,
    "checks": 250,
    "unknown settings": 100,
    "log keys": 200,
}
"""Test -> generated cases: 5,800 in all."""


def cases(name: str) -> Any:
    """The settings of a test, by its name in `COUNTS`."""
    return hypothesis.settings(
        max_examples=COUNTS[name],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )


# Values that a person, a file or a shell may hand over where something else is expected.
numbers = st.one_of(
    st.integers(-3, 12),
    st.floats(),
    st.sampled_from([0.0, 1e-300, 1e300, 10**400, -(10**400), 2**63, True]),
)
scalars = st.one_of(st.none(), numbers, st.text(max_size=6))
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
odd_values = st.one_of(
    json_values,
    st.sampled_from([1j, b"x", object, ..., {1: 2}, (1, 2)]),
    st.sampled_from([np.float32(0.5), np.int64(2), np.array(3.0)]),
)
task_names = st.builds("{}{}".format, st.sampled_from("abvVlZ059"), st.text("a_.-0lossval", max_size=5)).filter(
    lambda name: name not in ("loss", "val") and not name.startswith("val_")
)


def refused(call: Any, *args: Any) -> Any:
    """Returns what a call returns, or `None` if it refuses its arguments as it should.

    That is with a ValueError in one line which says what was received. Any other error is a bug and comes through.
    """
    try:
        return call(*args)
    except ValueError as error:
        text = str(error)
        assert "eceived" in text or "It takes: (" in text, text
        return None
