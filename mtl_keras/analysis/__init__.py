"""Analysis of results: relative gains, intervals over seeds, verdicts, costs. Needs NumPy and SciPy only."""

from __future__ import annotations

from mtl_keras.analysis.comparison import Comparison, TaskComparison, TaskResults, compare
from mtl_keras.analysis.costs import Cost, CostComparison, compare_costs
from mtl_keras.analysis.decisions import SCORES, Decisions, count_decisions, macro_f1, macro_scores, micro_scores
from mtl_keras.analysis.delta_m import CONVENTIONS, POSITIVE_IS_BETTER, POSITIVE_IS_WORSE, delta_m, relative_gains
from mtl_keras.analysis.intervals import Interval, mean_interval, paired_interval
from mtl_keras.analysis.point_errors import inter_ocular_error

__all__ = [
    "CONVENTIONS",
    "POSITIVE_IS_BETTER",
    "POSITIVE_IS_WORSE",
    "SCORES",
    "Comparison",
    "Cost",
    "CostComparison",
    "Decisions",
    "Interval",
    "TaskComparison",
    "TaskResults",
    "compare",
    "compare_costs",
    "count_decisions",
    "delta_m",
    "inter_ocular_error",
    "macro_f1",
    "macro_scores",
    "mean_interval",
    "micro_scores",
    "paired_interval",
    "relative_gains",
]
