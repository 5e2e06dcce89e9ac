from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import tensorflow_datasets as tfds

import data
from data.source import DataUnavailable
from tests.data.conftest import garment, garment_features, write


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_unknown_names_suggest_the_closest() -> None:
    assert data.names() == [
        "celeb_a",
        "cifar10",
        "cifar100",
        "cityscapes",
        "fashion_mnist",
        "multi_fashion",
        "nyuv2",
    ]
    with pytest.raises(ValueError, match=r"Unknown dataset\. Did you mean 'fashion_mnist'"):
        data.load("fashon_mnist")
    with pytest.raises(ValueError, match=r"Unknown task\. Did you mean 'Smiling'"):
        data.load("celeb_a", tasks=["Smilling"])


@pytest.mark.parametrize("name", ["fashion_mnist", "celeb_a"])
def test_missing_directory_is_refused_and_not_made(tmp_path: Path, name: str) -> None:
    missing = tmp_path / "nothing"
    with pytest.raises(DataUnavailable) as error:
        data.load(name, data_dir=missing)
    message = str(error.value)
    assert "\n" not in message
    assert not missing.exists()
    assert all(part in message for part in (name, str(missing), f"tfds build {name}", "--data_dir", "--synthetic"))


@pytest.mark.parametrize("name", ["fashion_mnist", "celeb_a"])
@pytest.mark.usefixtures("no_network")
def test_failed_download_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(DataUnavailable, match="--synthetic") as error:
        data.load(name, data_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert ("no network" in str(error.value)) == (name == "fashion_mnist")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))
    with pytest.raises(DataUnavailable, match="default"):
        data.load(name)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_download_is_moved_into_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def builder(name: str, data_dir: str, try_gcs: bool) -> SimpleNamespace:
        def download_and_prepare(download_config: Any) -> None:
            splits = {split: list(map(garment, range(20))) for split in ("train", "test")}
            write(Path(data_dir), name, "3.0.1", garment_features(), splits)

        # A file in place of the address that is asked whether there is a network.
        return SimpleNamespace(
            url_infos={Path(__file__).as_uri(): None},
            version="3.0.1",
            data_dir=Path(data_dir, name, "3.0.1"),
            download_and_prepare=download_and_prepare,
        )

    monkeypatch.setattr(tfds, "builder", builder)
    assert data.load("fashion_mnist", data_dir=tmp_path).size("train") == 18
    assert [path.name for path in tmp_path.rglob("*") if path.is_dir()] == ["fashion_mnist", "3.0.1"]


def test_environment_variable_says_where(fashion_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", fashion_dir)
    assert data.load("fashion_mnist").version == "3.0.1"


@pytest.mark.parametrize(
    ("features", "example", "named"),
    [
        ({"image": tfds.features.Image(shape=(28, 28, 1))}, {"image": garment(0)["image"]}, "'label'.*nothing"),
        (
            garment_features(tfds.features.Image(shape=(32, 32, 3))),
            {"image": np.zeros((32, 32, 3), np.uint8), "label": 0},
            r"'image'.*\(32, 32, 3\)",
        ),
    ],
)
def test_other_features_are_refused(tmp_path: Path, features: Any, example: Any, named: str) -> None:
    write(tmp_path, "fashion_mnist", "3.0.1", features, {"train": [example] * 20, "test": [example]})
    with pytest.raises(ValueError, match=f"does not have the features of fashion_mnist 3.0.1: {named}"):
        data.load("fashion_mnist", data_dir=tmp_path)


def test_empty_and_missing_splits_are_refused(tmp_path: Path) -> None:
    few, missing = tmp_path / "few", tmp_path / "missing"
    write(few, "fashion_mnist", "3.0.1", garment_features(), {"train": [garment(0)], "test": [garment(1)]})
    with pytest.raises(ValueError, match=r"The validation split of the dataset in .* is empty"):
        data.load("fashion_mnist", data_dir=few)
    write(missing, "fashion_mnist", "3.0.1", garment_features(), {"train": list(map(garment, range(20)))})
    with pytest.raises(ValueError, match="has no split 'test'"):
        data.load("fashion_mnist", data_dir=missing)


def test_sizes_are_for_synthetic_data(fashion_dir: str) -> None:
    with pytest.raises(ValueError, match="`sizes` is for synthetic=True"):
        data.load("fashion_mnist", data_dir=fashion_dir, sizes={"train": 10})


def test_newest_version_is_read(fashion_dir: str, tmp_path: Path) -> None:
    source = Path(fashion_dir, "fashion_mnist/3.0.1")
    for version in ("3.0.1", "3.0.10", "3.0.9", "2.0.0"):
        shutil.copytree(source, tmp_path / "fashion_mnist" / version)
        info = tmp_path / "fashion_mnist" / version / "dataset_info.json"
        info.write_text(info.read_text().replace("3.0.1", version))
    assert data.load("fashion_mnist", data_dir=tmp_path).version == "3.0.10"
