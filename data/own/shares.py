"""How many examples of each source a batch has, and where in it they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def counts(ratios: Mapping[str, float], batch_size: int) -> dict[str, int]:
    """Returns a batch's examples of each source: their shares rounded down, the largest remainders one more.

    Args:
        ratios: source -> its share, relative to the others'.
        batch_size: how many there are together.

    Raises:
        ValueError: if a source would have none.
    """
    exact = np.array(list(ratios.values())) * batch_size / sum(ratios.values())
    whole = np.floor(exact).astype(int)
    # Of equal remainders, those of the sources named first.
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
    """Returns the order that spreads groups, which lie one after the other, evenly.

    Args:
        sizes: how many each group has.

    Returns:
        int64 (sum of sizes,): which comes first, second, ...; the members of a group keep their order.
    """
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return np.argsort(places, kind="stable")
