"""Configs hold every argument of the constructor."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel, TaskSplit, dense_metrics
from mtl_keras.layers import (
    NDDR,
    BranchChoice,
    CrossStitch,
    DilatedPooling2D,
    DSelectKGate,
    ExpertMixture,
    LayerMixture,
    MaxUnpooling2D,
    Sluice,
    SoftmaxGate,
    SubspaceOrthogonality,
    TaskAttention,
    TaskRouting,
)
from mtl_keras.losses import DepthLoss, NormalLoss, ScaledLoss, SegmentationLoss
from mtl_keras.metrics import BalancedAccuracy, PointError, ScaledError
from mtl_keras.testing import toy_data, toy_graph

OBJECTS = [
    TaskSplit(3, name="split", trainable=False),
    SoftmaxGate(3, 2.0, 0.1, True, name="gate"),
    DSelectKGate(5, 3, 2.0, False, 0.1, name="gate"),
    ExpertMixture(name="mixture"),
    CrossStitch(1, 0.8, 0.1, False, 10.0, name="stitch"),
    Sluice(1, 0.8, 0.1, 4, name="sluice"),
    SubspaceOrthogonality(3, 0.5),
    LayerMixture(0.7, name="layers"),
    NDDR(1, 0.8, 0.1, True, False, 0.9, name="nddr"),
    TaskAttention(8, 0.8, name="attention"),
    TaskRouting(0.3, 5, name="routing"),
    BranchChoice(4.0, 0.9, 0.2, name="branch"),
    MaxUnpooling2D(name="unpool"),
    DilatedPooling2D("average", (3, 2), 2, ((1, 0), (0, 1)), name="pool"),
    BalancedAccuracy(threshold=0.3, name="mine"),
    PointError(scale=128.0, name="pixels"),
    ScaledError(scale=3.0, name="years"),
    ScaledLoss("mae", 3.0, name="mine", reduction="mean"),
    SegmentationLoss(255, name="mine", reduction="mean"),
    DepthLoss("squared", None, name="mine", reduction="mean"),
    NormalLoss(name="mine", reduction="sum"),
    dense_metrics.MaskIoU(255, True, name="mine"),
    dense_metrics.MeanIoU(3, 255, True, name="mine"),
    dense_metrics.PixelAccuracy(255, True, name="mine"),
    dense_metrics.DepthError("rmse", None, True, name="mine"),
    dense_metrics.DepthAccuracy(2.0, None, True, name="mine"),
    dense_metrics.AngularError(True, name="mine"),
    dense_metrics.MedianAngularError(True, name="mine"),
    dense_metrics.AngularAccuracy(30.0, True, name="mine"),
]


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: type(thing).__name__)
def test_the_config_holds_every_argument_and_gives_the_same_object(thing: Any) -> None:
    named = {
        name
        for name, parameter in inspect.signature(type(thing).__init__).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }
    config = thing.get_config()
    assert named <= set(config)
    assert type(thing).from_config(config).get_config() == config
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))
    assert restored.get_config() == config


def test_all_that_is_registered_is_tested() -> None:
    registered = {cls for name, cls in keras.saving.get_custom_objects().items() if name.startswith("mtl_keras>")}
    assert registered == {type(thing) for thing in OBJECTS} | {MultiTaskModel}


def test_a_metric_of_several_numbers_is_logged_as_it_is() -> None:
    model = MultiTaskModel(*toy_graph())
    model.compile("sgd", loss={"kind": "categorical_crossentropy"}, metrics={"kind": [keras.metrics.F1Score()]})
    x, y = toy_data(8)
    logs = model.evaluate(x, {"kind": keras.utils.to_categorical(y["kind"], 3)}, verbose=0, return_dict=True)
    assert np.shape(logs["kind_f1_score"]) == (3,)
    assert np.isnan(logs["mtl_score"])  # a vector has no place in a mean
