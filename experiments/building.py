"""Builds the dataset, the model and the callbacks of a run from its settings."""

from __future__ import annotations

import dataclasses
import glob
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

import data
from experiments.config import AUTO_MODEL, RunConfig
from experiments.own_data import check_can_be_opened
from experiments.run_directory import RunDirectory
from models import network, start_from_single_task, trunk_layers
from models.saved import load_keras_file
from models.trunks import default_trunk
from mtl_keras import MultiTaskModel, schedules
from mtl_keras.callbacks import FreezeLayers, TaskScheduler
from mtl_keras.checks import unknown_value
from mtl_keras.schedules.base import Records
from mtl_keras.serialization import Spec, parse_spec
from mtl_keras.weightings import WEIGHTINGS

_HALVED_EVERY = 100
"""Epochs after which the learning rate is halved, as in the published recipes for NYUv2 and Cityscapes."""


def open_dataset(config: RunConfig) -> data.Dataset | data.DenseDataset:
    """Opens the dataset of a run.

    Raises:
        ValueError: if it was made in Python, and as in `data.load`.
    """
    check_can_be_opened(config)
    dataset = data.load(
        config.dataset,
        tasks=config.tasks,
        data_dir=config.data_dir,
        synthetic=config.synthetic,
        seed=config.seed,
        sizes=config.examples,
        cache=config.cache,
        on_bad_example=config.on_bad_example,
        types=config.task_types,
        features=config.features,
        feature_types=config.feature_types,
        image_column=config.image_column,
        image_extension=config.image_extension,
        image_size=config.image_size,
        color_jitter=config.color_jitter,
    )
    if config.train_examples is None:
        return dataset
    return dataset.with_train_examples(config.train_examples, seed=config.seed)


def build_model(config: RunConfig, dataset: data.AnyDataset) -> MultiTaskModel:
    """Builds and compiles the network of a run, with its initial weights.

    Raises:
        ValueError: for a network that does not fit the data.
    """
    tasks = dataset.tasks
    inputs, outputs = network(with_network(config, dataset).model, tasks, dataset.image_shape, config.weights)
    model = MultiTaskModel(inputs, outputs, name=dataset.name)
    if config.init_from is not None:
        start_from_single_task(model, single_task_models(Path(config.init_from), tasks.names, config.seed))
    jit_compile: bool | str = {"true": True, "false": False}.get(config.jit_compile, "auto")
    model.compile(
        make_optimizer(config.optimizer, config.learning_rate),
        **tasks.compile_args(),
        steps_per_execution=config.steps_per_execution,
        jit_compile=jit_compile,
        weighting=config.weighting,
    )
    if config.task_weights:
        model.set_task_weights(config.task_weights)
    return model


def single_task_models(folder: Path, tasks: Sequence[str], seed: int) -> dict[str, keras.Model]:
    """Returns the best single-task network of each task in the folder of a comparison.

    Raises:
        ValueError: if there is none of that seed, naming its file.
    """
    files = {task: RunDirectory(folder / "single_task" / task / f"seed-{seed}").best_model for task in tasks}
    for task, file in files.items():
        if not file.exists():
            raise ValueError(
                "init_from is the folder of a comparison with single-task networks (train.py --compare single_task) of "
                f"the same tasks and seed. There is no {file} for task {task!r}. Received: init_from={str(folder)!r}"
            )
    return {task: load_keras_file(file, compiled=False) for task, file in files.items()}


def with_network(config: RunConfig, dataset: data.AnyDataset) -> RunConfig:
    """Returns the settings with the name of a network in place of "auto"."""
    if config.model != AUTO_MODEL:
        return config
    heads = [task.head for task in dataset.tasks.values()]
    return dataclasses.replace(config, model=default_trunk(dataset.image_shape, heads))


def make_scheduler(config: RunConfig, dataset: data.AnyDataset) -> TaskScheduler | None:
    """Returns the callback that applies the run's schedule, or `None` for the schedule "none"."""
    if config.schedule == "none":
        return None
    return TaskScheduler(make_schedule(config.schedule), seed=config.seed, counts=dataset.label_counts())


def make_schedule(text: str) -> schedules.Schedule:
    """Returns the schedule of a specification. The error for an unknown name lists "none" as a choice."""
    name = parse_spec(text, "schedule").name
    # For a weighting, the error of the registry names its flag.
    if name not in schedules.SCHEDULES and name not in WEIGHTINGS:
        raise unknown_value("schedule", name, [*schedules.SCHEDULES.names, "none"])
    return schedules.get(text)


def check_task_names(config: RunConfig, tasks: Sequence[str]) -> None:
    """Checks the settings `task_weights` and `schedule`, which may name tasks.

    Args:
        config: the settings.
        tasks: the names of the tasks to train.

    Raises:
        ValueError: for the name of another task, or if no task has a weight above 0.
    """
    for task in config.task_weights:
        if task not in tasks:
            raise unknown_value("task in task_weights", task, tasks)
    if not any(config.task_weights.get(task, 1) for task in tasks):
        raise ValueError(
            f"At least one task must have a weight > 0. Received: task_weights={dict(config.task_weights)!r}"
        )
    if config.schedule != "none":
        numbers = dict.fromkeys(tasks, 1.0)
        try:
            make_schedule(config.schedule)(0, Records(tuple(tasks), numbers, numbers))
        except ValueError as cause:
            raise ValueError(f"schedule: {cause}") from cause


def make_optimizer(text: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """Returns a Keras optimizer by name: `"adam"`, `"sgd(momentum=0.9)"`.

    Args:
        text: the name of a class of `keras.optimizers` in any case, with its arguments.
        learning_rate: its learning rate, > 0.

    Raises:
        ValueError: for an unknown name (with the closest match), wrong arguments or a learning rate that is not > 0.
    """
    if not isinstance(learning_rate, (int, float)) or not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a finite number > 0. Received: learning_rate={learning_rate}")
    spec: Spec = parse_spec(text, "optimizer")
    classes = {
        name.lower(): value
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer) and name != "Optimizer"
    }
    if spec.name.lower() not in classes:
        raise unknown_value("optimizer", spec.name, classes)
    for value in (*spec.args, *spec.kwargs.values()):
        if isinstance(value, Spec):
            raise ValueError(f"Arguments of an optimizer are numbers and texts. Received: {value.name} in {text!r}")
    optimizer = classes[spec.name.lower()]
    # Its `**kwargs` are the arguments of its base classes.
    constructors = (vars(each)["__init__"] for each in optimizer.__mro__ if "__init__" in vars(each))
    known = {name for constructor in constructors for name in inspect.signature(constructor).parameters}
    known -= {"self", "args", "kwargs"}
    for name in spec.kwargs:
        if name not in known:
            raise unknown_value(f"argument of optimizer {spec.name!r}", name, known)
    try:
        return optimizer(*spec.args, **{"learning_rate": learning_rate, **spec.kwargs})
    except TypeError as cause:
        raise ValueError(f"Wrong arguments for optimizer {spec.name!r}: {cause}. Received: {text!r}") from cause


def freezing_callbacks(config: RunConfig, model: MultiTaskModel) -> list[keras.callbacks.Callback]:
    """Returns the callback that freezes the trunk in the first epochs, if any.

    Raises:
        ValueError: if the tasks share no layer.
    """
    if not config.freeze_trunk:
        return []
    names = trunk_layers(model.outputs_by_task)
    if not names:
        raise ValueError(f"The tasks of {config.model!r} share no trunk. Received: freeze_trunk={config.freeze_trunk}")
    return [FreezeLayers({glob.escape(name): config.freeze_trunk for name in names})]


def learning_rate_callbacks(config: RunConfig) -> list[keras.callbacks.Callback]:
    """Returns the callback that decays the learning rate, epoch by epoch, if any."""
    if config.learning_rate_decay == "none":
        return []
    rate = config.learning_rate
    curves: dict[str, Callable[[int], float]] = {
        "cosine": schedules.Cosine(rate, 0.0, config.epochs),
        "halve": lambda epoch: rate * 0.5 ** (epoch // _HALVED_EVERY),
    }
    curve = curves[config.learning_rate_decay]
    return [keras.callbacks.LearningRateScheduler(curve)]


def set_precision(mixed: bool) -> None:
    half = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"
    keras.mixed_precision.set_global_policy(half if mixed else "float32")
