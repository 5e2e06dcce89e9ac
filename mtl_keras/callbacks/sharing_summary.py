"""`SharingSummary`: what the gates, stitches, attention modules and branches of a network do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

UNUSED = 0.01
"""An expert whose mean weight is below this in every gate is not used."""


class Table(NamedTuple):
    """Numbers with names.

    Args:
        rows: names of the rows.
        columns: names of the columns.
        values: `(rows, columns)`; NaN where there is none.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class GateSummary:
    """A gate, over the examples of a sample.

    Args:
        layer: name of the layer.
        owner: the task whose features it makes; `"shared"` if several tasks read them.
        level: 1 for the gates next to the input.
        experts: names of the experts, as wired.
        weights: mean weight of each expert.
        top: share of the examples in which each expert has the largest weight.
        entropy: mean entropy of the weights, in nats.
    """

    layer: str
    owner: str
    level: int
    experts: tuple[str, ...]
    weights: tuple[float, ...]
    top: tuple[float, ...]
    entropy: float

    @property
    def entropy_share(self) -> float:
        """The entropy divided by that of equal weights: from 0 to 1; NaN for a single expert."""
        return self.entropy / math.log(len(self.experts)) if len(self.experts) > 1 else math.nan


@dataclass(frozen=True)
class StitchSummary:
    """A unit that mixes the features of several tasks' networks.

    Args:
        kind: its class: `"CrossStitch"`, `"Sluice"` or `"NDDR"`.
        level: 1 for the unit next to the input.
        rows: the tasks whose features it makes; for several subspaces, each subspace of them.
        columns: the tasks whose features it reads, or their subspaces.
        mixing: `(rows, columns)`. For a cross-stitch unit the mean of alpha over the channels; for a sluice unit alpha;
            for NDDR the share of each task in the sum of the absolute weights.
    """

    kind: str
    level: int
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    mixing: tuple[tuple[float, ...], ...]

    def table(self) -> Table:
        """Returns the mixing matrix with its names."""
        return Table(self.rows, self.columns, np.array(self.mixing))


@dataclass(frozen=True)
class AttentionSummary:
    """An attention module, over the examples of a sample.

    Args:
        layer: name of the layer.
        owner: its task.
        level: 1 for the module next to the input.
        mask: mean of the mask over examples, positions and channels.
    """

    layer: str
    owner: str
    level: int
    mask: float


@dataclass(frozen=True)
class BranchSummary:
    """A choice among several nodes.

    Args:
        layer: name of the layer.
        owner: the task or the node that reads the chosen node.
        level: 1 for the choices next to the input.
        parents: names of the nodes.
        probabilities: softmax of the logits.
        chosen: the most likely node, which is used after training.
    """

    layer: str
    owner: str
    level: int
    parents: tuple[str, ...]
    probabilities: tuple[float, ...]
    chosen: str

    @property
    def probability(self) -> float:
        """The probability of the chosen node."""
        return self.probabilities[self.parents.index(self.chosen)]


@dataclass(frozen=True)
class SharingSummary:
    """What the layers of a network by which tasks share softly do at the end of an epoch.

    Args:
        examples: number of examples that gates and attention modules were measured on; 0 without a sample.
        gates: the gates, ordered by level; none without a sample.
        stitches: the units that mix features, ordered by level.
        attention: the attention modules, ordered by level; none without a sample.
        branches: the choices among nodes, ordered by level.
        paths: with choices, task -> names of the nodes between the input and its head.
    """

    examples: int = 0
    gates: tuple[GateSummary, ...] = ()
    stitches: tuple[StitchSummary, ...] = ()
    attention: tuple[AttentionSummary, ...] = ()
    branches: tuple[BranchSummary, ...] = ()
    paths: Mapping[str, tuple[str, ...]] | None = None

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={len(getattr(self, name))}" for name in _PARTS)
        return f"SharingSummary(examples={self.examples}, {counts})"

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in _PARTS)

    @property
    def gate_entropy(self) -> float:
        """Mean of `GateSummary.entropy_share` over the gates of several experts; NaN if there are none."""
        known = [gate.entropy_share for gate in self.gates if len(gate.experts) > 1]
        return float(np.mean(known)) if known else math.nan

    @property
    def unused_experts(self) -> tuple[str, ...]:
        """The experts whose mean weight is below `UNUSED` in every gate that reads them."""
        largest: dict[str, float] = {}
        for gate in self.gates:
            for expert, weight in zip(gate.experts, gate.weights):
                largest[expert] = max(weight, largest.get(expert, 0.0))
        return tuple(expert for expert, weight in largest.items() if weight < UNUSED)

    def gate_tables(self, quantity: str) -> dict[int, Table]:
        """Returns level -> table of gates x experts; NaN for an expert that a gate does not read.

        Args:
            quantity: `"weights"` or `"top"`.
        """
        return {
            level: _table((gate.owner, gate.experts, getattr(gate, quantity)) for gate in found)
            for level, found in _by_level(self.gates).items()
        }

    def attention_table(self) -> Table:
        """Returns a table of tasks x levels with the mean masks."""
        levels = _by_level(self.attention)
        columns = tuple(f"level {level}" for level in levels)
        return _table(
            (
                owner,
                columns,
                [{each.owner: each.mask for each in found}.get(owner, math.nan) for found in levels.values()],
            )
            for owner in dict.fromkeys(each.owner for each in self.attention)
        )

    def branch_tables(self) -> dict[int, Table]:
        """Returns level -> table of tasks or nodes x the nodes that they choose from, with the probabilities."""
        return {
            level: _table((branch.owner, branch.parents, branch.probabilities) for branch in found)
            for level, found in _by_level(self.branches).items()
        }

    def to_json(self) -> dict[str, Any]:
        """Returns the summary as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SharingSummary:
        """Returns the summary that `to_json` described; null is NaN.

        Raises:
            ValueError: if an entry is missing or invalid.
        """
        try:
            parts = {name: tuple(_part(kind, entry) for entry in values[name]) for name, kind in _PARTS.items()}
            paths = values["paths"] and {task: tuple(path) for task, path in values["paths"].items()}
            return cls(int(values["examples"]), **parts, paths=paths)
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise ValueError(f"this is not a sharing summary: {cause!r}") from cause


_PARTS: dict[str, type] = {
    "gates": GateSummary,
    "stitches": StitchSummary,
    "attention": AttentionSummary,
    "branches": BranchSummary,
}


def _part(kind: type, entry: Mapping[str, Any]) -> Any:
    part = kind(**{name: _frozen(value) for name, value in entry.items()})
    for names, numbers in (
        ("experts", "weights"),
        ("experts", "top"),
        ("rows", "mixing"),
        ("parents", "probabilities"),
    ):
        if hasattr(part, numbers) and len(getattr(part, names)) != len(getattr(part, numbers)):
            raise ValueError(f"{numbers} of {entry.get('layer', kind.__name__)}")
    return part


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else math.nan if value is None else value


def _by_level(parts: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for part in parts:
        found.setdefault(part.level, []).append(part)
    return found


def _table(rows: Iterable[tuple[str, Sequence[str], Sequence[float]]]) -> Table:
    """Returns a table of rows that have different columns; those that few rows have come first."""
    given = list(rows)
    every = [name for _, names, _ in given for name in names]
    columns = sorted(dict.fromkeys(every), key=every.count)
    values = np.full((len(given), len(columns)), math.nan)
    for row, (_, names, numbers) in enumerate(given):
        values[row, [columns.index(name) for name in names]] = numbers
    return Table(tuple(name for name, _, _ in given), tuple(columns), values)
