"""Dropped Scheduled Task: the probability of each task from its depth, samples, progress and stagnancy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mtl_keras.checks import check_number
from mtl_keras.schedules.base import SCHEDULES, Records, Schedule

Vector = NDArray[np.float64]
_ROUNDING = 1e-6


@SCHEDULES.register
@dataclass(frozen=True)
class DST(Schedule):
    """Dropped Scheduled Task: the probability P(t, k) is a weighted mean of five metrics in [0, 1] per task.

    With L_t(k) the mean unweighted loss of task t in epoch k, d_t its depth and c_t its number of labelled samples:

    - depth: d_t / max_i d_i.
    - count: c_t / max_i c_i.
    - incompleteness: min(1, I_t / mean_i I_i), where I_t = L_t(k-1) / L_t(0).
    - stagnancy: min(1, mean_i R_i / R_t), where R_t = abs(L_t(k-2) - L_t(k-1)) / L_t(k-2).
    - floor: 1.

    A metric is 1 if there is no history yet, if a denominator is zero or not finite, and for a task that never ran;
    such tasks are excluded from the means and maxima, so that they do not affect the other tasks. A task that did not
    run in epoch 0 has no L_t(0), so its incompleteness stays at 1.

    Args:
        depth: share of the depth metric in P. The five shares add up to 1; shares that are not given (None) divide the
            rest equally, so `DST()` gives each metric 0.2, and `DST(count=1)` uses the count alone.
        count: see `depth`.
        incompleteness: see `depth`.
        stagnancy: see `depth`.
        floor: see `depth`. A share of the constant 1 prevents any task from starving.

    Raises:
        ValueError: for a share below 0, a sum above 1, or five shares that do not add up to 1.

    Example:

    ```python
    records = Records(("item", "group"), depths={"item": 4, "group": 4}, counts={"item": 60000, "group": 6000})
    DST()(0, records)  # {"item": 1.0, "group": 0.82}
    ```

    References:
        A. Malhotra, M. Vatsa, R. Singh, "Dropped Scheduled Task: Mitigating Negative Transfer in Multi-task Learning
        using Dynamic Task Dropping", TMLR 2023, https://openreview.net/forum?id=myjAVQrRxS, names the four metrics; the
        formulas are this project's own interpretation.
    """

    depth: float | None = None
    count: float | None = None
    incompleteness: float | None = None
    stagnancy: float | None = None
    floor: float | None = None

    kind: ClassVar[Literal["probability", "weight"]] = "probability"

    def __post_init__(self) -> None:
        given = {name: value for name, value in self.get_config().items() if value is not None}
        for name, value in given.items():
            check_number(name, value, 0)
        total = sum(given.values())
        if total > 1 + _ROUNDING:
            raise ValueError(
                f"The shares of dst must not add up to more than 1. Received: {given!r}, which is {total:g}"
            )
        if len(given) == 5 and total < 1 - _ROUNDING:
            raise ValueError(f"The five shares of dst must add up to 1. Received: {given!r}, which is {total:g}")

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the five metrics in P, including those that are not given."""
        config = self.get_config()
        given = [value for value in config.values() if value is not None]
        rest = max(0.0, 1.0 - sum(given)) / max(1, len(config) - len(given))
        return {name: rest if value is None else float(value) for name, value in config.items()}

    @np.errstate(all="ignore")
    def metrics(self, epoch: int, records: Records) -> dict[str, dict[str, float]]:
        """Returns the five metrics of each task: `{"depth": {task: number}, ...}`."""
        past = [_vector(losses, records) for losses in records.losses[:epoch]]
        nans = np.full(len(records.tasks), np.nan)
        depths, counts = _vector(records.depths, records), _vector(records.counts, records)
        remaining = _divide(past[epoch - 1], past[0]) if 0 < epoch <= len(past) else nans
        rates = _divide(abs(past[epoch - 2] - past[epoch - 1]), past[epoch - 2]) if 1 < epoch <= len(past) else nans
        metrics = {
            "depth": _share(depths, _largest(depths)),
            "count": _share(counts, _largest(counts)),
            "incompleteness": _share(remaining, _mean(remaining)),
            "stagnancy": _share(_mean(rates), rates),
            "floor": np.ones(len(records.tasks)),
        }
        return {name: dict(zip(records.tasks, vector.tolist(), strict=True)) for name, vector in metrics.items()}

    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        metrics, shares = self.metrics(epoch, records), self.shares
        return {
            task: min(1.0, sum(share * metrics[name][task] for name, share in shares.items())) for task in records.tasks
        }


def _vector(values: Mapping[str, float], records: Records) -> Vector:
    return np.array([values[task] for task in records.tasks], dtype=np.float64)


def _divide(numerator: Vector | float, denominator: Vector | float) -> Vector:
    """Returns the ratio, NaN where it is not finite."""
    ratio = np.divide(numerator, denominator)
    return np.where(np.isfinite(ratio) & np.isfinite(denominator), ratio, np.nan)


def _share(numerator: Vector | float, denominator: Vector | float) -> Vector:
    """Returns the ratio clipped to [0, 1], and 1 where it is not finite."""
    return np.nan_to_num(np.clip(_divide(numerator, denominator), 0.0, 1.0), nan=1.0)


def _mean(values: Vector) -> float:
    finite = values[np.isfinite(values)]
    return float(np.mean(finite)) if finite.size else np.nan


def _largest(values: Vector) -> float:
    finite = values[np.isfinite(values)]
    return float(np.max(finite)) if finite.size else np.nan
