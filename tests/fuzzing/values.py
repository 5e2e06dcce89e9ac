"""Values that a person, a file or a shell may give where something else is expected."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

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
    """Returns what a call returns, or `None` if it raises a ValueError that says what was received.

    Any other error is a bug and comes through.
    """
    try:
        return call(*args)
    except ValueError as error:
        text = str(error)
        assert "eceived" in text or "It takes: (" in text, text
        return None
