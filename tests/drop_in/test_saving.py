"""Saving, loading by the same and the other class, copies, export and quantization."""

from __future__ import annotations

import copy
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, metrics, optimizers

from mtl_keras import MultiTaskModel
from mtl_keras.export import export, export_saved_model
from tests.drop_in.graphs import LOSSES, NORMALISED, ONE, SAMPLES, TOKEN_LOSSES, TOKENS, TWO
from tests.drop_in.harness import Case, Graph, Run, check, fresh_names

DETAILS = {"metrics": {"kind": ["accuracy"], "amount": ["mae"]}}


def compiled(loss: Any = None, **arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {
        "loss": LOSSES if loss is None else loss,
        "optimizer": optimizers.Adam(0.01),
        **DETAILS,
        **arguments,
    }


def h5_names(file: Any) -> list[str]:
    names: list[str] = []
    with h5py.File(file, "r") as opened:
        opened.visititems(lambda name, item: names.append(f"{name} {getattr(item, 'shape', '')}"))
    return sorted(name for name in names if not name.startswith("training_setup"))  # ours: the task weights


def archive_names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return sorted(archive.namelist()) + h5_names(io.BytesIO(archive.read("model.weights.h5")))


def trained(run: Run) -> None:
    run.record("trained", run.model.train_on_batch(run.x, run.y))


def other_class(run: Run) -> Any:
    """The other one of the two classes, over the same network with other weights, compiled alike."""
    fresh_names()
    kind = keras.Model if isinstance(run.model, MultiTaskModel) else MultiTaskModel
    model = kind(*run.case.graph.build())
    model.compile(**{**run.arguments, "optimizer": optimizers.Adam(0.01)})
    model.set_weights([value + 1 for value in model.get_weights()])
    return model


def keras_file(run: Run) -> None:
    trained(run)
    run.model.save(run.folder / "model.keras")
    run.record("archive", archive_names(run.folder / "model.keras"))
    loaded = keras.models.load_model(run.folder / "model.keras")
    run.record("same class", str(type(loaded) is type(run.model)))
    run.record("predict", [loaded.predict_on_batch(run.x), run.model.predict_on_batch(run.x)])
    run.record("test", loaded.test_on_batch(run.x, run.y))
    run.record("train", loaded.train_on_batch(run.x, run.y))
    run.record("optimizer", [variable.numpy() for variable in loaded.optimizer.variables])
    run.record("names", list(loaded.metrics_names))


def not_compiled(run: Run) -> None:
    trained(run)
    run.model.save(run.folder / "model.keras")
    loaded = keras.models.load_model(run.folder / "model.keras", compile=False)
    run.record("compiled", str(loaded.compiled))
    run.record("predict", loaded.predict_on_batch(run.x))
    loaded.train_on_batch(run.x, run.y)


def never_compiled(run: Run) -> None:
    model = type(run.model)(*run.case.graph.shared[:2])
    model.save(run.folder / "model.keras")
    run.record("archive", archive_names(run.folder / "model.keras"))
    run.record("predict", keras.models.load_model(run.folder / "model.keras").predict_on_batch(run.x))


def weights_file(run: Run) -> None:
    trained(run)
    run.model.save_weights(run.folder / "model.weights.h5")
    run.record("h5", h5_names(run.folder / "model.weights.h5"))
    saved = run.model.get_weights()
    run.model.set_weights([value + 1 for value in saved])
    run.model.load_weights(run.folder / "model.weights.h5")
    run.record("weights", run.model.get_weights())
    run.record("as saved", saved)
    run.record("train", run.model.train_on_batch(run.x, run.y))


def read_by_the_other(name: str) -> Callable[[Run], None]:
    """A script that saves weights or a model and loads them, with the optimizer's state, into the other class."""

    def script(run: Run) -> None:
        trained(run)
        path = run.folder / name
        run.model.save(path) if name.endswith(".keras") else run.model.save_weights(path)
        other = other_class(run)
        other.optimizer.build(other.trainable_variables)
        other.load_weights(path)
        run.record("weights", other.get_weights())
        run.record("optimizer", [variable.numpy() for variable in other.optimizer.variables])
        run.record("loss", other.train_on_batch(run.x, run.y, return_dict=True)["loss"])

    return script


def h5_file(run: Run) -> None:
    trained(run)
    run.model.save(run.folder / "model.h5")
    loaded = keras.models.load_model(run.folder / "model.h5")
    run.record("predict", loaded.predict_on_batch(run.x))
    run.record("test", loaded.test_on_batch(run.x, run.y))


def copied(make: Callable[[Any], Any], again: bool = False) -> Callable[[Run], None]:
    """A script that copies the model by `make`; `again` compiles the copy."""

    def script(run: Run) -> None:
        trained(run)
        model = make(run.model)
        run.record("same class", str(type(model) is type(run.model)))
        run.record("shapes", [list(value.shape) for value in model.get_weights()])
        model.set_weights(run.model.get_weights())
        run.record("predict", model.predict_on_batch(run.x))
        if again:
            model.compile(**{**run.arguments, "optimizer": "sgd"})
        run.record("train", model.train_on_batch(run.x, run.y))

    return script


def exported(run: Run) -> None:
    trained(run)
    run.model.export(run.folder / "saved", verbose=False)
    restored = tf.saved_model.load(run.folder / "saved")
    run.record("predict", restored.serve(run.x))
    run.record("variables", sorted(str(variable.shape) for variable in restored.variables))
    run.record("signature", sorted(restored.signatures["serving_default"].structured_outputs))


def to_onnx(run: Run) -> None:
    import onnxruntime

    run.fit(batch_size=6)
    run.model.export(run.folder / "model.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(run.folder / "model.onnx")
    run.record("outputs", sorted(output.name for output in session.get_outputs()))
    run.record(
        "predict", session.run(sorted(o.name for o in session.get_outputs()), {session.get_inputs()[0].name: run.x})
    )


def quantized(run: Run) -> None:
    trained(run)
    run.model.quantize("int8")
    run.predict()
    run.record("weights", [(list(value.shape), str(value.dtype)) for value in run.model.get_weights()])


def described(run: Run) -> None:
    """What a model says of itself."""
    model, lines = run.model, []
    model.summary(print_fn=lambda line, line_break=False: lines.append(line))
    run.record("summary", "\n".join(lines).split("\n", 1)[1])
    run.record("layers", [layer.name for layer in model.layers])
    run.record("parameters", model.count_params())
    run.record("shapes", str([model.input_shape, model.output_shape]))
    run.record("names", [model.output_names, [tensor.name for tensor in model.inputs]])
    run.record("config", sorted(model.get_config()))
    run.record("weights", [weight.path for weight in model.weights])
    run.record("variables", [variable.path for variable in model.non_trainable_variables])
    run.record("metrics", list(model.metrics_names))
    run.record("losses", len(model.losses))
    run.record(
        "compile config",
        sorted(
            set(model.get_compile_config()) - {"class_weight", "weighting", "max_specializations", "missing_labels"}
        ),
    )
    run.record("called", model(run.x))
    run.record("trained", model.train_on_batch(run.x, run.y))
    run.record("metrics variables", [variable.path for variable in model.metrics_variables])


def moved_state(run: Run) -> None:
    """`get_state_tree` of one model goes into another one."""
    trained(run)
    state = run.model.get_state_tree(value_format="numpy_array")
    other = other_class(run)
    other.train_on_batch(run.x, run.y)
    other.set_state_tree(state)
    run.record("weights", other.get_weights())
    run.record("optimizer", [variable.numpy() for variable in other.optimizer.variables])


def words() -> tuple[Any, Any]:
    inputs = keras.Input((1,), dtype="string", name="word")
    x = layers.Embedding(5, 4)(layers.StringLookup(vocabulary=["a", "b", "c"])(inputs))
    x = layers.Flatten()(x)
    return inputs, {"kind": layers.Dense(3, activation="softmax")(x), "amount": layers.Dense(1)(x)}


def word_data() -> tuple[Any, Any]:
    return tf.constant([["a"], ["b"], ["c"]] * (SAMPLES // 3)), TWO.data()[1]


def words_exported(run: Run) -> None:
    run.fit()
    run.model.export(run.folder / "saved", verbose=False)
    restored = tf.saved_model.load(run.folder / "saved")
    run.record("predict", restored.serve(run.x))
    run.model.save(run.folder / "model.keras")
    run.record("loaded", keras.models.load_model(run.folder / "model.keras").predict_on_batch(run.x))


@keras.saving.register_keras_serializable("drop_in")
class Scaled(losses.Loss):
    def __init__(self, factor: float = 2.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.factor = factor

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


OBJECTS = {"kind": losses.SparseCategoricalCrossentropy(name="sce"), "amount": Scaled(3.0)}
OBJECT_METRICS = {"kind": [metrics.SparseCategoricalAccuracy(name="acc")], "amount": metrics.MeanAbsoluteError()}
CASES = [
    Case("a .keras file", NORMALISED, compiled(), keras_file, fresh=True),
    Case("a .keras file, one output", ONE, compiled("mse", metrics=["mae"]), keras_file, fresh=True),
    Case("a .keras file, objects", TWO, compiled(OBJECTS, metrics=OBJECT_METRICS), keras_file, fresh=True),
    Case(
        "a .keras file, lists",
        TWO,
        compiled(["mse", LOSSES["kind"]], metrics=[["mae"], ["accuracy"]], loss_weights=[1.0, 2.0]),
        keras_file,
        fresh=True,
    ),
    Case("a .keras file, masks", TOKENS, compiled(TOKEN_LOSSES, metrics={"tag": ["accuracy"]}), keras_file, fresh=True),
    Case(
        "a .keras file, mixed precision",
        TWO,
        compiled(),
        keras_file,
        tolerance=1e-2,
        prepare=lambda: keras.config.set_dtype_policy("mixed_float16"),
    ),
    Case("a .keras file, not compiled", TWO, compiled(), not_compiled, fresh=True, raises=ValueError),
    Case("a .keras file, never compiled", TWO, compiled(), never_compiled, fresh=True),
    Case("a .weights.h5 file", NORMALISED, compiled(), weights_file, fresh=True),
    Case("a .weights.h5 file, the other class", NORMALISED, compiled(), read_by_the_other("a.weights.h5"), fresh=True),
    Case("a .keras file, the other class", TWO, compiled(), read_by_the_other("a.keras"), fresh=True),
    Case(
        "a .h5 file", TWO, compiled({**OBJECTS, "amount": losses.MeanSquaredError()}, metrics=None), h5_file, fresh=True
    ),
    Case("clone_model", TWO, compiled(), copied(keras.models.clone_model, again=True), fresh=True),
    Case(
        "from_config",
        TWO,
        compiled(),
        copied(lambda model: type(model).from_config(model.get_config()), again=True),
        fresh=True,
    ),
    Case(
        "model_from_json",
        TWO,
        compiled(),
        copied(lambda m: keras.models.model_from_json(m.to_json()), again=True),
        fresh=True,
    ),
    Case("deepcopy", TWO, compiled(), copied(copy.deepcopy), fresh=True),
    Case("pickle", TWO, compiled(), copied(lambda model: pickle.loads(pickle.dumps(model))), fresh=True),
    Case("a state tree", TWO, compiled(), moved_state, fresh=True),
    Case("export", NORMALISED, compiled(), exported, fresh=True),
    Case("export, masks", TOKENS, compiled(TOKEN_LOSSES, metrics=None), exported, fresh=True),
    Case("export, lookup table", Graph(words, word_data), compiled(), words_exported, fresh=True),
    Case("ONNX after fit", TWO, compiled(run_eagerly=False), to_onnx, fresh=True),
    Case("quantize after fit", TWO, compiled(), quantized, fresh=True),
    Case("described", NORMALISED, compiled(), described, fresh=True),
    Case("described, one output", ONE, compiled("mse", metrics=["mae"]), described, fresh=True),
    Case(
        "described, an output without a loss",
        TWO,
        compiled({"kind": LOSSES["kind"]}, metrics=None),
        described,
        fresh=True,
    ),
]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_saving(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def text() -> tuple[Any, Any]:
    vectorization = layers.TextVectorization(8, output_sequence_length=3)
    vectorization.adapt(["a b", "c"])
    inputs = keras.Input((1,), dtype="string", name="word")
    x = layers.Flatten()(layers.Embedding(8, 4)(vectorization(inputs)))
    return inputs, {"kind": layers.Dense(3, activation="softmax")(x), "amount": layers.Dense(1)(x)}


def feature_space() -> tuple[Any, Any]:
    space = keras.utils.FeatureSpace({"word": "string_categorical"}, output_mode="concat")
    space.adapt(tf.data.Dataset.from_tensor_slices({"word": ["a", "b", "c"]}))
    x = space.get_encoded_features()
    return space.get_inputs(), {"kind": layers.Dense(3, activation="softmax")(x), "amount": layers.Dense(1)(x)}


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
@pytest.mark.parametrize(
    ("build", "write"),
    [(words, export_saved_model), (text, export), (feature_space, export)],
    ids=lambda one: one.__name__,
)
def test_lookup_tables_are_exported(build: Callable[[], Any], write: Callable[..., Any], tmp_path: Path) -> None:
    model = MultiTaskModel(*build())
    x, _ = word_data()
    expected = model.predict_on_batch({"word": x})
    write(model, tmp_path / "saved")
    restored = tf.saved_model.load(tmp_path / "saved")
    found = restored.signatures["serving_default"](word=x)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)
