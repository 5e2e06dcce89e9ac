"""Analysis of results: relative gains, ranks, intervals over seeds, verdicts, affinities, costs, scores."""

from __future__ import annotations

from mtl_keras.analysis.affinity import Affinity, Estimate
from mtl_keras.analysis.comparison import Comparison, TaskComparison, TaskResults, compare
from mtl_keras.analysis.costs import Cost, CostComparison, compare_costs
from mtl_keras.analysis.delta_m import (
    CONVENTIONS,
    POSITIVE_IS_BETTER,
    POSITIVE_IS_WORSE,
    delta_m,
    delta_p,
    relative_gains,
)
from mtl_keras.analysis.grouping import Grouping, best_groups
from mtl_keras.analysis.intervals import INTERVALS, Interval, holm, mean_interval, paired_interval
from mtl_keras.analysis.networks import CandidateNetwork, NetworkSelection, best_networks
from mtl_keras.analysis.ranks import TIES, dominates, mean_ranks, pareto_front
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
    "INTERVALS",
    "POSITIVE_IS_BETTER",
    "POSITIVE_IS_WORSE",
    "SCORES",
    "TIES",
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
    "delta_p",
    "dominates",
    "holm",
    "inter_ocular_error",
    "macro_f1",
    "macro_scores",
    "mean_interval",
    "mean_ranks",
    "micro_scores",
    "paired_interval",
    "pareto_front",
    "relative_gains",
]
