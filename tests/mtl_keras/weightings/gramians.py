"""22 gradient matrices, and what the methods that work on their Gramians give for them.

`gramians.json` holds the matrices, each entry exact in float32, and by method the figures of TorchJD 0.18.0 in float64.
`exact_weights` were solved for apart from it, in 60 digits. `LibMTL_...` are runs of LibMTL 4336804.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_FILE = json.loads((Path(__file__).parent / "gramians.json").read_text())

# The random numbers of GradDrop, one a coordinate.
GRADDROP_U = np.array(_FILE["graddrop_U"])


@dataclass(frozen=True)
class Result:
    """What one method gives for one matrix.

    Attributes:
        weights: `(tasks,)` of the reference; None for methods that give a vector only, and if there is no result.
        vector: the combined gradient of the reference.
        scale: sum_k |w_k| |J_k|, or for a vector the larger of its norm and the largest of a row; tolerances are
            relative to it.
        exact_weights: `(tasks,)` of the exact solution where the file has one.
        exact_vector: `exact_weights @ J`.
        target: what to test against: "torchjd", "torchjd (design choice)", "exact" or "none".
        rtol64: tolerance in float64, None if there is nothing to compare.
        rtol32: tolerance in float32, None if it cannot be compared.
        status: "ok", "raises", "non_finite", "order_dependent" or "not_computed".
        unique: whether other weights could not give the same vector.
        more: the other entries of the file: `min_norm` (MGDA), `P` and `leak` (GradDrop), `order_spread` (PCGrad),
            `degenerate` (CAGrad), `tie_at_the_boundary` (Krum), `no_solution` and `reference_converged` (Nash, Fair).
    """

    weights: Any
    vector: Any
    scale: float
    exact_weights: Any
    exact_vector: Any
    target: str
    rtol64: Any
    rtol32: Any
    status: str
    unique: bool
    more: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A matrix of gradients and the results for it.

    Attributes:
        name: such as "conflicting_K2".
        kind: "generic", "aligned", "conflicting", "badly_scaled", "zero_row", "duplicated", "nearly_opposite" or
            "special".
        jacobian: `(tasks, 16)` float64.
        losses: `(tasks,)`, for MGDA's normalisation by losses.
        results: by the name of the method.
    """

    name: str
    kind: str
    jacobian: np.ndarray
    losses: np.ndarray
    results: dict[str, Result] = field(repr=False)

    @property
    def gramian(self) -> np.ndarray:
        return self.jacobian @ self.jacobian.T

    @property
    def norms(self) -> np.ndarray:
        """`(tasks,)` norms of the gradients."""
        return np.linalg.norm(self.jacobian, axis=1)

    def error(self, weights: Any, expected: np.ndarray, scale: float) -> float:
        """Returns how far `weights @ J` is from the vector `expected`, relative to `scale` (if that is not 0)."""
        distance = np.linalg.norm(np.asarray(weights, "float64") @ self.jacobian - expected)
        return float(distance / scale if scale else distance)

    def weight_error(self, weights: Any, expected: np.ndarray, scale: float) -> float:
        """Returns the largest |difference of a weight| times the norm of its gradient, relative to `scale`."""
        distance = np.max(np.abs(np.asarray(weights, "float64") - expected) * self.norms)
        return float(distance / scale if scale else distance)


def _result(jacobian: np.ndarray, entry: dict[str, Any]) -> Result:
    entry = dict(entry)
    weights, exact = (np.array(entry.pop(k)) if k in entry else None for k in ("weights", "exact_weights"))
    vector = np.array(entry.pop("vector")) if "vector" in entry else None
    return Result(
        weights=weights,
        vector=vector if weights is None else weights @ jacobian,
        scale=entry.pop("scale", 0.0),
        exact_weights=exact,
        exact_vector=None if exact is None else exact @ jacobian,
        target=entry.pop("target", "none"),
        rtol64=entry.pop("rtol64", None),
        rtol32=entry.pop("rtol32", None),
        status=entry.pop("status", "ok"),
        unique=entry.pop("weights_unique", True),
        more=entry,
    )


def _case(name: str, entry: dict[str, Any]) -> Case:
    jacobian = np.array(entry["J"])
    results = {method: _result(jacobian, result) for method, result in entry["results"].items()}
    return Case(name, entry["kind"], jacobian, np.array(entry["losses"]), results)


CASES = [_case(name, entry) for name, entry in _FILE["cases"].items()]


def cases_with(method: str) -> list[tuple[Case, Result]]:
    """Returns the cases for which `method` gave a result, each with it."""
    return [
        (case, case.results[method]) for case in CASES if method in case.results and case.results[method].status == "ok"
    ]
