"""The cost of a run: time, steps, compiled functions, memory."""

from __future__ import annotations

from typing import Any

from experiments.report.run_records import RunRecords, number
from experiments.report.wording import duration, figure
from mtl_keras.reports.page import Html, Section, paragraph, table

_MOST_FUNCTIONS = 12


def cost_section(run: RunRecords) -> Section:
    """Returns the cost of training."""
    if run.metrics is None:
        words = "Available when the run is finished."
        return Section("Cost", "cost", paragraph(words))
    cost = run.metrics["cost"]
    compiled = cost.get("compiled") or []
    rows = [
        ["weights of the network", f"{cost.get('parameters', 0):,}"],
        ["training steps", f"{cost.get('steps', 0):,}"],
        ["training, without validation and checkpoints", duration(number(cost.get("seconds")))],
        ["a step (median over the epochs)", duration(number(cost.get("seconds_per_step")))],
        ["compiled training functions", f"{len(compiled)}"],
        ["compiling them", duration(sum(number(function.get("seconds")) for function in compiled))],
    ]
    if cost.get("memory"):
        rows.append(["peak memory of the process", f"{cost['memory'] / 2**30:.2f} GiB"])
    rows.append(["processor cores", str(run.config.get("cores", "-"))])
    body = table(["what", "cost"], rows, "Training") + (_functions(run, compiled) if compiled else "")
    return Section("Cost", "cost", Html(body))


def _functions(run: RunRecords, compiled: list[dict[str, Any]]) -> Html:
    rows = []
    for position, function in enumerate(compiled[:_MOST_FUNCTIONS], 1):
        tasks = function.get("tasks") or []
        which = "all tasks" if len(tasks) == len(run.tasks) else ", ".join(tasks)
        which = which if len(which) < 60 else f"{len(tasks)} of {len(run.tasks)} tasks"
        kinds = [kind for kind in ("masked", "monitored") if function.get(kind)]
        rows.append(
            [
                position,
                which,
                ", ".join(kinds) or "-",
                function.get("traces"),
                figure(number(function.get("seconds")), 1),
            ]
        )
    left = len(compiled) - _MOST_FUNCTIONS
    more = f"; {left} more not shown" if left > 0 else ""
    caption = f"One compiled function for each set of tasks that ran together{more}"
    return table(["function", "tasks", "kind", "traced", "seconds of tracing"], rows, caption)
