"""`evaluate.py --predict`: what a model says of image files."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.programs.conftest import Program


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a grey PNG, a coloured JPEG of another size, and a file that is no image by its name."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(folder / "grey.png")
    Image.fromarray(rng.integers(0, 256, (60, 40, 3), dtype=np.uint8)).save(folder / "coloured.JPG")
    (folder / "notes.txt").write_text("not looked at")
    (folder / "._grey.png").write_text("what macOS leaves beside files")
    return folder


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_its_export_and_a_copy_of_that_say_the_same(
    program: Program, finished_run: Path, images: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(finished_run / "saved_model", tmp_path / "elsewhere")
    found = []
    for number, flags in enumerate(
        [
            [f"--run_dir={finished_run}"],
            [f"--run_dir={finished_run}", "--saved_model"],
            [f"--saved_model_dir={copy}"],
        ]
    ):
        output = tmp_path / f"output{number}"
        outcome = program("evaluate", f"--predict={images}", f"--output={output}", *flags)
        assert outcome.code == 0, outcome.err
        assert {path.name for path in output.iterdir()} == {"predictions.csv", "grey.png", "coloured.JPG.png"}
        found.append(_rows(output))
        for row in found[-1]:
            assert row["item"] in outcome.out
        assert all(line == line.rstrip() for line in outcome.out.splitlines())
    assert [Path(row["file"]).name for row in found[0]] == ["coloured.JPG", "grey.png"]
    assert list(found[2][0]) == ["file", "group", "group_confidence", "item", "item_confidence"]
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert (one["item"], one["group"]) == (two["item"], two["group"])
            assert float(one["item_confidence"]) == pytest.approx(float(two["item_confidence"]), abs=1e-5)
    assert 0.1 <= float(found[0][0]["item_confidence"]) <= 1
    with Image.open(tmp_path / "output0" / "grey.png") as picture:
        assert picture.size[0] == 256


def test_what_is_no_image_is_named_and_the_others_go_on(
    program: Program, finished_run: Path, images: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(images, tmp_path / "images"))
    (folder / "broken.png").write_bytes(b"\x89PNG nothing more")
    (folder / "cut.jpg").write_bytes((images / "coloured.JPG").read_bytes()[:100])
    output = tmp_path / "output"
    outcome = program("evaluate", f"--run_dir={finished_run}", f"--predict={folder}", f"--output={output}")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 3
    assert f"warning: {folder / 'broken.png'} cannot be decoded" in outcome.err
    assert "error: 2 of 4 files could not be read as images" in outcome.err
    assert len(_rows(output)) == 2


def test_of_many_images_the_table_has_some_and_the_file_all(
    program: Program, finished_run: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.image_predictions.MAX_PRINTED", 1)
    monkeypatch.setattr("experiments.image_predictions._BATCH_SIZE", 1)
    flags = [f"--run_dir={finished_run}", f"--predict={images}", f"--output={tmp_path}"]
    outcome = program("evaluate", *flags)
    assert "predictions.csv: " in outcome.out
    assert "coloured.JPG" in outcome.out
    assert "grey.png" not in outcome.out
    assert "and 1 more images" in outcome.out
    assert "predictions.csv (replaced): " in program("evaluate", *flags).out
    assert len(_rows(tmp_path)) == 2


@pytest.mark.parametrize("pattern", ["saved_model.pb", "variables/*.data*", "variables/*.index", "assets/*"])
def test_a_damaged_saved_model_is_named(
    program: Program, finished_run: Path, images: Path, tmp_path: Path, pattern: str
) -> None:
    model = Path(shutil.copytree(finished_run / "saved_model", tmp_path / "model"))
    (file,) = model.glob(pattern)
    file.write_bytes(file.read_bytes()[:10])
    output = tmp_path / "output"
    outcome = program("evaluate", f"--saved_model_dir={model}", f"--predict={images}", f"--output={output}")
    assert outcome.code == 1
    assert re.search(rf"^error: {model}\S* is damaged", outcome.err)
    assert outcome.err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--predict={images}/none.png", "--run_dir={run}"], "There is no such image or folder"),
        (["--predict={empty}", "--run_dir={run}"], "There is no image (.jpg, .jpeg, .png, .gif, .bmp) in the folder"),
        (["--predict={images}"], "Pass --run_dir RUN or --saved_model_dir FOLDER"),
        (["--predict={images}", "--run_dir={run}", "--saved_model_dir={run}"], "Pass --run_dir RUN or"),
        (["--predict={images}", "--run_dir={empty}"], "No run found"),
        (["--predict={images}", "--saved_model_dir={empty}"], "no file saved_model.pb"),
        (["--predict={images}/notes.txt", "--run_dir={run}", "--output={empty}/new"], "notes.txt cannot be decoded"),
        (["--predict={images}", "--run_dir={run}", "--output={images}"], "--output must not be the folder of"),
        (["--output={empty}", "--run_dir={run}"], "--output is only for --predict"),
    ],
)
def test_mistakes(
    program: Program, finished_run: Path, images: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    places = {"images": images, "run": finished_run, "empty": tmp_path}
    outcome = program("evaluate", *(flag.format(**places) for flag in flags))
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
