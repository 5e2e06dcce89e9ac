from __future__ import annotations

import json
import math
from pathlib import Path

import keras
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
from tensorboard.util.tensor_util import make_ndarray

from mtl_keras.callbacks.tensorboard import TensorBoard, tag
from mtl_keras.logs import LogKey
from tests.mtl_keras.callbacks.tiny import tiny_data, tiny_model

EPOCHS = [
    {"loss": 2.0, "a_loss": 1.0, "a_b_loss": 3.0, "a_b_mae": 0.5, "a_weight": 0.25, "a_active": 0.75, "mtl_score": 0.6},
    {"loss": 1.0, "a_loss": 0.5, "a_b_loss": math.nan, "a_probability": 0.2, "val_loss": 4.0, "val_a_b_mae": 0.125},
]


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = read(folder)
    return {
        name: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(name)]
        for name in events.PluginTagToContent("scalars")
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after two epochs of hand-made logs."""
    folder = tmp_path_factory.mktemp("tensorboard")
    callback = TensorBoard(folder)
    callback.set_model(tiny_model())
    callback.on_train_begin()
    for epoch, logs in enumerate(EPOCHS):
        callback.on_epoch_begin(epoch)
        callback.on_test_begin()
        callback.on_test_end({"loss": 4.0})
        callback.on_epoch_end(epoch, logs)
    callback.on_train_end()
    return folder


def test_training_scalars_are_grouped(written: Path) -> None:
    found = scalars(written / "train")
    rate = found.pop("summary/learning_rate")
    assert [step for step, _ in rate] == [0, 1]
    assert rate[0][1] == pytest.approx(0.01)
    assert found == {
        "summary/loss": [(0, 2.0), (1, 1.0)],
        "summary/mtl_score": [(0, pytest.approx(0.6))],
        "losses/a": [(0, 1.0), (1, 0.5)],
        "losses/a_b": [(0, 3.0)],
        "metrics/a_b_mae": [(0, 0.5)],
        "weights/a": [(0, 0.25)],
        "schedule/a_active": [(0, 0.75)],
        "schedule/a_probability": [(1, pytest.approx(0.2))],
    }


def test_validation_has_the_same_tags_in_its_own_run(written: Path) -> None:
    assert scalars(written / "validation") == {"summary/loss": [(1, 4.0)], "metrics/a_b_mae": [(1, 0.125)]}


def test_graph_has_every_layer_and_its_input(written: Path) -> None:
    events = read(written / "train")
    (name,) = events.PluginTagToContent("graph_keras_model")
    graph = keras_model_to_graph_def(json.loads(events.Tensors(name)[0].tensor_proto.string_val[0]))
    inputs = {node.name.split("/")[-1]: [path.split("/")[-1] for path in node.input] for node in graph.node}
    assert inputs["a_head"] == inputs["a_b_head"] == ["trunk"]
    assert len(inputs) == 4


def test_fit_writes_every_epoch(tmp_path: Path) -> None:
    x, y = tiny_data()
    callback = TensorBoard(tmp_path, histogram_freq=1, write_steps_per_second=True)
    history = tiny_model().fit(x, y, batch_size=4, epochs=2, validation_data=(x, y), verbose=0, callbacks=[callback])
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    both = {"summary/loss", "losses/a", "losses/a_b", "metrics/a_mae", "metrics/a_b_mae"}
    assert set(train) == both | {"summary/learning_rate", "summary/steps_per_second"}
    assert set(validation) == both
    assert [value for _, value in train["losses/a_b"]] == pytest.approx(history.history["a_b_loss"])
    assert [value for _, value in validation["metrics/a_mae"]] == pytest.approx(history.history["val_a_mae"])
    assert any("trunk" in name for name in read(tmp_path / "train").PluginTagToContent("histograms"))


def test_batch_scalars_are_keras_own(tmp_path: Path) -> None:
    x, y = tiny_data()
    tiny_model().fit(x, y, batch_size=4, verbose=0, callbacks=[TensorBoard(tmp_path, update_freq="batch")])
    assert [step for step, _ in scalars(tmp_path / "train")["batch_a_b_loss"]] == [1, 2]


def test_model_without_tasks_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="task_names"):
        TensorBoard(tmp_path).set_model(keras.Sequential())


def test_docstring_lists_every_tag() -> None:
    text = TensorBoard.__doc__ or ""
    for quantity in ("loss", "weight", "active", "probability"):
        assert f"`{tag(LogKey(False, '<task>', quantity))}`" in text
    assert f"`{tag(LogKey(False, '<task>', '<metric>'))}`" in text
    for quantity in ("loss", "mtl_score", "learning_rate"):
        assert f"`{tag(LogKey(False, None, quantity))}`" in text
