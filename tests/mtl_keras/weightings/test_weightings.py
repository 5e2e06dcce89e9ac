"""Every method of the registry: created, called, saved and refused."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings
from mtl_keras.weightings import WEIGHTINGS

NAMES = WEIGHTINGS.names


@pytest.mark.parametrize("name", NAMES)
def test_config_has_every_argument(name: str) -> None:
    weighting = weightings.get(name)
    assert set(weighting.get_config()) == set(inspect.signature(type(weighting)).parameters)
    saved = json.loads(json.dumps(weightings.serialize(weighting)))
    assert saved["name"] == name
    assert weightings.get(saved) == weighting
    assert type(weighting).from_config(weighting.get_config()) == weighting
    assert hash(weightings.get(saved)) == hash(weighting)
    # Capitals and underscores do not matter.
    assert weightings.get(type(weighting).__name__) == weighting


def test_works_on_integers() -> None:
    gramian = np.array([[2, -1], [-1, 1]])
    expected = np.array(weightings.get("mgda")(gramian.astype("float64")))
    np.testing.assert_allclose(weightings.get("mgda")(gramian), expected)
    np.testing.assert_allclose(weightings.get("mgda")(gramian.tolist()), expected, rtol=1e-6)
    np.testing.assert_allclose(weightings.get("gls")([4, 9]), [0.75, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(weightings.get("trimmed_mean")([[1, 2], [3, 4], [8, 0]]), [3, 2], rtol=1e-6)


def test_get() -> None:
    weighting = weightings.DWA(temperature=1.5)
    assert weightings.get(weighting) is weighting
    assert weightings.get("dwa(temperature=1.5)") == weighting
    assert weightings.get({"name": "dwa", "config": {"temperature": 1.5}}) == weighting


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("uncertainity", rf"Unknown weighting\. Did you mean 'uncertainty'\? .*Choices: {', '.join(NAMES)}"),
        ("dwa(t=1)", "Unknown argument of weighting 'dwa'.*Choices: temperature"),
        ("dwa(1, 2)", "Wrong arguments for weighting 'dwa'"),
        (3, "A weighting is a name, a config or a Weighting object. Received: 3"),
        (weightings.CAGrad, r"write CAGrad\(\)"),
    ],
)
def test_get_refuses(identifier: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weightings.get(identifier)


# By method and argument: values just outside of the range. NaN, infinity and a string are never accepted.
OUT_OF_RANGE: dict[str, dict[str, list[Any]]] = {
    "aligned_mtl": {"scale_mode": ["medium"]},
    "cagrad": {"c": [-0.1]},
    "cosmos": {"lam": [-1]},
    "cr_mogm": {"alpha": [-0.1, 1.1]},
    "db_mtl": {"beta": [-0.1, 1], "beta_sigma": [-1]},
    "dtp": {"gamma": [-1], "alpha": [0, -0.1, 1.1]},
    "dual_proj": {"regularization": [-1e-4], "smallest": [-1e-4]},
    "dwa": {"temperature": [0, -1]},
    "excess_mtl": {"step_size": [-0.1]},
    "fairgrad": {"alpha": [0, 0.4, 6, -1]},
    "famo": {"learning_rate": [0], "gamma": [-0.1], "same_batch": [1, None]},
    "graddrop": {"leak": [-0.1, 1.5], "seed": [1.0, 0.5, True]},
    "gradnorm": {"alpha": [-1], "learning_rate": [0]},
    "gradvac": {"beta": [-0.1, 1.1], "seed": [1.5]},
    "imtl_l": {"learning_rate": [0, -0.1]},
    "krum": {"n_byzantine": [-1, 0.5], "n_selected": [0]},
    "mgda": {"normalization": ["L2"], "representation": ["no", 1, None]},
    "moco": {"beta": [-0.1, 1.1], "beta_sigma": [-1], "gamma": [-1], "gamma_sigma": [-1], "rho": [-1e-3]},
    "modo": {"gamma": [0, -1], "rho": [-0.1]},
    "nash_mtl": {"max_norm": [-1]},
    "pbi": {"theta": [-1]},
    "pcd": {"tau": [-0.1, 1.1], "beta": [1], "eps": [-1], "primary": [-1, 0.5]},
    "pcgrad": {"seed": [0.5]},
    "rlw": {"distribution": ["normale"], "seed": [1.5, True, None]},
    "sdmgrad": {"lam": [-1], "inner_learning_rate": [0], "iterations": [0, 1.5], "momentum": [1.1]},
    "stch": {"mu": [0, -1, 1e-9], "warmup_epochs": [-1, 1.5]},
    "trimmed_mean": {"trim": [-1, 0.5, 1.0, True]},
    "uncertainty": {"learning_rate": [0, -0.1]},
    "upgrad": {"regularization": [-1e-4], "smallest": [-1e-4]},
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_impossible_arguments(name: str) -> None:
    for argument, values in OUT_OF_RANGE[name].items():
        for value in (*values, float("nan"), float("inf"), "x"):
            with pytest.raises(ValueError, match=rf"{argument}.* Received: ({argument}=)?{value!r}"):
                WEIGHTINGS[name](**{argument: value})


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("upgrad", [np.ones((2, 3))], r"gramian must be square.*jacobian @ jacobian\.T.*of shape \(2, 3\)"),
        ("upgrad", [np.ones(3)], r"gramian must have the shape two axes.*of shape \(3,\)"),
        ("gls", [np.ones((2, 2))], r"losses must have the shape \(tasks,\).*of shape \(2, 2\)"),
        ("mgda", [np.eye(3), None, [1.0, 1.0]], r"preference must have one number for each of the 3 tasks.*\(2,\)"),
        ("mgda", [np.eye(2), None, 1.0], r"preference must have one number for each of the 2 tasks.*\(\)"),
        ("gls", [[1.0, 2.0], [1.0, 2.0]], r"GLS takes the losses only: write weighting\(losses, preference=\.\.\.\)"),
        ("graddrop", [np.ones((2, 3)), np.ones(3)], r"losses must have one number for each of the 2 tasks"),
    ],
)
def test_other_shapes_are_refused(name: str, arguments: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weightings.get(name)(*arguments)
