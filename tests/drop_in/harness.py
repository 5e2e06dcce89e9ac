"""Runs the same script with `keras.Model` and `MultiTaskModel` and compares the results."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from keras.src.backend.common import global_state

from mtl_keras import MultiTaskModel
from tests.drop_in.comparison import Logs, compare

BATCH = 8


@dataclass(frozen=True)
class Graph:
    """A network and data for it.

    Attributes:
        build: returns inputs and a dict of outputs.
        data: returns inputs and labels of all samples.
    """

    build: Callable[[], tuple[Any, Any]]
    data: Callable[[], tuple[Any, Any]]

    @functools.cached_property
    def shared(self) -> tuple[Any, Any, list[tuple[Any, np.ndarray]]]:
        """Inputs, outputs, and variables with their initial values, of a network that several models share."""
        fresh_names()
        seed(0)
        inputs, outputs = self.build()
        return inputs, outputs, [(variable, variable.numpy()) for variable in keras.Model(inputs, outputs).variables]


@dataclass
class Run:
    """The run of a script with one model.

    Attributes:
        case: what is run.
        model: the model, compiled with the case's arguments.
        arguments: what it was compiled with.
        folder: an empty folder.
        x, y, sample_weight: the data.
        seen: what the script recorded.
        error: the exception that ended it.
    """

    case: Case
    folder: Path
    x: Any
    y: Any
    sample_weight: Any
    model: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None

    def record(self, name: str, value: Any) -> None:
        """Records a value, which must be the same for both models."""
        self.seen[name] = tree.map_structure(_plain, value)

    def logs(self, name: str, logs: Mapping[str, Any]) -> None:
        """Records logs: those of Keras must be the same, and only known ones may be added."""
        self.seen[name] = Logs({key: np.asarray(value) for key, value in logs.items()})

    def fit(self, epochs: int = 1, *, name: str = "fit", validation: bool = False, **arguments: Any) -> None:
        """Trains on all samples in order and records the history; with `validation`, validates on them too."""
        data, arguments = self._data(arguments)
        if validation:
            arguments["validation_data"] = data["x"] if len(data) == 1 else (self.x, self.y, self.sample_weight)
        self.logs(name, self.model.fit(**data, **arguments, epochs=epochs, shuffle=False, verbose=0).history)

    def evaluate(self, name: str = "evaluate", **arguments: Any) -> None:
        """Evaluates on all samples and records the list and the results of the metrics."""
        data, arguments = self._data(arguments)
        self.record(name, self.model.evaluate(**data, **arguments, verbose=0))
        self.logs(f"{name} results", self.model.get_metrics_result())

    def _data(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the data arguments and the other arguments. Batches are quicker than arrays, where both work."""
        size, rest = arguments.get("batch_size", BATCH), {k: v for k, v in arguments.items() if k != "batch_size"}
        if isinstance(self.x, np.ndarray) and isinstance(self.y, dict) and not {"y", "class_weight"} & set(rest):
            parts = (self.x, self.y) if self.sample_weight is None else (self.x, self.y, self.sample_weight)
            return {"x": tf.data.Dataset.from_tensor_slices(parts).batch(size)}, rest
        arrays = {"x": self.x, "y": self.y, "sample_weight": self.sample_weight, "batch_size": size}
        return {name: rest.pop(name, value) for name, value in arrays.items()}, rest

    def state(self, name: str = "") -> None:
        """Records the names of all state, weights, the optimizer's variables and metrics."""
        model = self.model
        self.record(f"{name} weights", [np.asarray(value) for value in model.get_weights()])
        if model.optimizer is not None:
            self.record(f"{name} optimizer", [np.asarray(variable) for variable in model.optimizer.variables])
        self.record(f"{name} metrics_names", list(model.metrics_names))
        self.record(f"{name} metrics", [(type(metric).__name__, metric.name) for metric in model.metrics])
        self.record(f"{name} variables", [(variable.path, variable.dtype) for variable in model.variables])
        self.record(f"{name} state tree", _state_tree(model))

    def predict(self, name: str = "predict") -> None:
        """Records the predictions."""
        self.record(name, self.model.predict_on_batch(self.x))


Script = Callable[[Run], None]


def one_step(run: Run) -> None:
    """Trains on one batch. Most cases do this, because it is quick."""
    run.record("train_on_batch", run.model.train_on_batch(run.x, run.y, run.sample_weight))
    run.logs("results", run.model.get_metrics_result())
    run.state()


def two_steps(run: Run) -> None:
    """Trains on one batch and evaluates it."""
    batch = run.x, run.y, run.sample_weight
    run.record("train_on_batch", run.model.train_on_batch(*batch))
    run.logs("results", run.model.get_metrics_result())
    run.logs("test_on_batch by name", run.model.test_on_batch(*batch, return_dict=True))
    run.state()


def epochs(run: Run) -> None:
    """Trains for two epochs with validation and a small last batch, then evaluates."""
    run.fit(2, validation=True)
    run.evaluate()
    run.state()


def same_class(base: type) -> type:
    return base


@dataclass(frozen=True)
class Case:
    """What is done with both models.

    Attributes:
        id: its name, unique in its file.
        graph: the network and its data.
        arguments: returns the arguments of `compile`, made again for each model. Models run eagerly and are trained
            with SGD unless they say otherwise.
        do: the script.
        x, y, weight: returns inputs, labels, sample weights in place of the graph's.
        model: returns the class to use, given the class to inherit from.
        raises: the exception that stock Keras raises.
        tolerance: absolute and relative.
        prepare: called before the network is built, for global settings.
        fresh: whether each model has layers of its own. Else they are built once for all cases of the graph.
        differs: the first cell of the row in `docs/from_keras_model.md` that describes a deliberate difference.
    """

    id: str
    graph: Graph
    arguments: Callable[[], dict[str, Any]] = dict
    do: Script = one_step
    x: Callable[[], Any] | None = None
    y: Callable[[], Any] | None = None
    weight: Callable[[], Any] | None = None
    model: Callable[[type], type] = same_class
    raises: type[Exception] | None = None
    tolerance: float = 2e-5
    prepare: Callable[[], None] | None = None
    fresh: bool = False
    differs: str | None = None

    def run(self, base: type, folder: Path) -> Run:
        """Runs the script with a model of a class, from the same start each time."""
        folder.mkdir()
        floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
        try:
            if self.prepare:
                self.prepare()
            x, y = self.graph.data()
            run = Run(
                self,
                folder,
                self.x() if self.x else x,
                self.y() if self.y else y,
                self.weight() if self.weight else None,
            )
            try:
                self._script(run, base)
            except Exception as error:
                run.error = error
            return run
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)

    def _script(self, run: Run, base: type) -> None:
        if self.fresh or self.prepare:
            fresh_names()
            seed(0)
            run.model = self.model(base)(*self.graph.build())
        else:
            inputs, outputs, initial = self.graph.shared
            for variable, value in initial:
                variable.assign(value)
            fresh_names()
            run.model = self.model(base)(inputs, outputs)
        run.arguments = {"optimizer": keras.optimizers.SGD(0.1), "run_eagerly": True, **self.arguments()}
        run.model.compile(**run.arguments)
        seed(1)
        self.do(run)


def seed(value: int) -> None:
    """Seeds Python and NumPy, from which Keras draws its seeds.

    `keras.utils.set_random_seed` seeds TensorFlow too, which forgets its kernels then: every operation costs twice.
    """
    random.seed(value)
    np.random.seed(value)


def fresh_names() -> None:
    """Starts the numbers in automatic names (`auc_1`) again."""
    global_state.set_global_attribute("object_name_uids", None)


def check(case: Case, folder: Path) -> None:
    """Fails if the models differ, or if `case.differs` names a difference that does not exist."""
    found = differences(case, folder)
    if case.differs is None:
        assert not found, "\n".join([f"{len(found)} differences (stock | ours):", *found[:12]])
    else:
        assert found, f"No difference: remove the row {case.differs!r} from docs/from_keras_model.md"


def differences(case: Case, folder: Path) -> list[str]:
    """Runs a case with both classes and returns the differences, one line each."""
    stock, ours = case.run(keras.Model, folder / "stock"), case.run(MultiTaskModel, folder / "ours")
    if not isinstance(stock.error, case.raises or type(None)):
        raise AssertionError(f"{case.id}: keras.Model itself: {stock.error!r}") from stock.error
    if stock.error is not None:
        clear = ours.error is not None and str(ours.error) and not isinstance(ours.error, AssertionError)
        return [] if clear else [f"stock raises {stock.error!r}; ours: {ours.error!r}"]
    if ours.error is not None:
        return [f"only ours raises {type(ours.error).__name__}: {ours.error}"]
    return list(compare(stock.seen, ours.seen, list(case.graph.shared[1]), case.tolerance))


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, type(None))) else np.asarray(value)


def _state_tree(model: keras.Model) -> list[str]:
    try:
        return sorted(_paths(model.get_state_tree()))
    except ValueError as error:  # Keras: two variables of the same path
        return [type(error).__name__]


def _paths(state: Any, path: str = "") -> Iterator[str]:
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from _paths(value, f"{path}/{key}")
    else:
        yield f"{path} {np.shape(state)}"
