"""A SavedModel of a table takes raw columns, without this library and without Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel
from mtl_keras.export import export_saved_model, parity
from mtl_keras.export.columns import arguments, read_columns

AGE, JOB = "age in years", "jöb"

STRANGER = """
import sys

sys.modules["mtl_keras"] = sys.modules["keras"] = None
import json
import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
columns = json.loads(tf.io.read_file(loaded.columns.asset_path).numpy())
cells = {"float32": tf.constant([1.0, float("nan"), 3.0]), "string": tf.constant(["cook", "", "astronaut"])}
given = {column: cells[entry["dtype"]] for column, entry in columns.items()}
served = loaded.signatures["serve_columns"](**{columns[column]["argument"]: value for column, value in given.items()})
np.savez(sys.argv[2], vectors=loaded.encode(given), signatures=sorted(loaded.signatures), **served)
"""


class Encoder(tf.Module):
    """A number, 0 where it is missing, and the index of a category."""

    def __init__(self) -> None:
        super().__init__()
        self.lookup = keras.layers.StringLookup(vocabulary=["cook", "clerk"], output_mode="one_hot")
        self.table = self.lookup.lookup_table

    @property
    def columns(self) -> dict[str, tf.DType]:
        return {AGE: tf.float32, JOB: tf.string}

    def __call__(self, columns: dict[str, tf.Tensor]) -> tf.Tensor:
        age = tf.where(tf.math.is_nan(columns[AGE]), 0.0, columns[AGE])
        return tf.concat([age[:, None], tf.cast(self.lookup(columns[JOB]), tf.float32)], axis=1)


def network(size: int = 4) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size,), name="images")
    return MultiTaskModel(inputs, {task: keras.layers.Dense(2, name=task)(inputs) for task in ("a", "b")})


def test_raw_columns_are_served_without_this_library(tmp_path: Path) -> None:
    model, encoder, path = network(), Encoder(), tmp_path / "model"
    export_saved_model(model, path, encode=encoder)
    assert read_columns(path) == encoder.columns
    subprocess.run([sys.executable, "-c", STRANGER, str(path), str(tmp_path / "served.npz")], check=True, cwd=tmp_path)
    served = np.load(tmp_path / "served.npz")
    assert served["signatures"].tolist() == ["serve_columns", "serving_default"]
    vectors = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [3, 1, 0, 0]], "float32")
    np.testing.assert_array_equal(served["vectors"], vectors)
    for task, expected in model.predict(vectors, verbose=0).items():
        np.testing.assert_allclose(served[task], expected, atol=1e-5)
    assert parity(model, path, vectors) < 1e-5


def test_arguments_are_names_that_tensorflow_allows() -> None:
    columns = ("age", "hours per week", "hours_per_week", "a-b", "1st", "_x", "self", "größe", "über")
    found = arguments(columns)
    assert found == {
        "age": "age",
        "hours per week": "hours_per_week",
        "hours_per_week": "hours_per_week_2",
        "a-b": "a_b",
        "1st": "column_1st",
        "_x": "column__x",
        "self": "column_self",
        "größe": "gr__e",
        "über": "column__ber",
    }


def test_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`encode` must give .*\(batch, 5\). Received: float32 \(None, 4\)"):
        export_saved_model(network(5), tmp_path / "model", encode=Encoder())
    two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    model = MultiTaskModel(two, {"a": keras.layers.Add()(two)})
    with pytest.raises(ValueError, match=r"`encode` is for models with one input. Received one with 2 inputs"):
        export_saved_model(model, tmp_path / "model", encode=Encoder())
    assert not (tmp_path / "model").exists()
    export_saved_model(network(), tmp_path / "model", encode=Encoder())
    asset = tmp_path / "model/assets/columns.json"
    asset.write_text(json.dumps({"age": {"dtype": "float33"}}))
    with pytest.raises(ValueError, match=r"columns.json is damaged: "):
        read_columns(tmp_path / "model")
    assert read_columns(tmp_path) == {}
