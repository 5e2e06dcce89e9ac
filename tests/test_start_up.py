"""What the benchmark of start-up compares, without taking the time."""

from __future__ import annotations

import keras
import pytest

import data
from benchmarks import start_up, start_up_programs
from data.fashion_mnist import GROUP_OF_ITEM
from models import network


def test_the_plain_network_is_the_one_that_train_trains() -> None:
    recipe = data.recipes["fashion_mnist"]()
    ours = keras.Model(*network("cnn", recipe.tasks, recipe.image_shape))
    plain = start_up_programs.network()
    assert [weight.shape for weight in plain.weights] == [weight.shape for weight in ours.weights]
    assert [type(layer).__name__ for layer in plain.layers] == [type(layer).__name__ for layer in ours.layers]


def test_the_plain_labels_are_those_of_the_dataset() -> None:
    assert start_up_programs.GROUP_OF_ITEM == GROUP_OF_ITEM


def test_figures_are_taken_round_by_round() -> None:
    seconds = {
        "imports": [2.0, 4.0, 2.0],
        "imports_ours": [2.1, 4.5, 2.1],
        "in_memory": [6.0, 12.0, 6.0],
        "streamed": [3.0, 6.0, 3.0],
        "train.py": [6.6, 13.2, 6.6],
    }
    found = start_up.compared(seconds, [0.1, 0.4, 0.1])
    assert [round(figure.value, 3) for figure in found] == [0.1, 0.1, 1.1, 2.2]
    assert [figure.met for figure in found] == [True, None, True, False]


def test_a_program_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"no_such failed with exit code 1(?s:.*)KeyError: 'no_such'"):
        start_up.started("no_such")
