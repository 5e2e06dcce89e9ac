"""DST, compared with numbers computed by hand."""

from __future__ import annotations

import math

import pytest

from mtl_keras.schedules import DST, Records, get

NAN = math.nan
TASKS = ("a", "b", "c")


def make_records(*losses: tuple[float, float, float], depths: tuple[float, ...], counts: tuple[float, ...]) -> Records:
    by_task = [dict(zip(TASKS, values, strict=True)) for values in (depths, counts, *losses)]
    return Records(TASKS, by_task[0], by_task[1], tuple(by_task[2:]))


# Depths 4, 2, 1: P_d = 1, 1/2, 1/4.  Counts 100, 50, 0: P_c = 1, 1/2, 0.  Task c never runs: its P_u = P_r = 1.
#
# epoch | L_a  L_b | known at its beginning
#   0   | 2.0  1.0 | nothing: P_u = P_r = 1
#   1   | 1.0  0.8 | I = 1, 1 (mean 1): P_u = 1, 1; no L(k-2): P_r = 1
#   2   | 0.9  0.8 | I = 1/2, 0.8/1 (mean 0.65): P_u = 0.5/0.65 = 10/13, 1;
#       |          | R = |2-1|/2, |1-0.8|/1 = 0.5, 0.2 (mean 0.35): P_r = 0.35/0.5 = 0.7, 1
#   3   |          | I = 0.9/2, 0.8/1 = 0.45, 0.8 (mean 0.625): P_u = 0.45/0.625 = 0.72, 1;
#       |          | R = |1-0.9|/1, 0 = 0.1, 0 (mean 0.05): P_r = 0.05/0.1 = 0.5, and 1 for the zero denominator
#
# P = 0.2 (P_d + P_c + P_u + P_r + 1)
NEVER_RAN = make_records((2.0, 1.0, NAN), (1.0, 0.8, NAN), (0.9, 0.8, NAN), depths=(4, 2, 1), counts=(100, 50, 0))


@pytest.mark.parametrize(
    ("epoch", "incompleteness", "stagnancy", "expected"),
    [
        (0, (1, 1, 1), (1, 1, 1), (1.0, 0.8, 0.65)),
        (1, (1, 1, 1), (1, 1, 1), (1.0, 0.8, 0.65)),
        (2, (10 / 13, 1, 1), (0.7, 1, 1), (0.2 * (3.7 + 10 / 13), 0.8, 0.65)),
        (3, (0.72, 1, 1), (0.5, 1, 1), (0.844, 0.8, 0.65)),
    ],
)
def test_three_tasks_over_four_epochs_one_of_which_never_ran(
    epoch: int, incompleteness: tuple[float, ...], stagnancy: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    records = NEVER_RAN.before(epoch)
    metrics = DST().metrics(epoch, records)
    assert list(metrics["depth"].values()) == [1, 0.5, 0.25]
    assert list(metrics["count"].values()) == [1, 0.5, 0]
    assert list(metrics["incompleteness"].values()) == pytest.approx(incompleteness)
    assert list(metrics["stagnancy"].values()) == pytest.approx(stagnancy)
    assert list(metrics["floor"].values()) == [1, 1, 1]
    assert DST()(epoch, records) == pytest.approx(dict(zip(TASKS, expected, strict=True)))


# All three run. Depths 6, 3, 3: P_d = 1, 1/2, 1/2.  Counts 10, 40, 20: P_c = 1/4, 1, 1/2.
#
# epoch | L_a  L_b  L_c
#   0   | 4.0  1.0  2.0
#   1   | 2.0  0.9  2.0
#   2   | 1.0  0.9  1.0 | begins with I = 0.5, 0.9, 1 (mean 0.8): P_u = 0.625, 1, 1;
#       |               | R = 0.5, 0.1, 0 (mean 0.2): P_r = 0.4, 1, 1
#   3   |               | I = 0.25, 0.9, 0.5 (mean 0.55): P_u = 5/11, 1, 10/11;
#       |               | R = 0.5, 0, 0.5 (mean 1/3): P_r = 2/3, 1, 2/3
#
# dst(depth=0.1, count=0.2, incompleteness=0.3, stagnancy=0.4, floor=0):
#   epoch 2: a = 0.1 + 0.05 + 0.1875 + 0.16, b = 0.05 + 0.2 + 0.3 + 0.4, c = 0.05 + 0.1 + 0.3 + 0.4
#   epoch 3: a = 0.15 + 1.5/11 + 0.8/3, b = 0.95, c = 0.15 + 3/11 + 0.8/3
ALL_RAN = make_records((4.0, 1.0, 2.0), (2.0, 0.9, 2.0), (1.0, 0.9, 1.0), depths=(6, 3, 3), counts=(10, 40, 20))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, (0.85, 0.95, 0.85)),
        (1, (0.85, 0.95, 0.85)),
        (2, (0.4975, 0.95, 0.85)),
        (3, (0.15 + 1.5 / 11 + 0.8 / 3, 0.95, 0.15 + 3 / 11 + 0.8 / 3)),
    ],
)
def test_three_tasks_over_four_epochs_with_unequal_shares(epoch: int, expected: tuple[float, ...]) -> None:
    schedule = DST(depth=0.1, count=0.2, incompleteness=0.3, stagnancy=0.4, floor=0)
    assert schedule(epoch, ALL_RAN.before(epoch)) == pytest.approx(dict(zip(TASKS, expected, strict=True)))


# L_a(0) = 0 has no I_a; L_a(1) = 0 no R_a. I_b = 0.5, I_c = 1 (mean 0.75): P_u = 1, 2/3, 1.
# R_b = |3-2|/3 = 1/3, R_c = |2-4|/2 = 1 (mean 2/3): P_r = 1, 1, 2/3.
def test_a_zero_loss_gives_one_and_stays_out_of_the_means() -> None:
    records = make_records((0, 4, 4), (0, 3, 2), (5, 2, 4), depths=(1, 1, 1), counts=(1, 1, 1))
    metrics = DST().metrics(3, records)
    assert list(metrics["incompleteness"].values()) == pytest.approx([1, 2 / 3, 1])
    assert list(metrics["stagnancy"].values()) == pytest.approx([1, 1, 2 / 3])


def test_all_denominators_zero() -> None:
    records = make_records((0, 0, 0), (0, 0, 0), depths=(0, 0, 0), counts=(0, 0, 0))
    assert DST()(2, records) == {"a": 1, "b": 1, "c": 1}


def test_finished_tasks_have_no_work_left() -> None:
    # I = 0, 0, 0.5 (mean 1/6): only c is incomplete.
    records = make_records((1, 1, 1), (0, 0, 0.5), depths=(1, 1, 1), counts=(1, 1, 1))
    assert DST(incompleteness=1)(2, records) == {"a": 0, "b": 0, "c": 1}


# c first runs in epoch 1: without L_c(0), P_u = 1. At epoch 3 R = 0, 0, |3-1.5|/3 (mean 1/6): P_r = 1, 1, 1/3.
def test_a_task_that_starts_late_has_stagnancy_but_no_incompleteness() -> None:
    records = make_records((1, 1, NAN), (1, 1, 3.0), (1, 1, 1.5), depths=(1, 1, 1), counts=(1, 1, 1))
    metrics = DST().metrics(3, records)
    assert metrics["incompleteness"]["c"] == 1
    assert list(metrics["stagnancy"].values()) == pytest.approx([1, 1, 1 / 3])


def test_infinite_and_missing_numbers_give_one() -> None:
    records = make_records(
        (1, math.inf, 1), (math.inf, math.inf, 1), depths=(NAN, math.inf, 2), counts=(math.inf, math.inf, NAN)
    )
    assert DST()(2, records) == {"a": 1, "b": 1, "c": 1}


def test_records_without_the_first_epochs_count_as_missing_history() -> None:
    assert DST()(5, NEVER_RAN) == pytest.approx({"a": 1.0, "b": 0.8, "c": 0.65})


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ("dst", (0.2, 0.2, 0.2, 0.2, 0.2)),
        ("dst()", (0.2, 0.2, 0.2, 0.2, 0.2)),
        ("dst(floor=0.3)", (0.175, 0.175, 0.175, 0.175, 0.3)),
        ("dst(depth=1)", (1, 0, 0, 0, 0)),
        ("dst(count=1)", (0, 1, 0, 0, 0)),
        ("dst(incompleteness=1)", (0, 0, 1, 0, 0)),
        ("dst(stagnancy=1)", (0, 0, 0, 1, 0)),
        ("dst(0.1, 0.2, 0.3, 0.4, 0)", (0.1, 0.2, 0.3, 0.4, 0)),
        ("dst(depth=0, count=0)", (0, 0, 1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_shares_not_given_share_the_rest(specification: str, expected: tuple[float, ...]) -> None:
    schedule = get(specification)
    assert isinstance(schedule, DST)
    assert list(schedule.shares.values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("dst(floor=-0.1)", "floor must be a finite number from 0 on. Received: floor=-0.1"),
        ("dst(depth=0.6, count=0.6)", "must not add up to more than 1"),
        ("dst(0.1, 0.1, 0.1, 0.1, 0.1)", "must add up to 1"),
        ("dst(floor='half')", "Received: floor='half'"),
        ("dst(flor=0.3)", "Unknown argument of schedule 'dst'. Did you mean 'floor'"),
    ],
)
def test_wrong_shares_are_refused(specification: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        get(specification)
