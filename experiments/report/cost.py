"""The cost of a run: time, steps, compiled functions, memory."""

from __future__ import annotations

from experiments.report.wording import duration, figure
from experiments.run_results import RunResult
from mtl_keras.reports.page import Html, Section, paragraph, table

_MOST_FUNCTIONS = 12


def cost_section(run: RunResult) -> Section:
    """Returns the cost of training."""
    if not run.finished:
        words = "Available when the run is finished."
        return Section("Cost", "cost", paragraph(words))
    cost = run.cost
    rows = [
        ["weights of the network", f"{cost.parameters:,}"],
        ["training steps", f"{cost.steps:,}"],
        ["training, without validation and checkpoints", duration(cost.seconds)],
        ["a step (median over the epochs)", duration(cost.seconds_per_step)],
        ["compiled training functions", f"{len(cost.compiled)}"],
        ["compiling them", duration(sum(function.seconds for function in cost.compiled))],
    ]
    if cost.memory:
        rows.append(["peak memory of the process", f"{cost.memory / 2**30:.2f} GiB"])
    rows.append(["processor cores", str(run.config.get("cores", "-"))])
    body = table(["what", "cost"], rows, "Training") + (_functions(run) if cost.compiled else "")
    return Section("Cost", "cost", Html(body))


def _functions(run: RunResult) -> Html:
    compiled = run.cost.compiled
    rows = []
    for position, function in enumerate(compiled[:_MOST_FUNCTIONS], 1):
        which = "all tasks" if len(function.tasks) == len(run.tasks) else ", ".join(function.tasks)
        which = which if len(which) < 60 else f"{len(function.tasks)} of {len(run.tasks)} tasks"
        kinds = [kind for kind in ("masked", "monitored") if getattr(function, kind)]
        rows.append([position, which, ", ".join(kinds) or "-", function.traces, figure(function.seconds, 1)])
    left = len(compiled) - _MOST_FUNCTIONS
    more = f"; {left} more not shown" if left > 0 else ""
    caption = f"One compiled function for each set of tasks that ran together{more}"
    return table(["function", "tasks", "kind", "traced", "seconds of tracing"], rows, caption)
