"""Verdicts from the results of a few seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from mtl_keras.analysis import POSITIVE_IS_WORSE, Comparison, TaskResults, compare


def results(
    task: str, method: Sequence[float], baseline: Sequence[float], *, higher_is_better: bool = True
) -> TaskResults:
    metric = "accuracy" if higher_is_better else "mae"
    return TaskResults(task, metric, higher_is_better, dict(enumerate(method)), dict(enumerate(baseline)))


CLEAR = results("clear", [0.90, 0.92, 0.91], [0.80, 0.82, 0.80])
WORSE = results("worse", [2.0, 2.2, 2.1], [1.0, 1.1, 1.1], higher_is_better=False)
UNCLEAR = results("unclear", [0.5, 0.7, 0.6], [0.6, 0.5, 0.6])


def test_verdicts_know_which_way_is_good() -> None:
    comparison = compare([CLEAR, WORSE, UNCLEAR])
    assert [entry.verdict for entry in comparison.tasks] == ["better", "worse", "no clear difference"]
    assert comparison.negative_transfer == ["worse"]
    lower_error = compare([results("a", [1.0, 1.1, 1.1], [2.0, 2.2, 2.1], higher_is_better=False)])
    assert lower_error.tasks[0].verdict == "better"
    assert lower_error.tasks[0].difference.high < 0
    assert lower_error.tasks[0].relative_gain > 0
    assert compare([results("a", [0.8, 0.82, 0.8], [0.9, 0.92, 0.91])]).negative_transfer == ["a"]


def test_figures_of_a_task() -> None:
    entry = compare([CLEAR]).tasks[0]
    assert (entry.task, entry.metric, entry.higher_is_better) == ("clear", "accuracy", True)
    assert entry.method.mean == pytest.approx(0.91)
    assert entry.method.std == pytest.approx(0.01)
    assert entry.baseline.std == pytest.approx(np.std([0.80, 0.82, 0.80], ddof=1))
    differences = [0.10, 0.10, 0.11]
    assert entry.difference.mean == pytest.approx(np.mean(differences))
    half = 4.303 * np.std(differences, ddof=1) / math.sqrt(3)
    assert entry.difference.low == pytest.approx(np.mean(differences) - half, abs=1e-5)
    assert entry.relative_gain == pytest.approx(100 * np.mean([0.10 / 0.80, 0.10 / 0.82, 0.11 / 0.80]))


def test_delta_m_is_one_number_a_seed() -> None:
    comparison = compare([CLEAR, WORSE])
    clear = np.array([0.10 / 0.80, 0.10 / 0.82, 0.11 / 0.80])
    worse = -np.array([1.0 / 1.0, 1.1 / 1.1, 1.0 / 1.1])
    by_seed = 100 * (clear + worse) / 2
    assert comparison.delta_m.mean == pytest.approx(by_seed.mean())
    assert comparison.delta_m.mean == pytest.approx(np.mean([entry.relative_gain for entry in comparison.tasks]))
    half = 4.303 * by_seed.std(ddof=1) / math.sqrt(3)
    assert comparison.delta_m.high == pytest.approx(by_seed.mean() + half, rel=1e-3)
    assert (comparison.delta_m.count, comparison.convention) == (3, "positive is better")


def test_the_other_convention_turns_gains_and_nothing_else() -> None:
    one, other = compare([CLEAR, WORSE]), compare([CLEAR, WORSE], convention=POSITIVE_IS_WORSE)
    assert other.delta_m.mean == pytest.approx(-one.delta_m.mean)
    assert other.tasks[0].relative_gain == pytest.approx(-one.tasks[0].relative_gain)
    assert other.tasks[0].difference == one.tasks[0].difference
    assert other.negative_transfer == one.negative_transfer
    assert other.to_json()["convention"] == "positive is worse"


def test_seeds_that_one_side_lacks_are_left_out() -> None:
    lacking = TaskResults("lacking", "accuracy", True, {0: 0.5, 2: 0.9, 7: 0.1}, {2: 0.8, 0: 0.4, 1: 0.3})
    comparison = compare([CLEAR, lacking])
    assert comparison.seeds == (0, 2)
    assert comparison.tasks[1].method.mean == pytest.approx(0.7)
    assert comparison.tasks[0].difference.count == 2


def test_one_seed_has_no_verdict() -> None:
    comparison = compare([results("a", [0.9], [0.1])])
    assert comparison.tasks[0].verdict == "not known"
    assert comparison.tasks[0].method.mean == 0.9
    assert math.isnan(comparison.tasks[0].method.std)
    assert comparison.delta_m.mean == pytest.approx(800)
    assert math.isnan(comparison.delta_m.low)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_run_that_diverged_has_no_verdict_and_hides_no_other(bad: float) -> None:
    comparison = compare([results("a", [0.9, bad, 0.9], [0.1, 0.2, 0.1]), CLEAR])
    assert [entry.verdict for entry in comparison.tasks] == ["not known", "better"]
    assert math.isnan(comparison.tasks[0].relative_gain)
    assert comparison.tasks[1].relative_gain > 0
    assert math.isnan(comparison.delta_m.mean)


def test_of_a_baseline_of_nothing_there_is_no_relative_gain() -> None:
    comparison = compare([results("a", [0.2, 0.3], [0.0, 0.1])])
    assert comparison.tasks[0].difference.mean == pytest.approx(0.2)
    assert math.isnan(comparison.tasks[0].relative_gain)
    assert math.isnan(comparison.delta_m.mean)


DEPTH = [
    TaskResults("depth", "abs", False, {0: 0.4, 1: 0.41, 2: 0.4}, {0: 0.5, 1: 0.5, 2: 0.51}),
    TaskResults("depth", "within", True, {0: 0.6, 1: 0.62, 2: 0.61}, {0: 0.5, 1: 0.5, 2: 0.5}),
]


def test_tasks_with_several_metrics() -> None:
    comparison = compare([*DEPTH, CLEAR])
    gains = [entry.relative_gain for entry in comparison.tasks]
    assert comparison.delta_m.mean == pytest.approx(np.mean(gains))
    assert comparison.delta_p.mean == pytest.approx(((gains[0] + gains[1]) / 2 + gains[2]) / 2)
    assert not comparison.has_one_metric_per_task
    assert comparison.by_verdict()["better"] == ["depth abs", "depth within", "clear accuracy"]
    assert compare([CLEAR, WORSE]).delta_p == compare([CLEAR, WORSE]).delta_m
    text = repr(comparison)
    assert f"delta_m, the mean over 3 metrics: {np.mean(gains):+.2f} [" in text
    assert f"delta_p, the mean over 2 tasks: {comparison.delta_p.mean:+.2f} [" in text
    assert "(positive is better)." in text


def draws(tasks: int, *, shift: float = 0.0) -> list[TaskResults]:
    """Tasks without a difference between the methods, and a first one with a difference of `shift`."""
    rng = np.random.default_rng(1)
    pairs = rng.normal(0.8, 0.01, (tasks, 2, 5))
    pairs[0, 0] += shift
    return [results(f"attribute_{number}", *pair.tolist()) for number, pair in enumerate(pairs)]


def test_what_chance_alone_calls_better_or_worse_is_not_left_after_holm() -> None:
    comparison = compare(draws(41, shift=0.1))
    assert comparison.expected_by_chance == pytest.approx(41 * 0.05)
    by_itself, corrected = comparison.by_verdict(), comparison.by_verdict(after_holm=True)
    assert len(by_itself["better"]) + len(by_itself["worse"]) > 1
    assert corrected["better"] == ["attribute_0"]
    assert corrected["worse"] == []
    assert "Of 41 tasks without any difference, about 2 would be called better or worse by chance." in repr(comparison)
    assert "After Holm's correction for 41 tests: better: attribute_0; worse: none." in repr(comparison)
    first = comparison.tasks[0]
    assert first.holm_p_value == pytest.approx(41 * first.p_value)
    assert "about 0.1 would be" in repr(compare([CLEAR, WORSE]))
    assert "Holm's correction" not in repr(compare([CLEAR]))


def test_intervals_by_bootstrap() -> None:
    student, bootstrap = (compare([UNCLEAR, CLEAR], intervals=name) for name in ("t", "bootstrap"))
    assert bootstrap.tasks[1].difference.low > student.tasks[1].difference.low
    assert bootstrap.tasks[1].verdict == "better"
    assert bootstrap.delta_m.low > student.delta_m.low
    assert "interval (percentile bootstrap)" in repr(bootstrap)
    assert bootstrap.to_json()["intervals"] == "bootstrap"


def test_json_of_earlier_versions_is_read() -> None:
    comparison = compare([CLEAR, WORSE])
    assert Comparison.from_json(json.loads(json.dumps(comparison.to_json()))) == comparison
    values = comparison.to_json()
    for name in ("delta_p", "intervals", "expected_by_chance"):
        del values[name]
    for task in values["tasks"]:
        for name in ("p_value", "holm_p_value", "holm_verdict"):
            del task[name]
    earlier = Comparison.from_json(values)
    assert earlier.delta_p == earlier.delta_m == comparison.delta_m
    assert [entry.verdict for entry in earlier.tasks] == ["better", "worse"]
    assert math.isnan(earlier.tasks[0].p_value)
    assert earlier.tasks[0].holm_verdict == "not known"
    assert "Holm" not in repr(earlier)


def test_json() -> None:
    content = json.loads(json.dumps(compare([CLEAR, WORSE]).to_json()))
    assert content["seeds"] == [0, 1, 2]
    assert content["negative_transfer"] == ["worse"]
    assert content["tasks"][1]["verdict"] == "worse"
    assert set(content["tasks"][0]["difference"]) == {"mean", "low", "high", "confidence", "count"}
    assert content["delta_m"]["confidence"] == 0.95


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"No seed.*a: \[0\] with the method, \[1\] with the baseline"):
        compare([TaskResults("a", "accuracy", True, {0: 0.5}, {1: 0.5})])
    with pytest.raises(ValueError, match=r"at least one task.*Received: none"):
        compare([])
    with pytest.raises(ValueError, match=r"each of its metrics once. Received: clear accuracy, clear acc"):
        compare([CLEAR, CLEAR])
    with pytest.raises(ValueError, match="Unknown convention"):
        compare([CLEAR], convention="positive")
    with pytest.raises(ValueError, match="Unknown value of intervals"):
        compare([CLEAR], intervals="normal")
    with pytest.raises(ValueError, match="`confidence`"):
        compare([CLEAR], confidence=95)
