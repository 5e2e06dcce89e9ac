"""`save` and `load_model`; that this works as in Keras is in `tests/drop_in/test_saving.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel
from mtl_keras.testing import toy_data, toy_model

ORDER = ("kind", "bright", "round", "copy")
SETTINGS: dict[str, Any] = {
    "class_weight": {"kind": {0: 2.0}, "round": {1: 3.0}}, "max_specializations": 2, "run_eagerly": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> MultiTaskModel:
    model = toy_model(keras.optimizers.Adam(0.01), **SETTINGS)
    model.set_task_weights({"copy": 0.25, "round": 2.0})
    model.fit(*toy_data(32), batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def path(trained: MultiTaskModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    trained.save(path)
    return path


def test_a_loaded_model_trains_like_the_saved_one(trained: MultiTaskModel, path: Path) -> None:
    loaded = keras.models.load_model(path, safe_mode=True)
    assert type(loaded) is MultiTaskModel
    assert loaded.task_names == ORDER
    assert loaded.task_weights == {"kind": 1.0, "bright": 1.0, "round": 2.0, "copy": 0.25}
    assert loaded.primary_metrics == trained.primary_metrics
    assert loaded.task_depths() == trained.task_depths()
    assert loaded.optimizer.iterations == 2
    # Keras saves no random seeds: neither does a stock model drop what it would have dropped.
    seeds = [model.get_layer("kind_dropout").seed_generator.state for model in (loaded, trained)]
    seeds[0].assign(seeds[1])
    x, y = toy_data(32, seed=1)
    logs = [model.train_on_batch(x, y, return_dict=True) for model in (trained, loaded)]
    assert logs[1] == pytest.approx(logs[0], abs=1e-6)
    assert logs[0]["round_weight"] == 2.0
    variables = [model.get_weights() + [v.numpy() for v in model.optimizer.variables] for model in (trained, loaded)]
    for expected, found in zip(*variables, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_loaded_without_compiling(trained: MultiTaskModel, path: Path) -> None:
    loaded = keras.models.load_model(path, compile=False)
    assert loaded.task_weights == trained.task_weights
    assert loaded.primary_metrics == {}
    assert loaded.nonfinite_losses == {}
    assert list(loaded.outputs_by_task) == list(ORDER)
    assert set(loaded.predict(toy_data(4)[0], verbose=0)) == set(ORDER)


def test_compile_settings_are_saved_again_after_loading(path: Path) -> None:
    config = keras.models.load_model(path).get_compile_config()
    assert config["class_weight"] == {"kind": {"0": 2.0}, "round": {"1": 3.0}}
    assert config["max_specializations"] == 2


def test_a_clone_has_task_weights_of_one(trained: MultiTaskModel) -> None:
    assert keras.models.clone_model(trained).task_weights == dict.fromkeys(ORDER, 1.0)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_task_weights_of_outputs_without_a_loss(tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1)(inputs) for name in ("z", "extra", "a")})
    model.compile(loss={"z": "mse", "a": "mse"}, loss_weights={"z": 3.0, "a": 4.0})
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.task_weights == {"z": 3.0, "a": 4.0}
    model.save_weights(tmp_path / "model.weights.h5")
    loaded.set_task_weights({"z": 1.0})
    loaded.load_weights(tmp_path / "model.weights.h5")
    assert loaded.task_weights == {"z": 3.0, "a": 4.0}
