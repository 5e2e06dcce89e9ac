"""Whatever is wrong with a CSV file is said in one line, with the line of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import data
from data.recipe import SPLITS
from tests import stripes

COUNT = 24


class Case(NamedTuple):
    """Something wrong.

    Args:
        says: the regular expression that the message matches, behind the path of the file.
        change: makes the wrong file of the lines of the right one.
        arguments: of `from_csv`.
    """

    says: str
    change: Callable[[list[str]], list[str] | bytes] = lambda lines: lines
    arguments: dict[str, Any] = {}  # noqa: RUF012


def cell(line: int, column: str, value: str) -> Callable[[list[str]], list[str]]:
    """Puts a value into a line, counted from 1."""

    def change(lines: list[str]) -> list[str]:
        cells = lines[line - 1].split(",")
        cells[stripes.HEADER.index(column)] = value
        return [*lines[: line - 1], ",".join(cells), *lines[line:]]

    return change


def column(name: str, value: Callable[[int], str]) -> Callable[[list[str]], list[str]]:
    """Adds a column."""
    return lambda lines: [lines[0] + f",{name}", *(f"{line},{value(row)}" for row, line in enumerate(lines[1:]))]


def header(text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [text, *lines[1:]]


CASES = {
    "empty": Case(" is empty", lambda lines: b""),
    "header only": Case(" has a header and no rows", lambda lines: lines[:1]),
    "another encoding": Case(", line 3: the file is not in UTF-8 .byte 0xe9.", lambda _: b"image,a\nx,y\nz,caf\xe9\n"),
    "another encoding with a mark": Case(
        ", line 1: the file is not in UTF-8", lambda lines: "\n".join(lines).encode("utf-16")
    ),
    "too few cells": Case(", line 5: the row has 2 cells, and the header 5", lambda lines: [*lines[:4], "a,b"]),
    "too many cells": Case(", line 5: the row has 6 cells", lambda lines: [*lines[:4], "a,b,c,d,e,f"]),
    "a quote alone": Case(", line 2: .*unmatched quote", lambda lines: [lines[0], '"' + lines[1], *lines[2:]]),
    "two columns of a name": Case(", line 1: .*Received twice: 'red'", header("image,kind,red,red,contrast")),
    "no legal name of a task": Case(
        ", line 1: rename the column.*letters, digits.*Received: 'kind .x.'", header("image,kind (x),red,bright,c")
    ),
    "a name with a meaning": Case(", line 1: .*none of loss.*Received: 'loss'", header("image,loss,red,bright,c")),
    "no column of images": Case(
        ", line 1: no column has names of images, .*: --tasks .*: --image_column .*Columns: kind, red, bright,",
        lambda lines: [line.split(",", 1)[1] for line in lines],
    ),
    "no such column of images": Case("line 1.. Did you mean 'image'. Received: 'imge'", arguments={"image": "imge"}),
    "a missing image": Case(", line 7: there is no image 'images/x.png' in ", cell(7, "image", "images/x.png")),
    "no extension": Case(
        ", line 2: there is no image 'images/000' in .*24 rows lack theirs. There is '000.png' in .*wrong/images: "
        r"pass --image_extension .png \(extension=\)\.$",
        lambda lines: [line.replace(".png", "") for line in lines],
    ),
    "no extension and no folder": Case(
        r"line 2: there is no image '000' .* pass --data_dir .*/images \(image_dir=\) and --image_extension .png ",
        lambda lines: [line.replace(".png", "").replace("images/", "") for line in lines],
        {"on_bad_example": "skip"},
    ),
    "one extension too many": Case(
        "there is no image 'images/000.png.jpg' in .* There is '000.png' in .*: pass no --image_extension",
        arguments={"extension": ".jpg"},
    ),
    "a folder as image": Case(", line 7: there is no image 'images' in ", cell(7, "image", "images")),
    "no image named": Case(", line 7: no image is named in column 'image'", cell(7, "image", "")),
    "an unknown task": Case("line 1.. Did you mean 'kind'. Received: 'kid'", arguments={"tasks": ["kid"]}),
    "a type of an unknown column": Case("line 1.*Received: 'kid'", arguments={"types": {"kid": "binary"}}),
    "an unknown type": Case(
        "Unknown type of column 'kind'. Did you mean 'classification'. Received: 'class'. Choices: binary",
        arguments={"types": {"kind": "class"}},
    ),
    "no number": Case(
        ", line 9: '12 cm' in column 'contrast', a column of numbers, is .*if the label is missing, or correct it.$",
        cell(9, "contrast", "12 cm"),
    ),
    "a mark among zeros and ones": Case(
        ", line 9: '[?]' in column 'bright' is neither '0' nor '1', unlike the other cells. Leave the cell "
        "empty if the label is missing, or correct it. If it is a class too, set the type: --task_types bright=class",
        cell(9, "bright", "?"),
    ),
    "a mark among zeros and ones, set to binary": Case(
        ", line 9: '[?]' in column 'bright' is neither '0' nor '1'",
        cell(9, "bright", "?"),
        {"types": {"bright": "binary"}},
    ),
    "a mark among yes and no": Case(
        ", line 9: 'unknown' in column 'red' is neither 'no' nor 'yes'", cell(9, "red", "unknown")
    ),
    "infinite": Case(", line 9: 'inf' in column 'contrast'", cell(9, "contrast", "inf")),
    "a comma for a point": Case(
        ", line 2: decimals are written with a point. Received: '0,5'",
        lambda lines: (
            [line.replace(",", ";") for line in lines[:1]]
            + [";".join([*line.split(",")[:4], f"{row},5"]) for row, line in enumerate(lines[1:])]
        ),
    ),
    "text as numbers": Case(
        ", line 2: .* in column 'kind', a column of .* --task_types", arguments={"types": {"kind": "regression"}}
    ),
    "three words as binary": Case(
        ", line 2: binary column 'kind' should have two .*checks, columns, rows",
        arguments={"types": {"kind": "binary"}},
    ),
    "one value": Case(
        ", line 1: nothing can be learned of column 'x', which has only 'a' in the 20 training rows. Remove 'x' from "
        "tasks.",
        column("x", lambda row: "a"),
        {"tasks": ["x"]},
    ),
    "no label": Case(
        "column 'x', which has no label in .* Remove 'x' from types",
        column("x", lambda row: "NA"),
        {"types": {"x": "binary"}},
    ),
    "another text in every cell": Case(
        ", line 2: nearly every cell of column 'x' has a different text, such as 'n0'",
        column("x", lambda row: f"n{row}"),
        {"tasks": ["x"]},
    ),
    "nothing but images": Case(
        ", line 1: no column can be a task", lambda lines: [f"{x.split(',')[0]}" for x in lines]
    ),
    "an unknown split": Case(
        "split .*line 4.. Did you mean 'test'. Received: 'tst'",
        column("split", lambda row: "tst" if row == 2 else "train"),
    ),
    "a split without rows": Case(
        ", line 1: column 'split' has no row for test", column("split", lambda row: ("train", "val")[row % 2])
    ),
    "too few images": Case(", line 1: at least three images", lambda lines: lines[:3]),
    "no image to look at": Case(
        ", line 2: neither .*labels.csv' nor another checked file is an image",
        lambda lines: ["image,x,split", *(f"labels.csv,{x},{split}" for split in SPLITS for x in "ab")],
    ),
    "a size of 0": Case("image_size=.0, 8.", arguments={"image_size": (0, 8)}),
    "a size alone": Case("image_size must be .height, width.*Received: image_size=8", arguments={"image_size": 8}),
    "an unknown cache": Case("Did you mean 'disk'", arguments={"cache": "dsk"}),
    "an unknown way": Case("on_bad_example. Received: 'no'", arguments={"on_bad_example": "no"}),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables") / "wrong"
    stripes.draw(folder, COUNT)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_wrong(name: str, wrong: Path) -> None:
    case = CASES[name]
    file = wrong / "labels.csv"
    right = file.read_text("utf-8")
    changed = case.change(right.splitlines())
    try:
        file.write_bytes(changed if isinstance(changed, bytes) else "\n".join(changed).encode())
        with pytest.raises(ValueError, match=case.says) as error:
            data.from_csv(file, **case.arguments)
    finally:
        file.write_text(right, "utf-8")
    assert "\n" not in str(error.value)
    if case.says.startswith((",", " ")):
        assert str(error.value).startswith(str(file))


def test_the_right_one_is_right(wrong: Path) -> None:
    assert data.from_csv(wrong / "labels.csv").size("train") == COUNT - 4


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no file .*none\.csv\. If it was moved"):
        data.load(f"csv:{tmp_path}/none.csv")
    (tmp_path / "labels.csv").touch()
    with pytest.raises(ValueError, match=r"There is no file .*label\.csv\. Did you mean 'labels\.csv'\?"):
        data.load(f"csv:{tmp_path}/label.csv")
    with pytest.raises(ValueError, match="is a folder, and not a CSV file"):
        data.load(f"csv:{tmp_path}")
    with pytest.raises(ValueError, match=r"should have a folder for each class.*Received: no folders"):
        data.load(f"folder:{tmp_path}")
    with pytest.raises(ValueError, match="There is no folder"):
        data.load(f"folder:{tmp_path}/none")


def test_what_nobody_asked_for_is_left_out_with_a_warning(wrong: Path, tmp_path: Path) -> None:
    lines = (wrong / "labels.csv").read_text("utf-8").splitlines()
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(column("same", lambda row: "a")(lines)), "utf-8")
    with pytest.warns(UserWarning, match="nothing can be learned of column 'same'.* It is left out"):
        dataset = data.from_csv(file, image_dir=wrong)
    assert dataset.tasks.names == stripes.HEADER[1:]
    reason = "nothing can be learned of column 'same', which has only 'a' in the 20 training rows"
    assert dataset.description()["left_out"] == {"same": reason}


def test_a_class_that_looks_like_a_missing_label_gives_a_warning(wrong: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(cell(9, "kind", "?")((wrong / "labels.csv").read_text("utf-8").splitlines())), "utf-8")
    with pytest.warns(UserWarning, match=r", line 9: column 'kind' has a class '\?'\. Leave the cell empty"):
        assert data.from_csv(file, image_dir=wrong).tasks["kind"].labels[0] == "?"
    assert data.from_csv(file, image_dir=wrong, types={"kind": "classification"}).tasks["kind"].labels[0] == "?"
