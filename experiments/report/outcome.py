"""The result of a method against a baseline: which tasks gained, which suffered, and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.comparison_table import interval
from experiments.report.run_records import number
from experiments.report.wording import arrow, count, figure, listed
from mtl_keras.analysis.comparison import BETTER, UNCLEAR, UNKNOWN, WORSE
from mtl_keras.reports.bars import Bar, gain_bars
from mtl_keras.reports.page import Html, Section, bullets, details, strong, table, text
from mtl_keras.reports.svg import svg

_SPLITS = {"test": "test split", "train": "training split"}
_SIGNS = {BETTER: "▲ better", WORSE: "▼ worse", UNCLEAR: "● no clear difference", UNKNOWN: "● not known"}
_WORDS = {
    BETTER: "Gained",
    WORSE: "Suffered (negative transfer)",
    UNCLEAR: "Undecided (the interval holds 0)",
    UNKNOWN: "Not known (one seed, or a result that is not finite)",
}

Outcome = Mapping[str, Any]
"""From `experiments.comparison.Outcome.to_json`."""


def verdict(outcome: Outcome) -> Html:
    """Returns the tasks that gained, suffered or are undecided, and delta_m."""
    tasks = outcome["measures"][0]["tasks"]
    seeds = count(len(outcome["seeds"]), "seed")
    lines = []
    for verdict_, words in _WORDS.items():
        names = [task["task"] for task in tasks if task["verdict"] == verdict_]
        if names or verdict_ in (BETTER, WORSE):
            lines.append(Html(f"{strong(words)}: {text(listed(names) if names else 'none')}."))
    delta_m = f"delta_m {interval(outcome['delta_m'], 2)} %, the mean of the tasks' relative gains"
    lines.append(Html(f"{strong('In sum')}: {text(_delta_m_verdict(outcome))}, {text(delta_m)}."))
    head = f"<h3>{text(outcome['method'])} against {text(outcome['baseline'])}, {seeds}</h3>"
    return Html(head + bullets(lines))


def outcome_section(outcome: Outcome, anchor: str) -> Section:
    """Returns the gain of each task on the test split, as a figure and in numbers, and the other measures."""
    first, *others = outcome["measures"]
    tasks = first["tasks"]
    confidence = outcome["delta_m"]["confidence"]
    caption = (
        f"Bars to the right: {outcome['method']} is better than {outcome['baseline']} (▲ clearly, ▼ clearly worse, ● "
        f"no clear difference). Lines: the {confidence:.0%} interval of the mean of the paired differences, one per "
        "seed (Student's t)."
    )
    gained = [task["task"] for task in tasks if task["verdict"] == BETTER]
    suffered = [task["task"] for task in tasks if task["verdict"] == WORSE]
    alt = (
        f"Gain of each of {count(len(tasks), 'task')}: clearly better {listed(gained) or 'none'}; clearly worse "
        f"{listed(suffered) or 'none'}."
    )
    drawn = gain_bars(
        [task["task"] for task in tasks],
        [_gain(task) for task in tasks],
        [task["verdict"] for task in tasks],
        "gain in % of the baseline",
    )
    left_out = [
        f"{what} {', '.join(map(str, outcome[key]))}"
        for what, key in (("tasks", "tasks_left_out"), ("seeds", "seeds_left_out"))
        if outcome[key]
    ]
    body = svg(drawn, alt, caption) + _measure(outcome, first)
    if left_out:
        body += f"<p>Left out, without a result on both sides: {text('; '.join(left_out))}.</p>"
    if others:
        body += details("Losses, and the training split", "".join(_measure(outcome, measure) for measure in others))
    return Section(f"Against {outcome['baseline']}", anchor, Html(body))


def _measure(outcome: Outcome, measure: Mapping[str, Any]) -> Html:
    rows = [
        [
            task["task"],
            _SIGNS[task["verdict"]],
            f"{task['metric']}{arrow(task['higher_is_better'])}",
            *(_spread(task[side]) for side in ("method", "baseline")),
            interval(task["difference"]),
        ]
        for task in measure["tasks"]
    ]
    what = "Loss" if measure["metric"] == "loss" else "Primary metric"
    caption = (
        f"{what} on the {_SPLITS[measure['split']]}: mean ± standard deviation over the seeds, and the mean difference "
        "with its interval in square brackets"
    )
    return table(["task", "verdict", "metric", outcome["method"], outcome["baseline"], "difference"], rows, caption)


def _gain(task: Mapping[str, Any]) -> Bar:
    """Returns the difference and its interval in percent of the baseline, signed so that positive is better."""
    baseline = number(task["baseline"]["mean"])
    if not baseline > 0:
        return Bar(math.nan)
    scale = 100 / baseline * (1 if task["higher_is_better"] else -1)
    mean, *ends = (scale * number(task["difference"][key]) for key in ("mean", "low", "high"))
    if not math.isfinite(mean):
        # One seed gives a difference without an interval.
        mean = scale * (number(task["method"]["mean"]) - baseline)
    return Bar(mean, *sorted(ends))


def _delta_m_verdict(outcome: Outcome) -> str:
    low, high = (number(outcome["delta_m"][key]) for key in ("low", "high"))
    if not math.isfinite(low):
        return "unknown (no interval)"
    better, worse = (low > 0, high < 0)
    if outcome["delta_m_convention"] != "positive is better":
        better, worse = worse, better
    return "better" if better else "worse" if worse else "no clear difference"


def _spread(entry: Mapping[str, Any]) -> str:
    mean, std = number(entry["mean"]), number(entry["std"])
    return figure(mean) + (f" ± {std:.4f}" if math.isfinite(std) else "")


def sides(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Returns method or baseline -> task -> its mean, standard deviation, metric and direction on the test split."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for outcome in outcomes:
        for task in outcome["measures"][0]["tasks"]:
            for side in ("method", "baseline"):
                about = {"metric": task["metric"], "higher_is_better": task["higher_is_better"], **task[side]}
                found.setdefault(outcome[side], {}).setdefault(task["task"], about)
    return found
