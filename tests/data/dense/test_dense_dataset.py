"""Datasets with labels of pixels: order, resuming, shards, caches, counts and bad examples."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import data
from data.dense.arrays import ArraySource
from data.dense.dataset import DenseDataset
from data.dense.examples import is_in_memory
from data.dense.source import Arrays
from data.dense.split import DenseSplit
from data.recipe import SPLITS
from mtl_keras.tasks import Task, TaskSet
from tests.data.dense.examples import CLASSES, HEIGHT, TASKS, WIDTH, examples

SIZE, BATCH = 10, 4  # the last batch has two examples
SHAPE = (HEIGHT, WIDTH, 3)
ALL = TaskSet([*TASKS.values(), Task.reconstruction("picture", SHAPE)])


def splits(size: int = SIZE) -> dict[str, Arrays]:
    return {"train": examples(size, 0), "validation": examples(3, 1), "test": examples(2, 2)}


class FileSource(ArraySource):
    """Examples that count as files: not in memory, and some of them cannot be read."""

    in_memory = False

    def __init__(self, *args: Any, bad: tuple[int, ...] = (), fingerprint: str | None = None, **how: Any) -> None:
        super().__init__(*args, **how)
        self.bad = bad
        self.mark = fingerprint
        self.reads = 0

    def read(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> Arrays:
        self.reads += 1
        for number in numbers:
            if split == "train" and number in self.bad:
                raise ValueError(f"photo [{number}].npy: images must be good. Received: {number}")
        return super().read(split, numbers, tasks)

    def fingerprint(self, split: str) -> str | None:
        return self.mark


def made(cache: str = "none", tasks: TaskSet = ALL, **how: Any) -> DenseDataset:
    return DenseDataset("own", FileSource(splits(), TASKS, **how), tasks, cache=cache)


def taken(dataset: DenseDataset, count: int, **how: Any) -> list[dict[str, np.ndarray]]:
    batches = itertools.islice(dataset.batches("train", BATCH, seed=3, **how), count)
    return [{"image": images.numpy(), **{k: v.numpy() for k, v in labels.items()}} for images, labels in batches]


def numbers(batches: list[dict[str, np.ndarray]]) -> list[int]:
    """Returns which examples batches have; the first pixel tells it."""
    return [round(float(image[0, 0, 0]) * 100) for batch in batches for image in batch["image"]]


def assert_same(ones: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]]) -> None:
    for one, other in zip(ones, others, strict=True):
        assert list(one) == list(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(params=["none", "memory", "disk"])
def dataset(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DenseDataset:
    """A dataset that reads its files in every epoch, or has them in a cache."""
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path))
    return made(request.param, fingerprint="1" if request.param == "disk" else None)


def test_a_pass_in_order_has_the_stored_examples(dataset: DenseDataset) -> None:
    batches = taken(dataset, 99)
    images, labels = splits()["train"]
    stored = {"image": images, **labels, "picture": images}
    assert [len(batch["image"]) for batch in batches] == [4, 4, 2]
    for name, values in stored.items():
        found = np.concatenate([batch[name] for batch in batches])
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)


def test_the_shapes_and_dtypes_are_known_before_reading(dataset: DenseDataset) -> None:
    images, labels = dataset.batches("train", BATCH).element_spec
    assert images == tf.TensorSpec((None, *SHAPE), tf.float32)
    assert labels["segmentation"] == tf.TensorSpec((None, HEIGHT, WIDTH), tf.int32)
    assert labels["depth"] == tf.TensorSpec((None, HEIGHT, WIDTH, 1), tf.float32)
    assert list(labels) == list(ALL)
    assert dataset.tasks["segmentation"].shape == (HEIGHT, WIDTH, CLASSES)


def test_shuffled_epochs_are_permutations_that_depend_on_the_seed(dataset: DenseDataset) -> None:
    steps = dataset.steps("train", BATCH)
    orders = [numbers(taken(dataset, steps, shuffle=True, first_epoch=epoch)) for epoch in range(3)]
    assert all(sorted(order) == list(range(SIZE)) for order in orders)
    assert len(set(map(tuple, orders))) == 3
    assert numbers(taken(dataset, 3 * steps, shuffle=True)) == [*orders[0], *orders[1], *orders[2]]
    tf.random.set_seed(7)
    assert numbers(taken(made(), steps, shuffle=True)) == orders[0]


def test_an_epoch_is_resumed_where_it_was_left(dataset: DenseDataset) -> None:
    steps = dataset.steps("train", BATCH)
    whole = taken(dataset, 3 * steps, shuffle=True, augment=True)
    again = taken(dataset, 2 * steps - 2, shuffle=True, augment=True, first_epoch=1, first_step=2)
    assert_same(again, whole[steps + 2 :])
    assert_same(taken(dataset, steps, first_step=1), taken(dataset, steps)[1:])


def test_the_parts_of_all_workers_are_the_whole(dataset: DenseDataset) -> None:
    steps = dataset.steps("train", BATCH)
    how = {"shuffle": True, "first_step": 1, "augment": True}
    whole = taken(dataset, 2 * steps - 1, **how)
    workers = [taken(dataset, 2 * steps - 1, shard=(index, 4), **how) for index in range(4)]
    joined = [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]} for parts in zip(*workers)]
    assert_same(joined, whole)
    assert [len(batch["image"]) for batch in workers[0]] == [1, 0, 1, 1, 0]
    assert workers[0][1]["segmentation"].shape == (0, HEIGHT, WIDTH)
    assert [len(taken(dataset, 99, shard=(index, 4))) for index in range(4)] == [steps] * 4


def test_images_and_labels_are_augmented_alike() -> None:
    arrays = {}
    for split, (images, labels) in splits(100).items():
        # Each label can be computed from the image, before and after.
        classes = (images[..., 1] * CLASSES).astype(np.int32)
        arrays[split] = images, {**labels, "segmentation": classes, "depth": images[..., :1] + 1}
    source = ArraySource(arrays, TASKS)
    tasks = TaskSet([*TASKS.subset(["segmentation", "depth"]).values(), Task.reconstruction("picture", SHAPE)])
    dataset = DenseDataset("own", source, tasks)
    stored, plain = taken(dataset, 25), taken(dataset, 25, augment=True)
    both = list(zip(stored, plain))
    assert any((one["image"] != other["image"]).any() for one, other in both)
    for batch in plain:
        np.testing.assert_array_equal(batch["picture"], batch["image"])
    flipped = [
        (one[name][row, :, ::-1], other[name][row])
        for one, other in both
        for row in range(len(one["image"]))
        for name in ("segmentation", "depth")
        if np.allclose(one["image"][row, :, ::-1], other["image"][row])
    ]
    assert len(flipped) > 2 * 100 // 12
    for expected, found in flipped:
        np.testing.assert_array_equal(found, expected)
    source.inverse_depth = ("depth",)
    nearer = taken(dataset, 25, augment=True)
    ratios = np.unique(np.round([n["depth"].max() / p["depth"].max() for n, p in zip(nearer, plain)], 3))
    assert ratios.max() > 1
    jittered = taken(DenseDataset("own", source, tasks, color_jitter=0.5), 25, augment=True)
    assert_same([{"depth": b["depth"]} for b in jittered], [{"depth": b["depth"]} for b in nearer])
    assert all((one["image"] != other["image"]).any() for one, other in zip(jittered, nearer))


@pytest.mark.parametrize("cache", ["auto", "memory"])
def test_a_split_is_read_once_into_memory(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = made(cache)
    taken(dataset, 4, shuffle=True)
    reads = dataset.source.reads  # type: ignore[attr-defined]
    taken(dataset, 9, shuffle=True)
    assert dataset.source.reads == reads == 1  # type: ignore[attr-defined]
    monkeypatch.setattr("data.pipeline.MEMORY_LIMIT", 0)
    streamed = made("auto")
    assert numbers(taken(streamed, 9)) == list(range(SIZE))
    assert streamed.source.reads == 3  # type: ignore[attr-defined]


def test_nyuv2_is_not_kept_in_memory_unless_asked_for() -> None:
    shape = (1, 288, 384)
    labels = {"segmentation": np.zeros(shape, int), "depth": np.ones((*shape, 1)), "normals": np.ones((*shape, 3))}
    source = FileSource(dict.fromkeys(SPLITS, (np.zeros((*shape, 3), np.float32), labels)), TASKS)
    whole = DenseSplit("nyuv2", source, "train", source.tasks, np.zeros(715, int))
    assert whole.bytes == 715 * 288 * 384 * (12 + 1 + 4 + 12)
    assert not is_in_memory(whole, "auto")
    assert is_in_memory(whole, "memory")
    assert is_in_memory(replace(whole, numbers=whole.numbers[:80]), "auto")


def test_a_cache_on_disk_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path))
    first = taken(made("disk", fingerprint="1"), 3)
    again = made("disk", fingerprint="1")
    assert_same(taken(again, 3), first)
    assert again.source.reads == 0  # type: ignore[attr-defined]
    changed = made("disk", fingerprint="2")
    taken(changed, 3)
    assert changed.source.reads > 0  # type: ignore[attr-defined]
    assert len(list((tmp_path / "decoded").iterdir())) == 2 * 4


def test_uint8_images_are_scaled() -> None:
    arrays = {split: ((images * 255).astype(np.uint8), labels) for split, (images, labels) in splits().items()}
    for cache in ("none", "memory"):
        dataset = DenseDataset("own", FileSource(arrays, TASKS), TASKS, cache=cache)
        assert dataset.description()["images"] == "uint8"
        np.testing.assert_array_equal(
            taken(dataset, 1)[0]["image"], arrays["train"][0][:BATCH].astype(np.float32) / np.float32(255)
        )


def with_missing_labels(cache: str) -> DenseDataset:
    """A dataset with two examples without depth, and labels of whole images."""
    tasks = TaskSet(
        [
            *TASKS.values(),
            Task.mask("mask"),
            Task.dense_regression("edges"),
            Task.classification("scene", 3),
            Task.binary("night"),
            Task.regression("height", 2),
        ]
    )
    found = {}
    for split, (images, labels) in splits().items():
        count = len(images)
        labels["depth"][:2] = 0
        labels["segmentation"][0] = -1
        labels["normals"][:1] = np.nan
        found[split] = (
            images,
            {
                **labels,
                "mask": np.where(np.arange(count).reshape(-1, 1, 1) == 1, -1, np.ones((count, HEIGHT, WIDTH), int)),
                "edges": np.full((count, HEIGHT, WIDTH, 1), np.nan),
                "scene": np.arange(count) % 4 - 1,
                "night": np.arange(count) % 2,
                "height": np.where(np.arange(count)[:, None] == 1, np.nan, np.ones((count, 2))),
            },
        )
    return DenseDataset("own", FileSource(found, tasks), tasks, cache=cache)


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_labels_are_counted(cache: str) -> None:
    dataset = with_missing_labels(cache)
    counts = {"segmentation": 9, "depth": 8, "normals": 9, "mask": 9, "edges": 0, "scene": 7, "night": 5, "height": 9}
    assert dataset.label_counts() == counts
    batch = taken(dataset, 1)[0]
    assert dataset.label_counts() == counts
    assert np.isnan(batch["mask"][1]).all()
    np.testing.assert_array_equal(batch["mask"][[0, 2, 3]], 1)
    assert [batch[name].shape[1:] for name in ("scene", "night", "height")] == [(), (), (2,)]
    if cache == "none":
        assert dataset.missing_labels("train") is None
        assert "missing_labels" not in dataset.description()
    else:
        missing = {name: SIZE - count for name, count in counts.items()} | {"night": 0}
        assert dataset.missing_labels("train") == missing
        assert dataset.description()["missing_labels"]["depth"] == {"train": 2, "validation": 2, "test": 2}


def test_reconstructions_have_a_label_everywhere() -> None:
    dataset = made("memory")
    assert dataset.label_counts()["picture"] == SIZE
    assert dataset.missing_labels("train") == dict.fromkeys(ALL, 0)


def test_fewer_training_examples_are_among_more() -> None:
    dataset = made()
    few, more = dataset.with_train_examples(3, seed=1), dataset.with_train_examples(0.6, seed=1)
    chosen = [numbers(taken(one, 99)) for one in (few, more)]
    assert list(map(len, chosen)) == [3, 6]
    assert set(chosen[0]) < set(chosen[1])
    assert all(sorted(order) == order for order in chosen)
    assert (few.size("train"), few.size("test"), dataset.size("train")) == (3, 2, SIZE)
    assert few.label_counts()["depth"] == 3
    with pytest.raises(ValueError, match=r"The training split has 10 examples\. Received: train_examples=11"):
        dataset.with_train_examples(11)


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_a_bad_example_is_explained_in_one_line(cache: str) -> None:
    dataset = made(cache, bad=(7,))
    with pytest.raises((ValueError, tf.errors.OpError)) as error:
        taken(dataset, 99)
    message = data.explain(error.value) if isinstance(error.value, tf.errors.OpError) else str(error.value)
    assert message == "Dataset own, split train: photo [7].npy: images must be good. Received: 7"


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_bad_examples_can_be_skipped(cache: str) -> None:
    source = FileSource(splits(), TASKS, bad=(1, 7))
    dataset = DenseDataset("own", source, ALL, cache=cache, on_bad_example="skip")
    assert numbers(taken(dataset, 99)) == [0, 2, 3, 4, 5, 6, 8, 9]
    assert (dataset.size("train"), dataset.steps("train", BATCH)) == (8, 2)
    assert dataset.skipped("train") == data.Skipped(2, ("1", "7"))
    assert dataset.description()["skipped"] == {"train": 2, "validation": 0, "test": 0}
    assert dataset.with_train_examples(0.5).size("train") == 4
    source.bad = tuple(range(SIZE))
    with pytest.raises(ValueError, match=r"Dataset own, split train: none of 10 examples can be read\."):
        DenseDataset("own", source, ALL, on_bad_example="skip").size("train")


def test_encoded_images_are_resized() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2 * HEIGHT, 3 * WIDTH, 3), dtype=np.uint8)
    decode = tf.function(made().decode, input_signature=[tf.TensorSpec((), tf.string)])
    image = decode(tf.io.encode_png(picture)).numpy()
    assert image.shape == SHAPE
    assert image.mean() == pytest.approx(picture.mean() / 255, abs=0.01)
    same = tf.io.encode_png(picture[:HEIGHT, :WIDTH])
    np.testing.assert_allclose(decode(same).numpy(), picture[:HEIGHT, :WIDTH] / 255, atol=1e-6)


def test_the_description_is_complete() -> None:
    description = made("memory").description()
    assert description["sizes"] == {"train": SIZE, "validation": 3, "test": 2}
    assert (description["name"], description["version"], description["synthetic"]) == ("own", "arrays", False)
    assert description["image_shape"] == list(SHAPE)
    assert description["tasks"]["segmentation"] == {
        "head": "segmentation",
        "shape": [HEIGHT, WIDTH, CLASSES],
        "labels": [],
        "invalid": -1,
    }


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"name": "my data"}, "`name` must be a letter, then letters, digits and '_'. Received: name='my data'"),
        ({"cache": "ram"}, "Unknown cache.* Received: 'ram'"),
        ({"color_jitter": 2}, "color_jitter must be from 0 to 1. Received: color_jitter=2"),
        ({"tasks": TaskSet([Task.depth("deep")])}, "Unknown task.* Received: 'deep'. Choices: depth, normals"),
        (
            {"tasks": TaskSet([Task.reconstruction("picture", (2, 2, 3))])},
            r"must be \(8, 12, 3\). Received: \(2, 2, 3\)",
        ),
        ({"tasks": TaskSet([Task.reconstruction("picture", SHAPE)])}, "needs one of them. Received: tasks=.'picture'"),
        ({"tasks": TASKS.at_size(4, 4)}, r"labels of task 'segmentation' have the size of the images, \(8, 12\)"),
    ],
)
def test_wrong_arguments_are_refused(how: dict[str, Any], message: str) -> None:
    arguments = {"name": "own", "source": FileSource(splits(), TASKS), "tasks": ALL, **how}
    with pytest.raises(ValueError, match=message):
        DenseDataset(**arguments)


def test_an_unknown_split_is_refused() -> None:
    dataset = made()
    for method in (dataset.size, dataset.skipped, dataset.missing_labels):
        with pytest.raises(ValueError, match=r"Unknown split\. Did you mean 'validation'.* Received: 'val'"):
            method("val")


def test_datasets_are_mixed_if_their_images_have_the_same_size() -> None:
    first = DenseDataset("first", ArraySource(splits(), TASKS), TASKS.subset(["segmentation", "depth"]))
    second = DenseDataset("second", ArraySource(splits(), TASKS), TASKS.subset(["normals"]))
    both = data.mixed({"first": first, "second": second})
    images, labels = next(iter(both.batches("train", BATCH, shuffle=True)))
    assert images.shape == (BATCH, *SHAPE)
    assert labels["segmentation"].dtype == tf.int32
    rows = np.arange(BATCH) % 2 == 0
    np.testing.assert_array_equal((labels["segmentation"].numpy() == -1).all(axis=(1, 2)), ~rows)
    np.testing.assert_array_equal(np.isnan(labels["depth"].numpy()).all(axis=(1, 2, 3)), ~rows)
    np.testing.assert_array_equal(np.isnan(labels["normals"].numpy()).all(axis=(1, 2, 3)), rows)
    with pytest.raises(
        ValueError, match=r"Labels of task 'segmentation' have the size \(8, 12\): they cannot be resized"
    ):
        data.mixed({"first": first, "second": second}, image_shape=(4, 6, 3))
