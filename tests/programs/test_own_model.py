"""`train.py` on a network of one's own, from a file, its trunk left alone for a while."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tests.programs.conftest import Program

QUICK = ["--synthetic", "--examples=40", "--batch_size=20", "--epochs=1"]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    images = keras.Input((28, 28, 1))
    x = layers.Dense(8, activation="relu", name="low")(layers.Flatten()(images))
    x = layers.BatchNormalization(name="norm")(x)
    outputs = {name: layers.Dense(size, "softmax", name=f"{name}_out") for name, size in (("item", 10), ("group", 3))}
    model = keras.Model(images, {name: layer(x) for name, layer in outputs.items()})
    model.save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


@pytest.mark.usefixtures("no_report")
def test_a_warm_start_with_a_frozen_trunk(program: Program, drawn: Path, net: Path, tmp_path: Path) -> None:
    flags = [*QUICK, f"--data_dir={drawn}", f"--run_dir={tmp_path / 'run'}", f"--model={net}"]
    done = program("train", *flags, "--freeze_trunk=1")
    assert (done.code, done.err) == (0, "")
    before, after = keras.models.load_model(net), keras.models.load_model(tmp_path / "run" / "best.keras")
    for name, still in {"low": True, "norm": True, "item_out": False, "group_out": False}.items():
        for old, new in zip(before.get_layer(name).weights, after.get_layer(name).weights, strict=True):
            assert np.array_equal(old.numpy(), new.numpy()) == still
    (compiled,) = json.loads((tmp_path / "run" / "metrics.json").read_text())["cost"]["compiled"]
    assert compiled["frozen"] == 2
    assert all(layer.trainable for layer in after.layers)


def test_what_is_wrong_is_said_in_one_line(program: Program, drawn: Path, net: Path, tmp_path: Path) -> None:
    flags = [*QUICK, f"--data_dir={drawn}", f"--run_dir={tmp_path / 'run'}"]
    for more, said in {
        f"--model={tmp_path}/none.keras": "error: There is no model at",
        f"--model={net} --weights=imagenet": "begins with the weights in it",
        f"--model={net} --tasks=item,group --freeze_trunk=-1": "freeze_trunk must be at least 0",
        "--model=keras_hub('no_such_preset')": "Preset 'no_such_preset' of KerasHub could not be loaded",
    }.items():
        failed = program("train", *flags, *more.split(" "))
        assert failed.code == 1
        assert said in failed.err
        assert len(failed.err.splitlines()) == 1
        assert not (tmp_path / "run").exists()
