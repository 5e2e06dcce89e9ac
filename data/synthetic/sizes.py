"""Checks the sizes of a drawn dataset."""

from __future__ import annotations

from collections.abc import Mapping

from mtl_keras.serialization import unknown_value


def checked_sizes(name: str, default: Mapping[str, int], sizes: Mapping[str, int] | None, seed: int) -> dict[str, int]:
    """Returns the number of examples to draw for each split of a dataset.

    Args:
        name: the dataset, for the error messages.
        default: split -> default number of examples.
        sizes: split -> number of examples, to override the default.
        seed: seed of everything drawn.

    Raises:
        ValueError: for an unknown split, a size below 1 or a seed below 0.
    """
    wanted = dict(default)
    for split, size in (sizes or {}).items():
        if split not in wanted:
            raise unknown_value(f"split of {name}", split, wanted)
        if size < 1:
            raise ValueError(f"A drawn split has at least one example. Received: sizes={dict(sizes or {})}")
        wanted[split] = size
    if seed < 0:
        raise ValueError(f"seed must be at least 0. Received: seed={seed}")
    return wanted
