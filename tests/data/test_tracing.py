"""AutoGraph does not rewrite the functions of the pipeline."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

import data
from data.fashion_mnist import FashionMnist


@pytest.mark.parametrize("name", ["vectors", "labels", "decode"])
def test_a_dataset_is_traced_as_written(name: str, fashion_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = getattr(FashionMnist, name)

    def choosy(self: FashionMnist, tensors: Any) -> Any:
        if tf.random.uniform(()) > 2:
            return tensors
        return method(self, tensors)

    monkeypatch.setattr(FashionMnist, name, choosy)
    dataset = data.load("fashion_mnist", data_dir=fashion_dir)

    def trace() -> None:
        dataset.batches("train", 4, shuffle=True)
        tf.function(dataset.decode).get_concrete_function(tf.TensorSpec((), tf.string))

    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
        trace()
