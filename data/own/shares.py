"""The number and the positions of each source's examples in a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def counts(ratios: Mapping[str, float], batch_size: int) -> dict[str, int]:
    """Returns the number of examples of each source in a batch, rounded by the largest remainders.

    Args:
        ratios: source -> its share, relative to the others.
        batch_size: examples in a batch.

    Raises:
        ValueError: if a source would have none.
    """
    exact = np.array(list(ratios.values())) * batch_size / sum(ratios.values())
    whole = np.floor(exact).astype(int)
    # Equal remainders: the source named first wins.
    largest = np.argsort(whole - exact, kind="stable")[: batch_size - whole.sum()]
    whole[largest] += 1
    found = {name: int(count) for name, count in zip(ratios, whole)}
    for name, count in found.items():
        if count < 1:
            raise ValueError(
                f"`batch_size` is too small for an example of {name} in each batch. Received: "
                f"batch_size={batch_size!r}, ratios={dict(ratios)!r}"
            )
    return found


def arrangement(sizes: Sequence[int]) -> np.ndarray:
    """Returns the order that spreads consecutive groups evenly.

    Args:
        sizes: size of each group.

    Returns:
        int64 (sum of sizes,): the index of the first, second, ... element; the members of a group keep their order.
    """
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return np.argsort(places, kind="stable")
