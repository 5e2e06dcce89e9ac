"""The part of RESULTS.md that compares weightings: one row a method, against single-task networks and equal weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from docs.results_tables import markdown, number
from experiments.comparison import MethodComparison, compare_methods
from experiments.plan import METHOD, Plan, is_comparison
from experiments.run_results import Method, read_methods
from mtl_keras.weightings import WEIGHTINGS

SINGLE = "single_task"


def is_study(folder: Path) -> bool:
    """Whether a folder is that of a comparison of weightings with each other."""
    if not is_comparison(folder):
        return False
    baselines = Plan.load(folder).baselines
    return SINGLE in baselines and any(name in WEIGHTINGS for name in baselines)


def study(folder: Path) -> dict[str, Any]:
    """Returns what is known of each method: the comparison with single tasks and against the plan's own network.

    Of the seeds' training times it is the least: whatever else the machine does makes the others longer.

    Args:
        folder: of a comparison whose baselines are single tasks, weightings and schedules; its own network is the one
            with equal weights.
    """
    config = Plan.load(folder).config
    tasks = [task for task in config.tasks or () if task != "random"] or None  # nothing can be learnt of random labels
    names = [METHOD, *(name for name in Plan.load(folder).baselines if name != SINGLE)]
    single, *methods = read_methods([folder / name for name in (SINGLE, *names)])
    rows = []
    for method in methods:
        compared = compare_methods([method, single, *(methods[:1] if method is not methods[0] else [])], tasks)
        rows.append(
            {
                "method": "equal weights" if method.name == METHOD else method.name,
                "against_single_task": _short(compared[0]),
                "against_equal_weights": _short(compared[1]) if len(compared) > 1 else None,
                "seconds": min(run.cost.seconds for run in method.runs),
                **_gradients(method),
            }
        )
    return {"methods": rows}


def study_table(record: Mapping[str, Any]) -> str:
    """Returns one row a method: tasks, delta_m against single tasks and equal weights, time, conflicts."""
    methods = record["methods"]
    tasks = [task["task"] for task in methods[0]["against_single_task"]["tasks"]]
    metrics = [task["metric"] for task in methods[0]["against_single_task"]["tasks"]]
    header = ["method", *(f"{task} {metric}" for task, metric in zip(tasks, metrics)), "delta_m, single-task (%)"]
    header += ["delta_m, equal weights (%)", "least training time (s)", "conflict rate", "cosine", "norm ratio"]
    rows = [
        ["single-task networks", *(_spread(task["baseline"]) for task in methods[0]["against_single_task"]["tasks"])]
    ]
    rows[0] += ["0", "", "", "", "", ""]
    for method in methods:
        single, equal = method["against_single_task"], method["against_equal_weights"]
        rows.append(
            [
                method["method"],
                *(_spread(task["method"]) for task in single["tasks"]),
                _interval(single["delta_m"]),
                _interval(equal["delta_m"]) if equal else "0",
                f"{method['seconds']:.0f}",
                *(number(method[name], 2) for name in ("conflict_rate", "gradient_cosine", "gradient_norm_ratio")),
            ]
        )
    return markdown(header, rows)


def _short(comparison: MethodComparison) -> dict[str, Any]:
    values = comparison.to_json()
    first = values["measures"][0]
    kept = ("task", "metric", "method", "baseline", "difference", "verdict")
    return {
        **{key: values[key] for key in ("seeds", "seeds_left_out", "delta_m")},
        "tasks": [{key: task[key] for key in kept} for task in first["tasks"]],
    }


def _gradients(method: Method) -> dict[str, float]:
    """Returns the means over epochs and seeds of what `--monitor_gradients` measured."""
    means = {}
    for name in ("conflict_rate", "gradient_cosine", "gradient_norm_ratio"):
        values = [value for run in method.runs for value in run.history.get(name, ())]
        means[name] = fmean(values) if values else math.nan
    return means


def _spread(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['mean']:.4f} ± {estimate['std']:.4f}"


def _interval(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['mean']:+.2f} [{estimate['low']:+.2f}, {estimate['high']:+.2f}]"
