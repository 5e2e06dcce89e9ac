"""Fast adaptive multi-task optimisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings import Previous, State
from mtl_keras.weightings.famo import FAMO
from tests.mtl_keras.weightings.reference import LOSSES, RTOL, one_step

ONES = np.ones(3, "float32")
# Losses after the step: those of the step that follows, or these.
AFTER = np.array(
    [
        [2.21875, 0.890625, 13.25],
        [1.65625, 0.734375, 11.75],
        [1.3125, 0.703125, 7.5],
        [1.171875, 0.5234375, 6.25],
        [1.0, 0.53125, 6.75],
        [0.84375, 0.4296875, 4.125],
    ]
)
# Weight decay, losses after the steps, weights in the steps, logits after them.
PUBLISHED = [
    (
        0.001,
        LOSSES[1:],
        [
            [0.26904121055633273, 0.686518946468129, 0.044439842975538074],
            [0.2822504817612885, 0.673805669833918, 0.0439438484047937],
            [0.30951194141723937, 0.6346496808664723, 0.055838377716288294],
            [0.26627506091528846, 0.6831085068913819, 0.05061643219332954],
            [0.30902671265895004, 0.6427797609616692, 0.04819352637938081],
        ],
        [
            [-0.02499999003439588, 0.024999981868112916, 0.024999977873036084],
            [-0.04548051088834955, 0.04689008449117968, 0.010213186119192197],
            [-0.0432594844611271, 0.0515665431583501, 0.002414974495657595],
            [-0.05311659869891418, 0.06021862705911108, 0.0010678325851834576],
            [-0.05218661318665864, 0.07088267818804757, -0.009748414696856271],
        ],
    ),
    (
        0.001,
        AFTER,
        [
            [0.26904121055633273, 0.686518946468129, 0.044439842975538074],
            [0.2828567357569051, 0.6752528036721135, 0.04189046057098134],
            [0.313129212366643, 0.6318460238293213, 0.05502476380403575],
            [0.266362039393515, 0.683443072611351, 0.05019488799513413],
            [0.30770031964325745, 0.6451693171741579, 0.04713036318258465],
            [0.28519386870858776, 0.6541610833608029, 0.060645047930609326],
        ],
        [
            [-0.024999781955664442, 0.024999963510514325, -0.02499995617681534],
            [-0.04639309837161011, 0.029930815200614587, -0.01699672225995187],
            [-0.05552430485773968, 0.03946477672939489, -0.018539523279399162],
            [-0.06545117912291751, 0.05589608936187695, -0.029272604759343027],
            [-0.06989150462634587, 0.06714576211213695, -0.03757234612565879],
            [-0.07811553404570218, 0.07936011556868451, -0.045227463901409144],
        ],
    ),
    (
        0.0,
        AFTER,
        [
            [0.26904121055633273, 0.686518946468129, 0.044439842975538074],
            [0.2828567357569051, 0.6752528036721135, 0.04189046057098134],
            [0.3131186048611077, 0.6318604107873794, 0.055020984351512946],
            [0.26630407888882435, 0.6835082664961275, 0.05018765461504796],
            [0.30757929235934167, 0.6452965159569142, 0.04712419168374408],
            [0.28499329447912214, 0.6543716224091526, 0.06063508311172522],
        ],
        [
            [-0.024999781955664442, 0.024999963510514325, -0.02499995617681534],
            [-0.046383328906718604, 0.029997230511142767, -0.017021765163298744],
            [-0.0556728025100442, 0.039629289041028665, -0.018614513080040345],
            [-0.06583116368361533, 0.056106646833719076, -0.02939013737432799],
            [-0.07060744868528161, 0.06745515039400322, -0.03774907925171403],
            [-0.07919536475172342, 0.07979303221487252, -0.04548308002714837],
        ],
    ),
]
# Of the logits in each step of the second run, without the weight decay.
GRADIENTS = [
    [0.001146545811043902, -0.006851278676240991, 0.005704732865197093],
    [0.0060816657649653775, 0.004031556885880448, -0.010113222650845825],
    [-0.0025177542539216676, -0.0032560637114340367, 0.005773817965355709],
    [0.0012517422280899993, -0.013118712560491809, 0.01186697033240181],
    [-0.0018131613864166062, 0.0027613793178402407, -0.0009482179314236317],
    [0.0027468937784268185, -0.003467893720734713, 0.000720999942307892],
]


def initial(weighting: FAMO, dtype: str, tasks: int = 3) -> State:
    return {name: value.astype(dtype) for name, value in weighting.initial_state(tasks).items()}


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize(("gamma", "later", "weights", "logits"), PUBLISHED)
def test_published_weights(
    gamma: float, later: np.ndarray, weights: list[list[float]], logits: list[list[float]], dtype: str
) -> None:
    weighting = FAMO(gamma=gamma)
    assert weighting.needs == {"losses_after"}
    state, previous = initial(weighting, dtype), None
    atol = RTOL[dtype] / 1000
    known = [[0.0, 0.0, 0.0], *logits]
    for before, after, expected, moved in zip(LOSSES.astype(dtype), later.astype(dtype), weights, known, strict=False):
        found, _, state = one_step(weighting, before, state=state, previous=previous)
        np.testing.assert_allclose(found, expected, rtol=RTOL[dtype])
        np.testing.assert_allclose(state["logits"], moved, rtol=RTOL[dtype], atol=atol)
        previous = Previous(before, after, ONES)
    state = one_step(weighting, before, state=state, previous=previous).state
    np.testing.assert_allclose(state["logits"], logits[-1], rtol=RTOL[dtype], atol=atol)


def test_published_gradients() -> None:
    weighting = FAMO()
    logits = [[0.0, 0.0, 0.0], *PUBLISHED[1][3]]
    for before, after, start, gradient in zip(LOSSES, AFTER, logits, GRADIENTS, strict=False):
        found = weighting.gradient(np.log(before) - np.log(after), ONES > 0, {"logits": np.array(start)})
        np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-9)


def test_without_another_forward_pass_the_logits_move_one_step_later() -> None:
    """The losses after a step of the first run are those of the next one: the same changes, seen a step later."""
    weighting = FAMO(same_batch=False)
    assert weighting.needs == set()
    state = one_step(weighting, LOSSES[0], state=initial(weighting, "float64")).state
    np.testing.assert_array_equal(state["logits"], 0)
    for losses, moved in zip(LOSSES[1:], PUBLISHED[0][3], strict=True):
        state = one_step(weighting, losses, state=state).state
        np.testing.assert_allclose(state["logits"], moved, rtol=1e-6)


def test_two_tasks_by_hand() -> None:
    # exp(w) = (1, 3), over the losses (2, 4): 1/2 and 3/4, that is 2/5 and 3/5; times the preferences.
    weighting = FAMO()
    state = {**weighting.initial_state(2), "logits": np.log([1.0, 3.0])}
    np.testing.assert_allclose(weighting(np.array([2.0, 4.0]), preference=[1.0, 5.0], state=state), [0.4, 3], rtol=1e-6)
    # z = (1/4, 3/4), gains log 2 and log 8: their mean is 2.5 log 2; gradients -1.5 log 2 / 4 and 0.5 log 2 * 3 / 4.
    gradient = weighting.gradient(np.log([2.0, 8.0]), np.ones(2, bool), state)
    np.testing.assert_allclose(gradient, 0.375 * np.log([0.5, 2.0]), rtol=1e-6)
    # Adam's first step is one learning rate against the sign of the gradient.
    moved = one_step(weighting, ONES[:2], previous=Previous(ONES[:2], np.array([0.5, 0.9]), ONES[:2]))
    np.testing.assert_allclose(moved.state["logits"], [-0.025, 0.025], rtol=1e-5)


def test_the_unit_of_a_loss_matters_for_the_common_factor_only() -> None:
    weights, other = np.array(FAMO()([2.0, 4.0])), np.array(FAMO()([2000.0, 4.0]))
    assert other[0] * 1000 / other[1] == pytest.approx(weights[0] / weights[1], rel=1e-4)


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_dropped_task_is_as_if_it_were_not_there(same_batch: bool) -> None:
    weighting, preference, others = FAMO(same_batch=same_batch), np.array([1.0, 0.0, 2.0], "float32"), [0, 2]
    state, without = initial(weighting, "float32"), initial(weighting, "float32", 2)
    previous, other = None, None
    for before, after in zip(LOSSES.astype("float32"), AFTER.astype("float32"), strict=True):
        before[1] = after[1] = np.nan
        state = one_step(weighting, before, None, preference, state, previous).state
        without = one_step(weighting, before[others], None, preference[others], without, other).state
        previous = Previous(before, after, preference)
        other = Previous(*(row[others] for row in previous))
    for name, entry in state.items():
        np.testing.assert_allclose(np.array(entry)[[0, 2]], without[name], rtol=1e-5)
        assert np.array(entry)[1] == 0
    weights = np.array(weighting(before, preference=preference, state=state))
    expected = weighting(before[others], preference=preference[others], state=without)
    np.testing.assert_allclose(weights[others], expected, rtol=1e-5)
    assert weights[1] == 0


def test_a_task_that_was_away_is_compared_with_its_last_batch() -> None:
    weighting = FAMO(same_batch=False)
    state = initial(weighting, "float32", 2)
    for losses, preference in (([4.0, 1.0], [1.0, 1.0]), ([9.0, 0.5], [0.0, 1.0]), ([2.0, 0.5], [1.0, 1.0])):
        state = one_step(weighting, np.array(losses, "float32"), None, preference, state).state
        if preference[0] == 0:
            assert np.array(state["last"])[0] == 4
    # In the third step the first task's loss has been halved, and the second's has stayed.
    assert np.array(state["logits"])[0] < 0 < np.array(state["logits"])[1]
    np.testing.assert_array_equal(state["steps"], [1, 2])


@pytest.mark.parametrize("same_batch", [True, False])
@pytest.mark.parametrize("losses", [[0.0, 0.0, 0.0], [1e-38, 1.0, 1e38], [1e-18, 1e18, 1e18], [np.nan, np.inf, 1.0]])
def test_degenerate_losses(losses: list[float], same_batch: bool) -> None:
    weighting, row = FAMO(same_batch=same_batch), np.array(losses, "float32")
    state = initial(weighting, "float32")
    previous = None
    for before, after in ((ONES, row), (row, row), (row, ONES), (ONES, ONES), (ONES, ONES)):
        state = one_step(weighting, before, state=state, previous=previous).state
        previous = Previous(before, after, ONES)
        assert all(np.isfinite(np.array(entry)).all() for entry in state.values())
    finite = np.isfinite(row)
    weights = np.array(weighting(row, preference=finite, state=state))
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_array_equal(weighting(row, preference=[0.0, 0.0, 0.0], state=state), 0)


def test_one_task_has_its_preference() -> None:
    np.testing.assert_allclose(FAMO()([0.3], preference=[0.7]), [0.7], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("gamma", -0.1),
        ("gamma", float("inf")),
        ("same_batch", 1),
        ("same_batch", None),
    ],
)
def test_what_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be .*Received: {name}="):
        FAMO(**{name: value})
