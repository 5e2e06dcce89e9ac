"""The names of `import mtl_keras`, and errors for missing extras."""

from __future__ import annotations

import importlib
import sys
import tomllib
from typing import Any

import keras
import pytest

import mtl_keras
from tests.sources import ROOT


@pytest.mark.parametrize("name", mtl_keras.__all__)
def test_all_names_exist(name: str) -> None:
    assert getattr(mtl_keras, name).__name__ in (name, f"mtl_keras.{name}")
    assert name in dir(mtl_keras)


@pytest.mark.parametrize("name", ["callbacks", "export", "layers", "schedules", "weightings"])
def test_dir_of_a_subpackage_has_its_public_names(name: str) -> None:
    module = getattr(mtl_keras, name)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, each) for each in module.__all__)


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'schedule'\. Choices: MultiTaskModel, .*, schedules, "):
        _ = mtl_keras.schedule


def test_a_schedule_as_weighting_is_pointed_to_its_place() -> None:
    with pytest.raises(
        ValueError, match=r"'dst' is a schedule, not a weighting: pass it to .*TaskScheduler, .*--schedule"
    ):
        mtl_keras.weightings.get("dst(floor=0.5)")


def test_reprs_are_short() -> None:
    assert repr(mtl_keras.weightings.get("cagrad(c=0.4)")) == "CAGrad(c=0.4)"
    assert repr(mtl_keras.schedules.get("dst")) == "DST()"
    assert repr(mtl_keras.callbacks.StopOnNonFinite(5)) == "StopOnNonFinite(every=5)"
    assert repr(mtl_keras.callbacks.FreezeLayers({"trunk": 3})) == "FreezeLayers({'trunk': (0, 3)})"
    assert repr(mtl_keras.callbacks.Progress(live=False)) == "Progress(live=False)"
    assert repr(mtl_keras.callbacks.TensorBoard("logs")) == "TensorBoard(log_dir='logs', update_freq='epoch')"
    images, labels = mtl_keras.testing.toy_data(2)
    shown = mtl_keras.callbacks.PredictionImages("logs", images, labels, mtl_keras.testing.toy_tasks())
    assert repr(shown) == "PredictionImages(log_dir='logs', images=2, every=1)"
    inputs = keras.Input((2,))
    model = mtl_keras.MultiTaskModel(inputs, {f"t{n}": keras.layers.Dense(1)(inputs) for n in range(9)}, name="net")
    assert repr(model) == "<MultiTaskModel name=net, tasks=[t0, t1, t2, t3, t4, t5, ... 3 more], weighting=Static()>"
    assert repr(model.gradients) == "GradientStatistics(every=0, count=0)"


def test_submodules_work_without_an_import_of_their_own() -> None:
    assert repr(mtl_keras.schedules.get("dst")).startswith("DST(")
    assert mtl_keras.__version__ in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("package", "use", "extra"),
    [
        ("matplotlib", lambda: importlib.import_module("mtl_keras.reports"), "report"),
        ("scipy.special", lambda: mtl_keras.analysis.mean_interval([1.0, 2.0]), "analysis"),
        ("sklearn.metrics", lambda: mtl_keras.analysis.binary_scores([1.0], [0.5]), "analysis"),
        ("tensorboard", lambda: mtl_keras.callbacks.TensorBoard("logs"), "tensorboard"),
        ("matplotlib", lambda: mtl_keras.callbacks.PredictionImages("logs", [], {}, {}), "report"),
    ],
    ids=["report", "intervals", "scores", "tensorboard", "a callback that draws"],
)
def test_a_missing_extra_is_named(package: str, use: Any, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # importing it then fails
    monkeypatch.delitem(sys.modules, "mtl_keras.reports", raising=False)
    name = package.partition(".")[0]
    with pytest.raises(ImportError, match=rf'The package {name} is not installed: pip install "mtl-keras\[{extra}\]"'):
        use()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    distribution = {"sklearn": "scikit-learn"}.get(name, name)
    assert any(requirement.startswith(distribution) for requirement in extras[extra])
    assert extra in extras["all"][0]
