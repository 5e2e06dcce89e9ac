"""Trains a multi-task network and its single-task networks, and compares them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from mtl_keras.analysis.comparison import Comparison, TaskResults, compare
from mtl_keras.checks import unknown_value


def compare_with_single_task(
    build: Callable[[list[str]], Any],
    data: tuple[Any, Any],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    tasks: Sequence[str] | None = None,
    callbacks: Callable[[list[str]], list[keras.callbacks.Callback]] | None = None,
    confidence: float = 0.95,
    **fit: Any,
) -> Comparison:
    """Trains a network for all tasks and a network for each task, with each seed, and compares their primary metrics.

    All networks are evaluated on the test data with the weights after the last epoch. Before each network is built,
    `keras.utils.set_random_seed` sets the seed, which determines the initial weights and how `fit` shuffles arrays.

    Args:
        build: names of tasks -> a new compiled `MultiTaskModel` with these outputs. It is called with all tasks, and
            with each task alone. A task's primary metric is its first metric with a known direction (higher or lower
            is better), as Keras' metrics have, else its loss.
        data: training data and test data. Each is a `tf.data.Dataset` of `(x, {task: labels})`, or a tuple
            `(x, {task: labels})` of arrays; sample weights may follow.
        seeds: each network is trained once with each seed. There is no verdict with a single seed.
        tasks: which tasks to train; by default all that have labels.
        callbacks: names of tasks -> new callbacks of the network with these tasks.
        confidence: confidence level of the intervals, in (0, 1).
        **fit: further arguments of `fit`, such as `epochs` and `batch_size`. `verbose` is 0 by default.

    Returns:
        The comparison, with the method "together" and the baseline "alone". `print` shows it as a table.

    Raises:
        ValueError: if there are fewer than two tasks, no seeds or a seed twice, a task has no labels, or `build` is
            not such a function or returns a network with other outputs.

    Example:

    ```python
    def build(tasks):
        features = keras.layers.Dense(32, activation="relu")(inputs)
        model = MultiTaskModel(inputs, {task: keras.layers.Dense(1)(features) for task in tasks})
        model.compile("adam", loss="mse", metrics=["mae"])
        return model

    print(compare_with_single_task(build, (train, test), epochs=10))
    ```
    """
    _check_function(build)
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not all(map(_is_labelled, data)):
        kinds = [type(part).__name__ for part in data] if isinstance(data, (tuple, list)) else type(data).__name__
        raise ValueError(
            "`data` must be two parts, to train on and to evaluate on, each a tf.data.Dataset or a tuple "
            f"(x, {{task: labels}}). Received: {kinds}"
        )
    train, test = data
    names = _checked_tasks(tasks, train, test)
    if isinstance(seeds, int) or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be one or more different numbers, as (0, 1, 2). Received: {seeds!r}")
    known = list(inspect.signature(keras.Model.fit).parameters)[1:]
    for name in fit:
        if name not in known:
            raise unknown_value("argument of `compare_with_single_task` or `fit`", name, known)
    networks = [names, *([name] for name in names)]
    for network in networks:
        _build_checked(build, network)  # an error must not come after hours of training
    together: dict[str, dict[int, float]] = {name: {} for name in names}
    alone: dict[str, dict[int, float]] = {name: {} for name in names}
    primary: dict[str, tuple[str, bool]] = {}  # task -> log name, whether higher is better
    # Keras warns of its default `shuffle=True` with a tf.data.Dataset.
    defaults = {"verbose": 0, **({} if isinstance(train, tuple) else {"shuffle": False})}
    for seed in seeds:
        for network in networks:
            keras.utils.set_random_seed(seed)
            model = _build_checked(build, network)
            per_network = {"callbacks": callbacks(network)} if callbacks else {}
            x, *labels = _select_tasks(network, train)
            model.fit(x, *labels, **{**defaults, **fit, **per_network})
            x, *labels = _select_tasks(network, test)
            batch_size = {"batch_size": fit["batch_size"]} if "batch_size" in fit else {}
            logs = model.evaluate(x, *labels, verbose=0, return_dict=True, **batch_size)
            for name in network:
                primary[name] = model.training_setup.objective.specs[name].primary
                side = together if network is names else alone
                side[name][seed] = float(logs[f"{name}_{primary[name][0]}"])
    results = [TaskResults(name, *primary[name], together[name], alone[name]) for name in names]
    return compare(results, confidence=confidence, names=("together", "alone"))


def _check_function(build: Any) -> None:
    """Raises a ValueError if `build` is not a function that can be called with one argument."""
    found = f"{build!r}"
    if callable(build) and not isinstance(build, keras.Layer):
        try:
            inspect.signature(build).bind([])
            return
        except TypeError:
            found = f"a function with the arguments {inspect.signature(build)}"
    raise ValueError(
        "`build` must be a function that takes the names of tasks and returns a new compiled MultiTaskModel. "
        f"Received: {found}"
    )


def _is_labelled(part: Any) -> bool:
    """Returns whether a part of the data has inputs and labels."""
    return hasattr(part, "element_spec") or (isinstance(part, tuple) and len(part) in (2, 3))


def _checked_tasks(tasks: Sequence[str] | None, *parts: Any) -> list[str]:
    """Returns the names of the tasks, after checking that each part of the data has labels of all of them."""
    labels = [part[1] if isinstance(part, tuple) else part.element_spec[1] for part in parts]
    for given in labels:
        if not isinstance(given, Mapping):
            raise ValueError(f"`data` must have labels by task, as a dict. Received: {type(given).__name__}")
    names = list(tasks or labels[0])
    if len(set(names)) < max(2, len(names)):
        raise ValueError(f"There must be two or more different tasks. Received: {', '.join(names)}")
    for given in labels:
        for name in names:
            if name not in given:
                raise ValueError(f"`data` has no labels of task {name!r}. Received: {', '.join(given)}")
    return names


def _build_checked(build: Callable[[list[str]], Any], tasks: list[str]) -> Any:
    """Returns the network that `build` makes, after checking that its outputs are the tasks."""
    model = build(list(tasks))
    found = getattr(model, "task_names", ())
    if sorted(found) != sorted(tasks):
        raise ValueError(
            f"`build` must return a MultiTaskModel with the outputs {', '.join(tasks)}. "
            f"Received: {type(model).__name__} with {', '.join(found) or 'no tasks'}"
        )
    return model


def _select_tasks(tasks: Sequence[str], part: Any) -> tuple[Any, ...]:
    """Returns `(x, labels, ...)` or `(dataset,)` with the labels and sample weights of the given tasks only."""

    def select(x: Any, *rest: Any) -> tuple[Any, ...]:
        return x, *({name: each[name] for name in tasks} if isinstance(each, Mapping) else each for each in rest)

    return select(*part) if isinstance(part, tuple) else (part.map(select),)
