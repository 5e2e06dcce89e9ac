"""Units that exchange features, attention, routing and branch choices."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from mtl_keras.layers import (
    NDDR,
    BranchChoice,
    CrossStitch,
    LayerMixture,
    Sluice,
    SubspaceOrthogonality,
    TaskAttention,
    TaskRouting,
)

RNG = np.random.default_rng(0)
MAPS = [RNG.normal(size=(2, 3, 3, 4)).astype("float32") for _ in range(3)]


def values(result: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(result)


@pytest.mark.parametrize("unit", [CrossStitch(1, own=1.0), Sluice(1, own=1.0), NDDR(1, own=1.0, normalise=False)])
def test_identity_passes_the_own_features(unit: keras.Layer) -> None:
    inputs = [np.abs(maps) for maps in MAPS]  # NDDR ends with a ReLU
    np.testing.assert_array_equal(values(unit(inputs)), inputs[1])


@pytest.mark.parametrize("unit", [CrossStitch(2), CrossStitch(2, per_channel=False), Sluice(2), Sluice(2, subspaces=1)])
def test_rows_start_as_convex_combinations(unit: keras.Layer) -> None:
    np.testing.assert_allclose(
        values(unit(MAPS)), 0.05 * MAPS[0] + 0.05 * MAPS[1] + 0.9 * MAPS[2], rtol=1e-4, atol=1e-6
    )
    equal = [MAPS[0]] * 3
    np.testing.assert_allclose(values(unit(equal)), MAPS[0], rtol=1e-5, atol=1e-6)


def test_cross_stitch_weights_are_of_tasks_and_channels() -> None:
    unit = CrossStitch(0, speed=10)
    unit.build([(None, 3, 3, 4)] * 3)
    unit.change.assign(np.arange(12).reshape(3, 4) / 100)
    alpha = np.array([[0.9], [0.05], [0.05]]) + np.arange(12).reshape(3, 4) / 10
    np.testing.assert_allclose(values(unit.mixing()), alpha, rtol=1e-5)
    expected = sum(alpha[task] * maps for task, maps in enumerate(MAPS))
    np.testing.assert_allclose(values(unit(MAPS)), expected, rtol=1e-4, atol=1e-5)


def test_weight_decay_pulls_a_stitch_to_its_start_and_adam_moves_it_faster() -> None:
    unit = CrossStitch(0, per_channel=False, speed=100)
    unit.build([(None, 4)] * 2)
    optimizer = keras.optimizers.Adam(0.001)
    optimizer.apply([keras.ops.ones((2, 1))], [unit.change])
    np.testing.assert_allclose(values(unit.mixing()).ravel(), [0.8, 0.0], atol=1e-4)
    unit.change.assign(unit.change * 0)  # where decay ends
    np.testing.assert_allclose(values(unit.mixing()).ravel(), [0.9, 0.1], rtol=1e-6)


def test_a_sluice_unit_mixes_all_subspaces() -> None:
    unit = Sluice(0, subspaces=2)
    unit.build([(None, 3, 3, 4)] * 3)
    assert unit.alpha.shape == (2, 6)  # with those of three tasks: (3 * 2) ** 2
    alpha = RNG.normal(size=(2, 6)).astype("float32")
    unit.alpha.assign(alpha)
    parts = np.stack([part for maps in MAPS for part in np.split(maps, 2, axis=-1)], axis=-2)
    expected = np.einsum("st,...tc->...sc", alpha, parts).reshape(MAPS[0].shape)
    np.testing.assert_allclose(values(unit(MAPS)), expected, rtol=1e-4, atol=1e-5)


def test_orthogonality_of_subspaces() -> None:
    kernel = RNG.normal(size=(3, 3, 2, 6)).astype("float32")
    first, second, third = np.split(kernel.reshape(-1, 6), 3, axis=1)
    expected = sum(np.square(a.T @ b).sum() for a, b in ((first, second), (first, third), (second, third)))
    np.testing.assert_allclose(values(SubspaceOrthogonality(3, 0.5)(kernel)), 0.5 * expected, rtol=1e-4)
    orthogonal = np.eye(4, dtype="float32")
    assert float(SubspaceOrthogonality(2)(orthogonal)) == 0


def test_layer_mixtures() -> None:
    np.testing.assert_allclose(values(LayerMixture()(MAPS)), 0.05 * MAPS[0] + 0.05 * MAPS[1] + 0.9 * MAPS[2], atol=1e-6)
    np.testing.assert_allclose(values(LayerMixture(last=None)(MAPS)), sum(MAPS) / 3, atol=1e-6)
    np.testing.assert_array_equal(values(LayerMixture(last=1.0)(MAPS)), MAPS[2])


def test_nddr_concatenates_reduces_normalises_and_rectifies() -> None:
    unit = NDDR(0, own=0.8, others=0.05, use_bias=True)
    found = values(unit(MAPS))
    mixed = 0.8 * MAPS[0] + 0.05 * MAPS[1] + 0.05 * MAPS[2]
    np.testing.assert_allclose(found, np.maximum(mixed / np.sqrt(1.001), 0), rtol=1e-4, atol=1e-5)
    assert unit.count_params() == 3 * 4 * 4 + 4 + 4 * 4
    trained = values(unit(MAPS, training=True))
    normalised = (mixed - mixed.mean(axis=(0, 1, 2))) / np.sqrt(mixed.var(axis=(0, 1, 2)) + 0.001)
    np.testing.assert_allclose(trained, np.maximum(normalised, 0), rtol=1e-3, atol=1e-4)


def test_attention_masks_the_features() -> None:
    unit = TaskAttention(hidden=2)
    found = values(unit([MAPS[0], MAPS[1], MAPS[2]]))
    mask = values(unit.mask(MAPS[1:]))
    assert mask.min() > 0
    assert mask.max() < 1
    np.testing.assert_allclose(found, mask * MAPS[0], rtol=1e-5)
    assert unit.count_params() == (8 * 2 + 2) + 4 * 2 + (2 * 4 + 4) + 4 * 4


def test_routing_masks_are_drawn_by_seed_and_not_trained() -> None:
    first, again, other = TaskRouting(0.5, seed=1), TaskRouting(0.5, seed=1), TaskRouting(0.5, seed=2)
    wide = np.ones((1, 21), "float32")
    assert values(first(wide)).sum() == 21 - 10
    np.testing.assert_array_equal(values(first(wide)), values(again(wide)))
    assert (values(first(wide)) != values(other(wide))).any()
    assert first.trainable_variables == []
    assert TaskRouting().seed != TaskRouting().seed


def test_a_branch_choice_samples_in_training_and_takes_the_most_likely_otherwise() -> None:
    unit = BranchChoice(temperature=0.01, decay=0.5, lowest=0.01)
    unit.build([(None, 3, 3, 4)] * 3)
    unit.logits.assign([0.0, 1.0, 0.5])
    assert unit.choice() == 1
    np.testing.assert_array_equal(values(unit(MAPS)), MAPS[1])
    drawn = [values(unit(MAPS, training=True)) for _ in range(30)]
    counts = [sum(np.allclose(each, maps, atol=1e-2) for each in drawn) for maps in MAPS]
    assert min(counts[1:]) > 0  # not always the most likely one
    assert sum(counts) > 25  # nearly always one of them, at this temperature
    assert float(unit.steps) == 30


@pytest.mark.parametrize("unit", [CrossStitch(0), Sluice(0), NDDR(0), LayerMixture()])
def test_features_of_different_shapes(unit: keras.Layer) -> None:
    with pytest.raises(ValueError, match=r"needs a list of the features of each task, of equal shapes"):
        unit([np.ones((2, 4)), np.ones((2, 6))])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossStitch(-1), "position must be a finite number from 0 on. Received: position=-1"),
        (lambda: CrossStitch(0, own="0.9"), "own must be a finite number"),
        (lambda: CrossStitch(2)([MAPS[0]] * 2), "for position=2"),
        (lambda: Sluice(0, subspaces=3)(MAPS), "cannot divide 4 channels into equal parts. Received: subspaces=3"),
        (lambda: TaskAttention()(MAPS[0]), "needs a list: the features, then one or more sources"),
        (lambda: TaskRouting(1.0), "rate must be below 1"),
        (lambda: BranchChoice(decay=2), "decay must be a finite number from 0 to 1"),
        (lambda: BranchChoice()([np.ones((2, 4)), np.ones((2, 6))]), "a list of features of one shape"),
    ],
)
def test_wrong_arguments(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_all_layers_work_in_half_precision() -> None:
    inputs = keras.Input((4,), dtype="float32")
    policy = "mixed_bfloat16"
    both = [layers.Dense(4, dtype=policy)(inputs), layers.Dense(4, dtype=policy)(inputs)]
    for unit in (
        CrossStitch(0, dtype=policy),
        Sluice(0, dtype=policy),
        NDDR(0, dtype=policy),
        BranchChoice(dtype=policy),
    ):
        assert unit(both).dtype == "bfloat16"
    assert TaskAttention(dtype=policy)(both).dtype == TaskRouting(dtype=policy)(both[0]).dtype == "bfloat16"
