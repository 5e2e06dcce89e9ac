"""The result of a method against a baseline: which tasks gained, which suffered, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from experiments.comparison import Measure, MethodComparison
from experiments.report.wording import arrow, count, figure, listed
from experiments.tables import SPLITS
from mtl_keras.analysis import POSITIVE_IS_BETTER, Comparison, TaskComparison
from mtl_keras.analysis.comparison import BETTER, UNCLEAR, UNKNOWN, WORSE, Spread
from mtl_keras.reports.bars import Bar, gain_bars
from mtl_keras.reports.page import Html, Section, bullets, details, strong, table, text
from mtl_keras.reports.svg import svg

_SIGNS = {BETTER: "▲ better", WORSE: "▼ worse", UNCLEAR: "● no clear difference", UNKNOWN: "● not known"}
_WORDS = {
    BETTER: "Gained",
    WORSE: "Suffered (negative transfer)",
    UNCLEAR: "Undecided (the interval holds 0)",
    UNKNOWN: "Not known (one seed, or a result that is not finite)",
}


class TaskSide(NamedTuple):
    """The primary metric of a task on one side of a comparison."""

    metric: str
    higher_is_better: bool
    spread: Spread


def verdict(comparison: MethodComparison) -> Html:
    """Returns the tasks that gained, suffered or are undecided, and delta_m."""
    tasks = comparison.first.tasks
    seeds = count(len(comparison.seeds), "seed")
    lines = []
    for verdict_, words in _WORDS.items():
        names = [task.task for task in tasks if task.verdict == verdict_]
        if names or verdict_ in (BETTER, WORSE):
            lines.append(Html(f"{strong(words)}: {text(listed(names) if names else 'none')}."))
    delta_m = f"delta_m {comparison.delta_m:+.2f} %, the mean of the tasks' relative gains"
    lines.append(Html(f"{strong('In sum')}: {text(_delta_m_verdict(comparison.first))}, {text(delta_m)}."))
    head = f"<h3>{text(comparison.method)} against {text(comparison.baseline)}, {seeds}</h3>"
    return Html(head + bullets(lines))


def outcome_section(comparison: MethodComparison, anchor: str) -> Section:
    """Returns the gain of each task on the test split, as a figure and in numbers, and the other measures."""
    first, *others = comparison.measures.items()
    tasks = comparison.first.tasks
    confidence = comparison.delta_m.confidence
    caption = (
        f"Bars to the right: {comparison.method} is better than {comparison.baseline} (▲ clearly, ▼ clearly worse, ● "
        f"no clear difference). Lines: the {confidence:.0%} interval of the mean of the paired differences, one per "
        "seed (Student's t)."
    )
    gained = [task.task for task in tasks if task.verdict == BETTER]
    suffered = [task.task for task in tasks if task.verdict == WORSE]
    alt = (
        f"Gain of each of {count(len(tasks), 'task')}: clearly better {listed(gained) or 'none'}; clearly worse "
        f"{listed(suffered) or 'none'}."
    )
    drawn = gain_bars(
        [task.task for task in tasks],
        [_gain(task) for task in tasks],
        [task.verdict for task in tasks],
        "gain in % of the baseline",
    )
    left_out = [
        f"{what} {', '.join(map(str, names))}"
        for what, names in (("tasks", comparison.tasks_left_out), ("seeds", comparison.seeds_left_out))
        if names
    ]
    body = svg(drawn, alt, caption) + _measure(*first)
    if left_out:
        body += f"<p>Left out, without a result on both sides: {text('; '.join(left_out))}.</p>"
    if others:
        body += details("Losses, and the training split", "".join(_measure(*measure) for measure in others))
    return Section(f"Against {comparison.baseline}", anchor, Html(body))


def _measure(measure: Measure, compared: Comparison) -> Html:
    rows = [
        [
            task.task,
            _SIGNS[task.verdict],
            f"{task.metric}{arrow(task.higher_is_better)}",
            *(_spread(side) for side in (task.method, task.baseline)),
            str(task.difference),
        ]
        for task in compared.tasks
    ]
    what = "Loss" if measure.metric == "loss" else "Primary metric"
    caption = (
        f"{what} on the {SPLITS[measure.split]}: mean ± standard deviation over the seeds, and the mean difference "
        "with its interval in square brackets"
    )
    return table(["task", "verdict", "metric", compared.method, compared.baseline, "difference"], rows, caption)


def _gain(task: TaskComparison) -> Bar:
    """Returns the difference and its interval in percent of the baseline, signed so that positive is better."""
    baseline = task.baseline.mean
    if not baseline > 0:
        return Bar(math.nan)
    scale = 100 / baseline * (1 if task.higher_is_better else -1)
    mean, *ends = (scale * value for value in (task.difference.mean, task.difference.low, task.difference.high))
    if not math.isfinite(mean):
        # One seed gives a difference without an interval.
        mean = scale * (task.method.mean - baseline)
    return Bar(mean, *sorted(ends))


def _delta_m_verdict(compared: Comparison) -> str:
    low, high = compared.delta_m.low, compared.delta_m.high
    if not math.isfinite(low):
        return "unknown (no interval)"
    better, worse = (low > 0, high < 0)
    if compared.convention != POSITIVE_IS_BETTER:
        better, worse = worse, better
    return "better" if better else "worse" if worse else "no clear difference"


def _spread(spread: Spread) -> str:
    return figure(spread.mean) + (f" ± {spread.std:.4f}" if math.isfinite(spread.std) else "")


def sides(comparisons: Sequence[MethodComparison]) -> dict[str, dict[str, TaskSide]]:
    """Returns method or baseline -> task -> its result on the test split."""
    found: dict[str, dict[str, TaskSide]] = {}
    for comparison in comparisons:
        for task in comparison.first.tasks:
            for name, spread in ((comparison.method, task.method), (comparison.baseline, task.baseline)):
                side = TaskSide(task.metric, task.higher_is_better, spread)
                found.setdefault(name, {}).setdefault(task.task, side)
    return found
