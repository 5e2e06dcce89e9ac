"""Several datasets as one: ratios, missing labels, resumption and shards."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import data
from data.mixture import source_counts, spread_evenly, unified_labels
from mtl_keras.tasks import Task

BATCH = 6


def source(origin: int, size: int, tasks: dict[str, np.ndarray], shape: tuple[int, ...] = (2, 2, 3)) -> data.Dataset:
    """Examples whose red pixels are `origin` and their number."""
    images = np.zeros((size, *shape), np.uint8)
    images[:, :, :, 0] = origin + np.arange(size).reshape(size, 1, 1)
    picture = [Task.reconstruction("picture", shape)] if origin == 0 else []
    return data.from_arrays(images, tasks, [*tasks, *picture])


@pytest.fixture(scope="module")
def sources() -> dict[str, data.Dataset]:
    faces = {"smile": np.arange(40) % 2, "place": np.arange(80).reshape(40, 2) / 80}
    clothes = {"kind": np.arange(15) % 3, "smile": np.where(np.arange(15) < 5, -1, np.arange(15) % 2)}
    return {"faces": source(0, 40, faces), "clothes": source(100, 15, clothes)}


@pytest.fixture(scope="module")
def both(sources: dict[str, data.Dataset]) -> data.Mixture:
    return data.mixed(sources, {"faces": 2, "clothes": 1})


@pytest.fixture(scope="module")
def whole(both: data.Mixture) -> list[dict[str, np.ndarray]]:
    """The batches of three epochs."""
    return taken(both, 3 * both.steps("train", BATCH))


def taken(both: data.Mixture, count: int, **how: Any) -> list[dict[str, np.ndarray]]:
    batches = itertools.islice(both.batches("train", BATCH, shuffle=True, seed=5, augment=True, **how), count)
    return [{"image": images.numpy(), **{k: v.numpy() for k, v in labels.items()}} for images, labels in batches]


def numbers(batch: dict[str, np.ndarray]) -> np.ndarray:
    return np.round(batch["image"][:, 0, 0, 0] * 255).astype(int)


def assert_same(ones: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]]) -> None:
    for one, other in zip(ones, others, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_every_batch_has_the_ratio_and_every_pass_all_examples(
    both: data.Mixture, whole: list[dict[str, np.ndarray]]
) -> None:
    steps = both.steps("train", BATCH)
    assert (both.counts(BATCH), steps, both.size("train")) == ({"faces": 4, "clothes": 2}, 8, 32 + 11)
    batches = [numbers(batch) for batch in whole]
    assert [(batch < 100).tolist() for batch in batches] == [[True, False, True, True, False, True]] * 3 * steps
    seen = np.concatenate(batches)
    for mine, size in ((seen[seen < 100], 32), (seen[seen >= 100], 11)):
        passes = [sorted(mine[start : start + size]) for start in range(0, len(mine) - size + 1, size)]
        assert len(passes) >= 3
        assert all(one == passes[0] and len(set(one)) == size for one in passes)
        assert mine[:size].tolist() != mine[size : 2 * size].tolist()


def test_labels_are_those_of_the_source_and_missing_elsewhere(
    both: data.Mixture, whole: list[dict[str, np.ndarray]]
) -> None:
    assert list(both.tasks) == ["smile", "place", "picture", "kind"]
    for batch in whole:
        number = numbers(batch)
        face, cloth = number < 100, number - 100
        np.testing.assert_allclose(batch["place"][face][:, 0], number[face] * 2 / 80, rtol=1e-6)
        assert np.isnan(batch["place"][~face]).all()
        np.testing.assert_array_equal(batch["picture"][face], batch["image"][face])
        assert np.isnan(batch["picture"][~face]).all()
        np.testing.assert_array_equal(batch["kind"], np.where(face, -1, cloth % 3))
        smile = np.where(face | (cloth >= 5), number % 2, np.nan)
        np.testing.assert_array_equal(batch["smile"], smile)
    dtypes = {name: values.dtype.name for name, values in whole[0].items()}
    assert dtypes == {**dict.fromkeys(("image", "smile", "place", "picture"), "float32"), "kind": "int32"}


def test_missing_integers_of_a_binary_task_are_missing_floats() -> None:
    labels = tf.constant([1, -1, 0])
    np.testing.assert_array_equal(unified_labels("binary", labels, tf.constant([3]), ()), [1, np.nan, 0])
    np.testing.assert_array_equal(unified_labels("regression", labels, tf.constant([3]), ()), [1, -1, 0])


def test_a_run_goes_on_where_it_was_left(both: data.Mixture, whole: list[dict[str, np.ndarray]]) -> None:
    steps = both.steps("train", BATCH)
    for epoch, step in ((1, 0), (2, 5)):  # the sources are then in the middle of a pass, and of a batch of theirs
        start = epoch * steps + step
        assert_same(taken(both, 3, first_epoch=epoch, first_step=step), whole[start : start + 3])
    other = next(iter(both.batches("train", BATCH, shuffle=True, seed=6)))[0]
    assert (other.numpy() != whole[0]["image"]).any()


def test_a_shard_is_its_part_of_the_batch(both: data.Mixture, whole: list[dict[str, np.ndarray]]) -> None:
    second = taken(both, 9, shard=(1, 2))
    assert_same(second, [{name: values[3:] for name, values in batch.items()} for batch in whole[:9]])


def test_judging_sees_every_example_of_every_source_once(both: data.Mixture, sources: dict[str, data.Dataset]) -> None:
    expected = np.concatenate([images for one in sources.values() for images, _ in one.batches("train", 100)])
    batches = both.batches("train", 10)
    assert int(batches.cardinality()) == 5
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), expected)
    (last,) = both.batches("train", 10, first_step=4, shard=(1, 2))
    np.testing.assert_array_equal(last[0], expected[41:])
    assert both.steps("test", 4) == 2


def test_counts_are_the_sums_and_records_say_what_is_mixed(
    both: data.Mixture, sources: dict[str, data.Dataset]
) -> None:
    faces, clothes = (one.label_counts() for one in sources.values())
    assert both.label_counts() == {**faces, **clothes, "smile": faces["smile"] + clothes["smile"]}
    about = both.description()
    assert about["sizes"] == {"train": 43, "validation": 6, "test": 6}
    assert about["ratios"] == {"faces": 2.0, "clothes": 1.0}
    assert {name: one["sizes"]["train"] for name, one in about["sources"].items()} == {"faces": 32, "clothes": 11}
    assert both.skipped("train").count == 0
    without = about["missing_labels"]
    assert sum(without["smile"].values()) == 5
    assert [without[task]["train"] for task in ("kind", "place", "picture")] == [32, 11, 11]


def test_images_of_different_shapes_are_resized_if_one_says_so(sources: dict[str, data.Dataset]) -> None:
    grey = source(100, 15, {"kind": np.arange(15) % 3}, shape=(4, 4, 1))
    different = {"faces": sources["faces"], "grey": grey}
    with pytest.raises(ValueError, match=r"`image_shape` is needed .* faces \(2, 2, 3\), grey \(4, 4, 1\)"):
        data.mixed(different)
    with pytest.raises(ValueError, match=r"Task 'picture' reconstructs images \(2, 2, 3\): they cannot be resized"):
        data.mixed(different, image_shape=(4, 4, 3))
    both = data.mixed(different, image_shape=(2, 2, 3))
    images, labels = next(iter(both.batches("test", 10)))
    assert images.shape == (6, 2, 2, 3)
    expected = np.concatenate([values["kind"] for _, values in grey.batches("test", 10)])
    np.testing.assert_array_equal(labels["kind"][4:], expected)
    assert float(images[4, 0, 0, 1]) == float(images[4, 0, 0, 0]) >= 100 / 255
    assert both.ratios == {"faces": 32.0, "grey": 11.0}


@pytest.mark.parametrize(
    ("ratios", "batch_size", "expected"),
    [
        ({"a": 2, "b": 1}, 96, [64, 32]),
        ({"a": 2, "b": 1}, 128, [85, 43]),
        ({"a": 1, "b": 1, "c": 1}, 8, [3, 3, 2]),
        ({"a": 0.7, "b": 0.2, "c": 0.1}, 10, [7, 2, 1]),
    ],
)
def test_shares_of_a_batch(ratios: dict[str, float], batch_size: int, expected: list[int]) -> None:
    assert list(source_counts(ratios, batch_size).values()) == expected


def test_groups_are_spread_evenly() -> None:
    order = spread_evenly([4, 2])
    assert sorted(order) == list(range(6))
    assert (order < 4).tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ({"faces": 2}, "`ratios` must have a number for each source. Received none for: clothes"),
        ({"faces": 2, "cloths": 1}, "Unknown source in `ratios`. Did you mean 'clothes'"),
        ({"faces": 2, "clothes": 0}, "`ratios` must be finite numbers > 0. Received: clothes=0"),
        ({"faces": float("nan"), "clothes": 1}, "Received: faces=nan"),
        ({"faces": "2", "clothes": 1}, "Received: faces='2'"),
    ],
)
def test_bad_ratios_are_refused(sources: dict[str, data.Dataset], ratios: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.mixed(sources, ratios)


def test_what_cannot_be_mixed_is_refused(sources: dict[str, data.Dataset], both: data.Mixture) -> None:
    with pytest.raises(ValueError, match="`sources` must have one dataset at least"):
        data.mixed({})
    with pytest.raises(ValueError, match=r"mix them all at once. Received a mixture for: both"):
        data.mixed({"both": both})
    other = source(100, 15, {"smile": np.arange(15) % 3})
    with pytest.raises(ValueError, match=r"Task 'smile' must be the same in all sources. Received: faces has"):
        data.mixed({"faces": sources["faces"], "other": other})
    with pytest.raises(ValueError, match=r"`batch_size` is too small for an example of clothes .* batch_size=1"):
        both.batches("train", 1, shuffle=True)
    with pytest.raises(ValueError, match=r"`first_step` is from 0 to 7. Received: first_step=8"):
        both.batches("train", BATCH, shuffle=True, first_step=8)
    with pytest.raises(ValueError, match="Unknown split"):
        both.batches("dev", BATCH)
