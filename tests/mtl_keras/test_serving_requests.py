"""The requests of docs/serving.md, answered by the exported model as TensorFlow Serving does."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel
from mtl_keras.export import class_names, export_saved_model
from tests.sources import ROOT
from tests.test_docs import run_page

PAGE = ROOT / "docs" / "serving.md"
TASKS = {"item": 3, "worn": 1}


def answer(served: Any, body: str) -> dict[str, Any]:
    """Returns the reply of TensorFlow Serving's REST predict API (https://www.tensorflow.org/tfx/serving/api_rest).

    Args:
        served: a loaded SavedModel.
        body: of the request.
    """
    request = json.loads(body)
    function = served.signatures[request.get("signature_name", "serving_default")]
    specs = function.structured_input_signature[1]
    values = request["instances"] if "instances" in request else request["inputs"]
    example = values[0] if "instances" in request else values
    if not isinstance(example, dict) or list(example) == ["b64"]:
        values = {next(iter(specs)): values}
    elif "instances" in request:
        values = {name: [row[name] for row in values] for name in specs}
    tensors = {name: tf.constant(_decoded(values[name]), spec.dtype) for name, spec in specs.items()}
    outputs = {name: value.numpy().tolist() for name, value in function(**tensors).items()}
    alone = next(iter(outputs.values())) if len(outputs) == 1 else None
    if "inputs" in request:
        return {"outputs": alone or outputs}
    return {
        "predictions": alone or [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
    }


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    return [_decoded(part) for part in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the code of the page has made, with the model that it exported under `served`."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("page")
    os.chdir(folder)
    try:
        names = run_page(PAGE)
        yield {**names, "served": tf.saved_model.load("served/garments/1"), "folder": folder / "served" / "garments"}
    finally:
        os.chdir(before)


def predicted(page: dict[str, Any], images: Any) -> dict[str, np.ndarray]:
    return {task: np.asarray(value) for task, value in page["model"](np.asarray(images)).items()}


def test_the_folder_is_that_of_a_version(page: dict[str, Any]) -> None:
    assert [entry.name for entry in page["folder"].iterdir()] == ["1"]
    assert class_names(page["folder"] / "1") == {"item": ["shirt", "shoe", "bag"]}


@pytest.mark.parametrize(("body", "of"), [("row", "files"), ("row_of_images", "images")])
def test_the_row_format(body: str, of: str, page: dict[str, Any]) -> None:
    images = [page["decode"](file) for file in page["files"]] if of == "files" else page["images"]
    expected = predicted(page, images)
    reply = answer(page["served"], page[body])
    assert list(reply) == ["predictions"]
    assert len(reply["predictions"]) == 2
    for place, row in enumerate(reply["predictions"]):
        assert set(row) == set(TASKS)
        for task, values in row.items():
            np.testing.assert_allclose(values, expected[task][place], rtol=1e-5)


@pytest.mark.parametrize(("body", "of"), [("columnar", "files"), ("columnar_images", "images")])
def test_the_columnar_format(body: str, of: str, page: dict[str, Any]) -> None:
    images = [page["decode"](file) for file in page["files"]] if of == "files" else page["images"]
    expected = predicted(page, images)
    reply = answer(page["served"], page[body])
    assert list(reply) == ["outputs"]
    assert set(reply["outputs"]) == set(TASKS)
    for task, values in reply["outputs"].items():
        np.testing.assert_allclose(values, expected[task], rtol=1e-5)


def test_the_replies_on_the_page_have_the_shape_of_those_of_the_model(page: dict[str, Any]) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    shown = [json.loads(block) for block in blocks]
    rows, columns, error = shown
    for example, body in ((rows, page["row"]), (columns, page["columnar"])):
        reply = answer(page["served"], body)
        assert _shape(example) == _shape(reply)
    assert list(error) == ["error"]


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(part) for key, part in sorted(value.items())}
    return [_shape(part) for part in value] if isinstance(value, list) else type(value).__name__


def test_the_name_of_the_one_input_may_be_left_out(page: dict[str, Any]) -> None:
    named = json.loads(page["row"])
    short = {**named, "instances": [item["encoded"] for item in named["instances"]]}
    assert answer(page["served"], json.dumps(short)) == answer(page["served"], page["row"])
    columns = json.loads(page["columnar"])
    short = {**columns, "inputs": columns["inputs"]["encoded"]}
    assert answer(page["served"], json.dumps(short)) == answer(page["served"], page["columnar"])


def test_a_single_task_is_answered_without_its_name(tmp_path: Path) -> None:
    inputs = keras.Input((2,), name="images")
    model = MultiTaskModel(inputs, {"item": keras.layers.Dense(3, name="item")(inputs)})
    export_saved_model(model, tmp_path / "1")
    reply = answer(tf.saved_model.load(tmp_path / "1"), '{"instances": [{"images": [0, 0.5]}]}')
    assert _shape(reply) == {"predictions": [["float"] * 3]}


PNG = tf.io.encode_png(np.zeros((2, 2, 1), "uint8")).numpy()


@pytest.mark.parametrize(
    ("signature", "value", "message"),
    [
        ("serve_encoded", [b"not an image"], "Unknown image file format"),
        ("serve_encoded", [base64.b64encode(PNG)], "Unknown image file format"),
        ("serve_encoded", [PNG[:40]], "PNG"),
        ("serving_default", np.zeros((1, 3, 4, 1), "float32"), "12 values, but the requested shape has 16"),
    ],
    ids=["not an image", "still in base64", "truncated", "of another size"],
)
def test_the_exported_model_refuses(signature: str, value: Any, message: str, page: dict[str, Any]) -> None:
    function = page["served"].signatures[signature]
    (name,) = function.structured_input_signature[1]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        function(**{name: tf.constant(value)})
