"""What is wrong is said in one line, before anything was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.programs.conftest import QUICK, Program

CASES = {
    "unknown dataset": (["--dataset=fashion_mnits"], 1, "Did you mean 'fashion_mnist'"),
    "unknown task": (["--tasks=itme"], 1, "Did you mean 'item'"),
    "unknown schedule": (["--schedule=dts"], 1, "Did you mean 'dst'"),
    "none is a schedule": (["--schedule=non"], 1, "Did you mean 'none'"),
    "unknown schedule argument": (["--schedule=dst(flor=0.3)"], 1, "flor"),
    "schedule of an unknown task": (["--schedule=static(weights={'gruop': 0})"], 1, "Did you mean 'group'"),
    "negative weight in a schedule": (["--schedule=static(weights={'group': -1})"], 1, "-1"),
    "not a specification": (["--schedule=__import__('os').system('true')"], 1, "Received"),
    "negative task weight": (["--task_weights=item=-1"], 1, "-1"),
    "weight of an unknown task": (["--task_weights=itme=1"], 1, "Did you mean 'item'"),
    "weight without a number": (["--task_weights=item"], 1, "task=number"),
    "all weights zero": (["--task_weights=item=0,group=0"], 1, "At least one task"),
    "unknown model": (["--model=cnnn"], 1, "Did you mean 'cnn'"),
    "unknown optimizer": (["--optimizer=adm"], 1, "Did you mean 'adam'"),
    "wrong optimizer argument": (["--optimizer=adam(momentums=1)"], 1, "momentums"),
    "unknown value": (["--jit_compile=flase"], 1, "Did you mean 'false'"),
    "unknown decay": (["--learning_rate_decay=cosin"], 1, "Did you mean 'cosine'"),
    "unknown cache": (["--cache=dsik"], 1, "Did you mean 'disk'"),
    "unknown format": (["--export_formats=onxx"], 1, "Did you mean 'onnx'"),
    "no epochs": (["--epochs=0"], 1, "epochs=0"),
    "negative learning rate": (["--learning_rate=-1"], 1, "learning_rate=-1"),
    "unknown flag": (["--epoch=3"], 2, "Did you mean: epochs"),
    "flag of another type": (["--epochs=three"], 2, "three"),
    "no flag": (["fashion_mnist"], 2, "fashion_mnist"),
}


@pytest.mark.parametrize(("flags", "code", "message"), CASES.values(), ids=CASES.keys())
def test_one_line_and_no_run_directory(
    program: Program, drawn: Path, tmp_path: Path, flags: list[str], code: int, message: str
) -> None:
    path = tmp_path / "run"
    outcome = program("train", *QUICK, f"--data_dir={drawn}", f"--run_dir={path}", *flags)
    assert outcome.code == code
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert not path.exists()


def test_a_missing_data_directory_says_how_to_get_the_data(program: Program, tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    outcome = program("train", f"--data_dir={missing}", f"--run_dir={tmp_path / 'run'}")
    assert outcome.code == 1
    assert "--synthetic" in outcome.err
    assert str(missing) in outcome.err
    assert outcome.err.count("\n") == 1
    assert not missing.exists()
    assert not (tmp_path / "run").exists()


def test_celeb_a_says_how_to_get_the_data(program: Program, tmp_path: Path) -> None:
    outcome = program("train", "--dataset=celeb_a", f"--data_dir={tmp_path}", f"--run_dir={tmp_path / 'run'}")
    assert outcome.code == 1
    assert "--synthetic" in outcome.err
    assert "tfds build celeb_a" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_nan_in_the_images_is_found_before_training(program: Program, tmp_path: Path) -> None:
    images = np.zeros((20, 28, 28, 1), "float32")
    images[7, 3, 3, 0] = np.nan
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Tensor(shape=(28, 28, 1), dtype=np.float32),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )
    examples = [(i, {"image": image, "label": i % 10}) for i, image in enumerate(images)]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="fashion_mnist", version="3.0.1", features=features, data_dir=tmp_path / "data",
        split_datasets={"train": examples, "test": examples},
    )  # fmt: skip
    outcome = program("train", f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'run'}")
    assert outcome.code == 1
    assert "NaN" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten(program: Program, finished_run: Path) -> None:
    before = (finished_run / "history.csv").read_bytes()
    outcome = program("train", *QUICK, f"--run_dir={finished_run}")
    assert outcome.code == 1
    assert "--resume" in outcome.err
    assert (finished_run / "history.csv").read_bytes() == before


def test_a_run_is_resumed_as_what_it_was(program: Program, finished_run: Path, tmp_path: Path) -> None:
    outcome = program("train", "--resume", f"--run_dir={finished_run}", "--batch_size=7")
    assert outcome.code == 1
    assert "batch_size" in outcome.err
    outcome = program("train", "--resume", f"--run_dir={tmp_path / 'nowhere'}")
    assert outcome.code == 1
    assert "nowhere" in outcome.err
    assert program("train", "--resume").code == 1


def test_help_is_help(program: Program) -> None:
    outcome = program("train", "--help")
    assert outcome.code == 0
    assert "--schedule" in outcome.out


def test_traceback_shows_where(program: Program, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'fashion_mnist'"):
        program("train", "--dataset=fashion_mnits", "--traceback")
