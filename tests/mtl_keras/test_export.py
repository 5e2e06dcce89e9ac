"""Exports predict the same as their models, without this library; a failed export leaves no files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel, TaskSplit
from mtl_keras.export import class_names, export, export_saved_model, load_export, parity

TASKS = ("5_o_Clock_Shadow", "b.x-y", "kind", "copy")
NAMES = {"kind": ["left", "right", "über"], "b.x-y": ["no", "yes"]}

# Loads an export where neither this library nor Keras can be imported, and predicts.
STRANGER = """
import sys

sys.modules["mtl_keras"] = sys.modules["keras"] = None
for blocked in ("mtl_keras", "keras"):
    try:
        __import__(blocked)
    except ImportError:
        continue
    sys.exit(f"{blocked} could be imported")

import json
import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2], allow_pickle=True)
results = {}
for signature, argument in (("serving_default", "images"), ("serve_encoded", "encoded")):
    for task, output in loaded.signatures[signature](**{argument: tf.constant(given[argument])}).items():
        results[f"{signature} {task}"] = output.numpy()
names = json.loads(tf.io.read_file(loaded.class_names.asset_path).numpy())
np.savez(sys.argv[3], names=json.dumps(names), signatures=sorted(loaded.signatures), **results)
"""


def network(seed: int = 0) -> MultiTaskModel:
    """A network of every kind of output, with random BatchNorm statistics and a dropped task."""
    inputs = keras.Input((8, 8, 1), name="images")
    features = keras.layers.Conv2D(4, 3, strides=2)(inputs)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.Flatten()(keras.layers.Dropout(0.5)(features))
    shadow, other = TaskSplit(2)(keras.layers.Dense(2, activation="sigmoid")(features))
    kind = keras.layers.Dense(3, activation="softmax", name="kind_head")(features)
    copy = keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(features))
    model = MultiTaskModel(inputs, {"5_o_Clock_Shadow": shadow, "b.x-y": other, "kind": kind, "copy": copy})
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    model.set_task_weights({"copy": 0.0})
    return model


def small(**outputs: int) -> MultiTaskModel:
    """The least network that has tasks: output name -> units."""
    images = keras.Input((2, 2, 1), name="images")
    features = keras.layers.Flatten()(images)
    return MultiTaskModel(images, {name: keras.layers.Dense(units)(features) for name, units in outputs.items()})


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Bytes -> image (8, 8, 1) in [0, 1], by way of a crop and a resize."""
    image = tf.io.decode_image(encoded, channels=1, expand_animations=False)
    return tf.image.resize(tf.cast(image[2:-2], tf.float32) / 255.0, (8, 8), antialias=True)


def pictures() -> list[bytes]:
    """JPEG and PNG files of several sizes."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (20 + i, 16, 3), "uint8") for i in range(4)]
    encoders = [tf.io.encode_jpeg, tf.io.encode_png]
    return [encoders[i % 2](array).numpy() for i, array in enumerate(arrays)]


def images(samples: int = 6) -> np.ndarray:
    return np.random.default_rng(1).random((samples, 8, 8, 1), "float32")


def small_images() -> np.ndarray:
    return np.ones((3, 2, 2, 1), "float32")


def assert_same(received: Any, expected: dict[str, np.ndarray]) -> None:
    assert set(received) == set(expected)
    for task, values in expected.items():
        np.testing.assert_allclose(received[task], values, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    return network()


@pytest.fixture(scope="module")
def exported(model: MultiTaskModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "new_folder" / "saved_model"
    export(model, path, decode=decode, class_names=NAMES)
    return path


def test_without_this_library_a_saved_model_predicts_the_same(
    model: MultiTaskModel, exported: Path, tmp_path: Path
) -> None:
    given, results = tmp_path / "given.npz", tmp_path / "results.npz"
    np.savez(given, images=images(), encoded=np.array(pictures(), object))
    command = [sys.executable, "-I", "-c", STRANGER, str(exported), str(given), str(results)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(results) as found:
        assert set(found["signatures"]) == {"serving_default", "serve_encoded"}
        assert json.loads(str(found["names"])) == NAMES
        decoded = np.stack([decode(picture).numpy() for picture in pictures()])
        for signature, given_images in (("serving_default", images()), ("serve_encoded", decoded)):
            expected = model.predict(given_images, verbose=0)
            assert tuple(expected) == TASKS
            outputs = {key.split()[1]: found[key] for key in found.files if key.startswith(f"{signature} ")}
            assert_same(outputs, expected)


def test_a_saved_model_takes_batches_of_any_size(model: MultiTaskModel, exported: Path) -> None:
    loaded = tf.saved_model.load(str(exported))
    for samples in (1, 3):
        expected = model.predict(images(samples), verbose=0)
        assert_same(loaded.signatures["serving_default"](images=tf.constant(images(samples))), expected)
        assert_same(load_export(exported)(images(samples)), expected)
    encoded = loaded.signatures["serve_encoded"](encoded=tf.constant(pictures()[:1]))
    assert {task: output.shape[0] for task, output in encoded.items()} == dict.fromkeys(TASKS, 1)


def test_a_saved_model_is_a_keras_layer(model: MultiTaskModel, exported: Path) -> None:
    assert_same(keras.layers.TFSMLayer(str(exported))(images()), model.predict(images(), verbose=0))


def test_class_names_can_be_read(exported: Path, tmp_path: Path) -> None:
    assert class_names(exported) == NAMES
    export_saved_model(small(a=1), tmp_path / "saved_model")
    assert class_names(tmp_path / "saved_model") == {}
    assert list(tf.saved_model.load(str(tmp_path / "saved_model")).signatures) == ["serving_default"]


def test_outputs_are_float32_under_mixed_precision(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = network()
    export_saved_model(model, tmp_path / "saved_model", decode=decode)
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    for signature in ("serving_default", "serve_encoded"):
        assert {output.dtype for output in loaded.signatures[signature].structured_outputs.values()} == {tf.float32}
    # bfloat16 has eight bits of mantissa.
    assert parity(model, tmp_path / "saved_model", images(), tolerance=2e-2) <= 2e-2
    for format, name in (("onnx", "model.onnx"), ("litert", "model.tflite")):
        with pytest.raises(ValueError, match="computes in bfloat16"):
            export(model, tmp_path / name, format)


def test_an_onnx_file_predicts_the_same(model: MultiTaskModel, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export(model, path, "onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for samples in (1, 6):
        found = session.run(TASKS, {"images": images(samples)})
        assert_same(dict(zip(TASKS, found, strict=True)), model.predict(images(samples), verbose=0))
    assert parity(model, path, images()) <= 1e-5


def test_a_litert_file_predicts_the_same(model: MultiTaskModel, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    export(model, path, "litert")
    predict = load_export(path)
    for samples in (6, 1):
        assert_same(predict(images(samples)), model.predict(images(samples), verbose=0))
    assert parity(model, path, images()) <= 1e-5


def test_parity_names_the_task_that_differs(exported: Path) -> None:
    other = network()
    assert parity(other, exported, images()) <= 1e-5
    bias = other.get_layer("kind_head").bias
    bias.assign([0.1, 0.2, 0.9])
    with pytest.raises(ValueError, match=r"differs from the model by .* in task 'kind'"):
        parity(other, exported, images())
    assert 0 < parity(other, exported, images(), tolerance=1.0) <= 1.0
    bias.assign([np.nan, 0.0, 0.0])
    with pytest.raises(ValueError, match="by nan in task 'kind'"):
        parity(other, exported, images(), tolerance=1.0)


def test_parity_sees_missing_outputs_and_other_shapes(tmp_path: Path) -> None:
    path = tmp_path / "saved_model"
    export_saved_model(small(a=1, b=2), path)
    with pytest.raises(ValueError, match=r"no output for task 'c'. Its outputs: a, b"):
        parity(small(c=1), path, small_images())
    with pytest.raises(ValueError, match=r"task 'b' the shape \(3, 2\), the model gives it \(3, 4\)"):
        parity(small(b=4), path, small_images())


def test_an_export_replaces_the_previous_one(tmp_path: Path) -> None:
    path, first, second = tmp_path / "saved_model", small(a=1), small(a=1)
    export_saved_model(first, path, class_names={"a": ["x"]})
    assert parity(first, path, small_images()) <= 1e-5
    export_saved_model(second, path)
    assert parity(second, path, small_images()) <= 1e-5
    assert class_names(path) == {}
    assert os.listdir(tmp_path) == ["saved_model"]


FULL = [
    OSError(28, "No space left on device"),
    tf.errors.ResourceExhaustedError(None, None, "{{node x}} /a/b; No space left on device [Op:SaveV2]"),
]


def test_a_full_disk_leaves_the_previous_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model, errors = tmp_path / "saved_model", small(a=1), iter(FULL)
    export_saved_model(model, path)

    def half(module: Any, folder: str, signatures: Any) -> None:
        Path(folder).mkdir()
        Path(folder, "saved_model.pb").write_bytes(b"half")
        raise next(errors)

    monkeypatch.setattr(tf.saved_model, "save", half)
    for target in (path, tmp_path / "new"):
        with pytest.raises(OSError, match=r"^Cannot write .*: No space left on device$"):
            export_saved_model(small(a=1), target)
        assert os.listdir(tmp_path) == ["saved_model"]
    assert parity(model, path, small_images()) <= 1e-5


def test_an_export_that_cannot_be_moved_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model, replace = tmp_path / "saved_model", small(a=1), os.replace
    export_saved_model(model, path)

    def fails_once(source: Path, target: Path) -> None:
        if target == path and source.name == path.name:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails_once)
    with pytest.raises(OSError, match=r"^Cannot write .*saved_model: Input/output error$"):
        export_saved_model(small(a=1), path)
    assert os.listdir(tmp_path) == ["saved_model"]
    assert parity(model, path, small_images()) <= 1e-5


@pytest.mark.parametrize(("format", "name"), [("saved_model", "m"), ("onnx", "m.onnx"), ("litert", "m.tflite")])
def test_a_path_that_cannot_be_written_gives_a_one_line_error(format: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match=rf"^Cannot write .*{name}: Not a directory$"):
        export(small(a=1), tmp_path / "file" / name, format)
    assert (tmp_path / "file").read_text() == "kept"


def test_nothing_but_exports_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("kept")
    with pytest.raises(ValueError, match=r"not a SavedModel. Received: path=.*thesis"):
        export(small(a=1), tmp_path / "thesis")
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(ValueError, match=r"to a file \*.onnx"):
        export(small(a=1), tmp_path / "model.onnx", "onnx")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "onx"}, "Unknown format. Did you mean 'onnx'.*Choices: litert, onnx, saved_model"),
        ({"format": "onnx"}, r"'onnx' is written to a file \*.onnx. Received: path="),
        ({"format": "litert"}, r"'litert' is written to a file \*.tflite. Received: path="),
        (
            {"format": "onnx", "decode": decode},
            "`decode`, `encode`, `class_names` and `heads` are for format='saved_model'",
        ),
        (
            {"format": "litert", "class_names": NAMES},
            "`decode`, `encode`, `class_names` and `heads` are for format='saved_model'",
        ),
        ({"class_names": {"item": []}}, "Unknown task in `class_names`. Did you mean 'items'"),
        ({"decode": decode}, r"float32 \(2, 2, 1\). Received: float32 \(8, 8, 1\)"),
        ({"decode": tf.io.decode_image}, r"float32 \(2, 2, 1\). Received: uint8"),
    ],
)
def test_bad_arguments_give_a_one_line_error(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        export(small(items=1), tmp_path / "model", **arguments)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_decode_is_for_one_input(tmp_path: Path) -> None:
    inputs = [keras.Input((2,), name=name) for name in ("left", "right")]
    model = MultiTaskModel(inputs, {"sum": keras.layers.Add()(inputs)})
    with pytest.raises(ValueError, match=r"one input. Received a model with 2 inputs"):
        export(model, tmp_path / "model", decode=decode)
    export(model, tmp_path / "model")
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    np.testing.assert_allclose(serve(left=tf.ones((1, 2)), right=tf.ones((1, 2)))["sum"], [[2.0, 2.0]])


def test_in_onnx_no_task_has_the_name_of_the_input(tmp_path: Path) -> None:
    model = small(images=1)
    with pytest.raises(ValueError, match=r"name of an input. Received: images"):
        export(model, tmp_path / "model.onnx", "onnx")
    export(model, tmp_path / "saved_model")
    assert parity(model, tmp_path / "saved_model", small_images()) <= 1e-5


@pytest.mark.parametrize("package", ["onnx", "tf2onnx"])
def test_a_missing_package_is_named_with_its_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'The package {package} is not installed: pip install "mtl-keras\[onnx\]"$'):
        export(small(a=1), tmp_path / "model.onnx", "onnx")
    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no exported model at .*nowhere"):
        load_export(tmp_path / "nowhere")
    with pytest.raises(OSError, match="is not a SavedModel"):
        load_export(tmp_path)
    (tmp_path / "model.onnx").touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        ImportError, match=r'The package onnxruntime is not installed: pip install "mtl-keras\[onnx\]"$'
    ):
        load_export(tmp_path / "model.onnx")
