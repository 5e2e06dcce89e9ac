"""Analysis of results: relative gains, intervals over seeds, verdicts, costs, scores of decisions."""

from __future__ import annotations

from mtl_keras.analysis.affinity import Affinity, Estimate
from mtl_keras.analysis.comparison import Comparison, TaskComparison, TaskResults, compare
from mtl_keras.analysis.costs import Cost, CostComparison, compare_costs
from mtl_keras.analysis.delta_m import CONVENTIONS, POSITIVE_IS_BETTER, POSITIVE_IS_WORSE, delta_m, relative_gains
from mtl_keras.analysis.grouping import Grouping, best_groups
from mtl_keras.analysis.intervals import Interval, mean_interval, paired_interval
from mtl_keras.analysis.networks import CandidateNetwork, NetworkSelection, best_networks
from mtl_keras.analysis.scores import (
    SCORES,
    binary_scores,
    inter_ocular_error,
    macro_f1,
    macro_scores,
    micro_scores,
)
from mtl_keras.analysis.single_task import compare_with_single_task

__all__ = [
    "CONVENTIONS",
    "POSITIVE_IS_BETTER",
    "POSITIVE_IS_WORSE",
    "SCORES",
    "Affinity",
    "CandidateNetwork",
    "Comparison",
    "Cost",
    "CostComparison",
    "Estimate",
    "Grouping",
    "Interval",
    "NetworkSelection",
    "TaskComparison",
    "TaskResults",
    "best_groups",
    "best_networks",
    "binary_scores",
    "compare",
    "compare_costs",
    "compare_with_single_task",
    "delta_m",
    "inter_ocular_error",
    "macro_f1",
    "macro_scores",
    "mean_interval",
    "micro_scores",
    "paired_interval",
    "relative_gains",
]
