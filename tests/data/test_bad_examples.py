"""Examples that cannot be read are left out, the same ones whatever is kept where."""

from __future__ import annotations

import io
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data
from data import images
from tests.celeb_a_folder import write_celeb_a_folder
from tests.data.conftest import face, face_features, garment, garment_features, jpeg, photograph, write

BAD = {2: 10, 11: -1}  # the labels of two garments
CUT = 5  # the number of a garment whose image is cut off


@pytest.fixture
def bad_garments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Fashion-MNIST of which three training examples are bad, and none of the others."""
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path / "cache"))
    examples = [garment(number) for number in range(20)]
    train = [{**example, "label": BAD.get(number, example["label"])} for number, example in enumerate(examples)]
    png = io.BytesIO()
    Image.fromarray(train[CUT]["image"][..., 0]).save(png, "PNG")
    train[CUT]["image"] = io.BytesIO(png.getvalue()[:-60])
    features = {**garment_features(), "label": np.int64}
    write(tmp_path / "data", "fashion_mnist", "3.0.1", features, {"train": train, "test": examples})
    return tmp_path / "data"


def seen(dataset: data.Dataset, count: int, **how: object) -> list[list[int]]:
    """Which examples some batches hold."""
    batches = itertools.islice(dataset.batches("train", 4, **how), count)
    return [np.rint(batch.numpy()[:, 0, 0, 0] * 255).astype(int).tolist() for batch, _ in batches]


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_fewer_training_examples_are_drawn_from_the_readable_ones(bad_garments: Path, cache: str) -> None:
    whole = data.load("fashion_mnist", data_dir=bad_garments, cache=cache, on_bad_example="skip")
    chosen = {}
    for amount in (4, 0.6):
        dataset = whole.with_train_examples(amount, seed=1)
        chosen[amount] = list(itertools.chain(*seen(dataset, 99)))
        assert dataset.description()["sizes"] == {"train": len(chosen[amount]), "validation": 2, "test": 20}
        assert dataset.skipped("train") == whole.skipped("train")
        assert dataset.label_counts()["item"] == len(chosen[amount])
    assert [len(chosen[amount]) for amount in (4, 0.6)] == [4, 9]
    assert set(chosen[4]) < set(chosen[0.6]) < set(range(18)) - {*BAD, CUT}
    assert set(chosen[0.6]) == set(itertools.chain(*seen(dataset, dataset.steps("train", 4), shuffle=True)))
    assert chosen[4] == sorted(chosen[4])
    assert chosen[4] != list(itertools.chain(*seen(whole.with_train_examples(4, seed=2), 99)))
    with pytest.raises(ValueError, match=r"has 15 examples\. Received: train_examples=16"):
        whole.with_train_examples(16)


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_they_are_left_out_of_every_epoch(bad_garments: Path, cache: str) -> None:
    left = [number for number in range(18) if number not in (*BAD, CUT)]
    for _ in range(2 if cache == "disk" else 1):  # what is kept on disk is found the second time
        dataset = data.load("fashion_mnist", data_dir=bad_garments, cache=cache, on_bad_example="skip")
        assert dataset.size("train") == 15
        assert dataset.steps("train", 4) == 4
        assert dataset.skipped("train") == data.Skipped(3, ("2", "5", "11"))
        assert dataset.skipped("test") == data.Skipped(0, ())
        assert list(itertools.chain(*seen(dataset, 99))) == left
        epochs = seen(dataset, 8, shuffle=True)
        assert sorted(itertools.chain(*epochs[:4])) == sorted(itertools.chain(*epochs[4:])) == left
        assert dataset.label_counts()["item"] == 15
        assert dataset.description()["skipped"] == {"train": 3, "validation": 0, "test": 0}


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_pairs_with_a_bad_garment_are_left_out(bad_garments: Path, cache: str) -> None:
    dataset = data.load("multi_fashion", data_dir=bad_garments, cache=cache, on_bad_example="skip")
    bad = {*BAD, CUT}
    left_out = sorted(bad | set(np.flatnonzero(np.isin(data.multi_fashion.partners(18, seed=0), list(bad))).tolist()))
    assert dataset.skipped("train") == data.Skipped(len(left_out), tuple(map(str, left_out[:5])))
    assert list(itertools.chain(*seen(dataset, 99))) == [number for number in range(18) if number not in left_out]


def test_files_are_named(tmp_path: Path) -> None:
    folder = write_celeb_a_folder(tmp_path / "faces", {"train": 8, "validation": 1, "test": 1})
    for number in range(1, 8):
        path = folder / "img_align_celeba" / f"{number:06d}.jpg"
        path.write_bytes(path.read_bytes()[:-3])
    dataset = data.load("celeb_a", tasks=["Young"], data_dir=folder, cache="none", on_bad_example="skip")
    assert dataset.skipped("train") == data.Skipped(7, tuple(f"{number:06d}.jpg" for number in range(1, 6)))
    assert dataset.size("train") == len(list(dataset.batches("train", 1))) == 1


def test_a_file_without_the_mark_of_its_end_is_read_to_it() -> None:
    whole = jpeg(photograph(1))
    expected = images.decode_cropped(whole, 20 / 218)
    np.testing.assert_array_equal(images.decode_cropped(whole + b"trailer", 20 / 218), expected)
    with pytest.raises(Exception, match="JPEG"):
        images.decode_cropped(whole[:-50], 20 / 218)


def test_images_of_every_kind_are_brought_to_one_shape(tmp_path: Path) -> None:
    def stored(mode: str, kind: str, height: int, width: int) -> bytes:
        file = io.BytesIO()
        Image.fromarray(photograph(1, height, width)).convert(mode).save(file, kind)
        return file.getvalue()

    kinds = [("L", "JPEG", 218, 178), ("CMYK", "JPEG", 218, 178), ("RGBA", "PNG", 50, 60), ("P", "GIF", 300, 20)]
    examples = [face(number, stored(*kind)) for number, kind in enumerate(kinds)]
    write(tmp_path, "celeb_a", "2.1.0", face_features(), dict.fromkeys(("train", "validation", "test"), examples))
    dataset = data.load("celeb_a", tasks=["Young"], data_dir=tmp_path)
    ((batch, _),) = dataset.batches("train", len(kinds))
    assert batch.shape == (len(kinds), *dataset.image_shape)
    grey, colours = batch[0].numpy(), batch[2].numpy()
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.ptp(colours, axis=-1).max() > 0.1


def test_a_damaged_file_is_no_bad_example(bad_garments: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bad_garments, tmp_path / "copy"))
    (records,) = copy.glob("*/*/*train.tfrecord*")
    content = bytearray(records.read_bytes())
    content[-200] ^= 1
    records.write_bytes(content)
    dataset = data.load("fashion_mnist", data_dir=copy, on_bad_example="skip")
    with pytest.raises(ValueError, match=r"split validation: corrupted record .*train\.tfrecord"):
        dataset.size("validation")
