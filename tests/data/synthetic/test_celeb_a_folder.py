"""Drawn portraits as CelebA's plain files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.synthetic import portrait
from data.synthetic.celeb_a_folder import write_celeb_a_folder

SIZES = {"train": 2, "validation": 1, "test": 1}


def test_files_look_like_those_of_celeb_a(tmp_path: Path) -> None:
    folder = write_celeb_a_folder(tmp_path / "new" / "celeb_a", SIZES, seed=1)
    drawn = portrait(1, "test", 0)
    assert (folder / "img_align_celeba" / "000004.jpg").read_bytes() == drawn["image"]
    count, header, *rows = (folder / "list_attr_celeba.txt").read_text().splitlines()
    assert count == "4"
    assert header.startswith("5_o_Clock_Shadow Arched_Eyebrows ")
    assert rows[3].split() == ["000004.jpg", *("1" if present else "-1" for present in drawn["attributes"].values())]
    count, header, *rows = (folder / "list_landmarks_align_celeba.txt").read_text().splitlines()
    assert header.split()[:2] == ["lefteye_x", "lefteye_y"]
    assert rows[3].split() == ["000004.jpg", *map(str, drawn["landmarks"].values())]
    partition = (folder / "list_eval_partition.txt").read_text().splitlines()
    assert partition == ["000001.jpg 0", "000002.jpg 0", "000003.jpg 1", "000004.jpg 2"]
    assert json.loads((folder / "sizes.json").read_text()) == {**SIZES, "synthetic": True}


def test_csv_lists_have_kaggles_header(tmp_path: Path) -> None:
    folder = write_celeb_a_folder(tmp_path / "celeb_a", SIZES, csv=True, zipped=True)
    names = ["img_align_celeba.zip", "list_attr_celeba.csv", "list_eval_partition.csv"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "list_landmarks_align_celeba.csv", "sizes.json"]
    assert (folder / "list_eval_partition.csv").read_text().startswith("image_id,partition\n000001.jpg,0\n")


def test_nothing_is_overwritten_or_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileExistsError, match="already exists"):
        write_celeb_a_folder(tmp_path, SIZES)
    monkeypatch.setattr("data.synthetic.celeb_a_folder.portrait", lambda *example: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_celeb_a_folder(tmp_path / "celeb_a", SIZES)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Unknown split of celeb_a\. Did you mean 'train'"):
        write_celeb_a_folder(tmp_path / "a", {"trian": 1})
    with pytest.raises(ValueError, match="at least one example"):
        write_celeb_a_folder(tmp_path / "a", {"train": 0})
    with pytest.raises(ValueError, match="seed must be at least 0"):
        write_celeb_a_folder(tmp_path / "a", SIZES, seed=-1)
