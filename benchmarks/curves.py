"""Curves: what was measured at several sizes of one thing, round by round, and the law that it follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import figures, timing
from benchmarks.law import Law, fit


@dataclass(frozen=True)
class Curve:
    """How something grows.

    Args:
        name: whose it is.
        points: size -> what each round found, > 0.
        unit: of what was found.
        each: what the law counts, in the singular.
        power: the law is one in size ** power.
        degree: 1 for a line, 2 for a parabola.
    """

    name: str
    points: Mapping[int, Sequence[float]]
    unit: str
    each: str
    power: int = 1
    degree: int = 1

    @property
    def law(self) -> Law:
        """The law of the medians; with few sizes it is a line."""
        sizes = [size**self.power for size in self.points]
        degree = self.degree if len(sizes) > self.degree + 1 else 1
        return fit(sizes, [median(values) for values in self.points.values()], degree)

    def growth(self, what: str) -> figures.Figure:
        """Returns how many times as much the largest size takes as the smallest, in the same round.

        Args:
            what: was measured.
        """
        smallest, *_, largest = self.points
        pairs = zip(self.points[largest], self.points[smallest])
        return figures.of_values(f"{what}, {self.name}: {largest} / {smallest}", [one / two for one, two in pairs])


def table(curves: Sequence[Curve], size: str) -> str:
    """Returns curves as a Markdown table of medians and quartiles, and below it their laws.

    Args:
        curves: those of one axis.
        size: what the axis is.
    """
    columns = [size, *(f"{curve.name} ({curve.unit})" for curve in curves)]
    lines = [f"| {' | '.join(columns)} |", "|---:" * len(columns) + "|"]
    for at in dict.fromkeys(at for curve in curves for at in curve.points):
        cells = [_cell(curve.points[at]) if at in curve.points else "-" for curve in curves]
        lines.append(f"| {' | '.join([str(at), *cells])} |")
    laws = [f"- {curve.name}: {curve.law.text(curve.unit, curve.each)}" for curve in curves]
    return "\n".join([*lines, "", *laws])


def _cell(values: Sequence[float]) -> str:
    low, middle, high = timing.quartiles(values)
    return f"{middle:.4g} ({low:.4g} - {high:.4g})"
