"""The results of one run: each task against the best constant prediction, and warnings."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from experiments.config import FEW_STEPS
from experiments.report.cautions import caution, small_test_split
from experiments.report.wording import arrow, count, duration, figure, listed, share
from experiments.run_results import RunResult
from mtl_keras.analysis import SCORES
from mtl_keras.reports.page import Html, Section, bullets, code, paragraph, strong, table, text

_BETTER, _EQUAL, _WORSE, _NOT_KNOWN = "▲ better", "● no better", "▼ worse", "not known"
_RISEN = 1.1
"""A validation loss that ends above this multiple of its minimum counts as risen."""


def lead(run: RunResult) -> Html:
    """Returns the summary: the verdict in a few sentences, then the warnings."""
    return Html(paragraph(_what(run), "note") + bullets(_sentences(run)) + "".join(_warnings(run)))


def results_section(run: RunResult) -> Section:
    """Returns the primary metrics on the test split, with those of the best constant prediction."""
    if not run.finished:
        words = "The run is not finished: its best model has not been evaluated on the test split yet."
        return Section("Results", "results", paragraph(words))
    rows = []
    for task in run.tasks:
        score = run.score(task)
        metric = f"{run.primary(task)}{arrow(run.higher_is_better(task))}"
        numbers = (figure(score.value), figure(score.baseline), _signed(score.value - score.baseline))
        rows.append([task, _judge(run, task), metric, *numbers])
    header = ["task", "verdict", "primary metric", "this run", "best constant", "difference"]
    caption = (
        "The best model on the test split, with the best constant prediction: the most frequent class, or the mean of "
        "the labels. ↑ higher is better, ↓ lower is better."
    )
    body = table(header, rows, caption) + _overall(run)
    return Section("Results", "results", Html(body))


def _overall(run: RunResult) -> Html:
    overall = run.evaluations["best_mean", "test"].overall
    if not overall:
        return Html("")
    rows = []
    for name in SCORES:
        scores = [overall[f"{average}_{name}"] for average in ("macro", "micro")]
        rows.append([name, *(figure(each) for score in scores for each in (score.value, score.baseline))])
    header = ["score", "mean of the tasks", "best constant", "all decisions", "best constant"]
    return table(header, rows, "The binary tasks together")


def _what(run: RunResult) -> str:
    config = run.config
    planned = config.get("epochs")
    parts = [
        f"{config.get('dataset')}{' (drawn images)' if run.synthetic else ''}",
        f"model {config.get('model')}",
        f"schedule {config.get('schedule')}",
        f"weighting {config.get('weighting')}",
        f"seed {config.get('seed')}",
        f"{run.epochs} of {planned} epochs",
        str(config.get("date", "")),
    ]
    return " · ".join(filter(None, parts))


def _sentences(run: RunResult) -> Iterator[Html]:
    if run.finished:
        yield from _results(run)
    if run.epochs:
        yield _schedule(run)
        best = run.best_epoch
        if best is not None:
            score = run.column("val_mtl_score")[best]
            yield text(
                f"Best epoch: {best + 1} of {run.epochs}, by the mean of the primary metrics in validation "
                f"({figure(score)})."
            )
    if run.finished:
        cost = run.cost
        took = f"{duration(cost.seconds)} ({duration(cost.seconds_per_step)} a step)"
        yield text(f"Training took {took} for a network of {cost.parameters:,} weights.")


def _results(run: RunResult) -> Iterator[Html]:
    judged = {task: _judge(run, task) for task in run.tasks}
    better = [task for task, verdict in judged.items() if verdict == _BETTER]
    not_better = [task for task, verdict in judged.items() if verdict in (_EQUAL, _WORSE)]
    unknown = [task for task, verdict in judged.items() if verdict == _NOT_KNOWN]
    head = strong(f"{len(better)} of {count(len(run.tasks), 'task')}")
    yield Html(f"{head} did better than the best constant prediction on the test split.")
    if not_better:
        yield Html(f"{strong('No better')} than that: {text(listed(not_better))}.")
    if unknown:
        yield text(f"Not known (no labels, or no finite numbers): {listed(unknown)}.")


def _judge(run: RunResult, task: str) -> str:
    score = run.score(task)
    gain = (score.value - score.baseline) * (1 if run.higher_is_better(task) else -1)
    if not math.isfinite(gain):
        return _NOT_KNOWN
    return _BETTER if gain > 0 else _WORSE if gain < 0 else _EQUAL


def _schedule(run: RunResult) -> Html:
    active = run.table("active")
    if np.all(active == 1):
        return text(f"Every task ran in every step (schedule {run.config.get('schedule')}).")
    means = np.nanmean(active, axis=1)
    least, most = (f"{run.tasks[i]} ({share(means[i])})" for i in (np.argmin(means), np.argmax(means)))
    mean, schedule = share(float(means.mean())), run.config.get("schedule")
    return text(f"Under the schedule {schedule} a task ran in {mean} of the steps: least {least}, most {most}.")


def _warnings(run: RunResult) -> Iterator[Html]:
    if run.failed and not run.finished:
        yield caution("Stopped", "the loss of a task became NaN or infinite; details are in nonfinite/.")
    elif not run.finished:
        planned = run.config.get("epochs")
        yield caution("Not finished", f"{run.epochs} of {planned} epochs are done, and nothing is evaluated yet.")
    if run.synthetic:
        yield caution("Drawn images", "the data are synthetic. These numbers say nothing about the real dataset.")
    if run.finished:
        yield caution(
            "One run, one seed",
            Html(
                "another seed would give other numbers, and one run cannot show whether sharing helps. "
                f"Use {code('train.py --compare single_task --seeds 0,1,2')}."
            ),
        )
    skipped = (run.config.get("data") or {}).get("skipped") or {}
    if any(skipped.values()):
        yield caution("Examples skipped", f"some could not be read: {skipped}.")
    if run.finished:
        yield from small_test_split(run.config)
    if run.finished and run.cost.steps < FEW_STEPS:
        yield caution(
            "Few steps",
            f"{run.cost.steps} in all. Until the averages of batch normalisation have settled, a network may predict "
            "far worse than it has learned: a lower --batch_size, or more --epochs, may do much better.",
        )
    elif run.epochs > 2:
        yield from _course(run)


def _course(run: RunResult) -> Iterator[Html]:
    risen = []
    for task in run.tasks:
        losses = np.array(run.column(f"val_{task}_loss"))
        if np.isfinite(losses).all() and losses[-1] > _RISEN * losses.min() > 0:
            risen.append(f"{task} (lowest in epoch {losses.argmin() + 1})")
    if risen:
        yield caution("Overfitting", f"the validation loss ended a tenth or more above its lowest: {listed(risen)}.")
    if run.finished and run.best_epoch == run.epochs - 1:
        yield caution("Still improving", "the best epoch was the last. More epochs may do better.")


def _signed(value: float) -> str:
    return f"{value:+.4f}" if math.isfinite(value) else "-"
