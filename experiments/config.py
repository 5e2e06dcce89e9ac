"""`RunConfig`: all settings of a run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import keras

import data
from experiments import workers
from mtl_keras import schedules, weightings
from mtl_keras.export.formats import SUFFIXES
from mtl_keras.serialization import Spec, parse_spec, unknown_value

OWN = "own"
"""The name of a dataset made in Python."""
JIT_CHOICES = ("auto", "true", "false")
DECAY_CHOICES = ("cosine", "none")
VERBOSE_CHOICES = (0, 1, 2)
_LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "steps_per_execution": 1,
    "early_stopping": 0,
    "checkpoint_every": 0,
    "freeze_trunk": 0,
    "monitor_gradients": 0,
}


@dataclass(frozen=True)
class RunConfig:
    """The settings of a run. They are the flags of `train.py`, which documents them.

    Example:

    ```python
    config = RunConfig(dataset="fashion_mnist", synthetic=True, schedule="dst", epochs=2)
    config.check()
    ```
    """

    experiment: str | None = None
    dataset: str = "fashion_mnist"
    synthetic: bool = False
    examples: int | None = None
    data_dir: str | None = None
    cache: str = "auto"
    on_bad_example: str = "error"
    tasks: tuple[str, ...] | None = None
    task_types: Mapping[str, str] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    task_weights: Mapping[str, float] = field(default_factory=dict)
    model: str = "cnn"
    weights: str | None = None
    weighting: str = "static"
    schedule: str = "none"
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 1e-3
    learning_rate_decay: str = "cosine"
    optimizer: str = "adam"
    augment: bool = False
    seed: int = 0
    jit_compile: str = "auto"
    mixed_precision: bool = False
    steps_per_execution: int = 1
    early_stopping: int = 0
    checkpoint_every: int = 500
    freeze_trunk: int = 0
    monitor_gradients: int = 0
    verbose: int = 1
    profile: bool = False
    distribute: str = "none"
    export: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # The recorded name must stay valid if the run is resumed from another folder.
        object.__setattr__(self, "dataset", data.absolute_name(self.dataset))

    def check(self) -> None:
        """Checks everything that can be checked without the data.

        Raises:
            ValueError: naming the setting, the value received and the choices.
        """
        if data.names_files(self.dataset):
            if self.synthetic:
                raise ValueError(f"synthetic draws a known dataset. Received: dataset={self.dataset!r}")
        elif self.dataset != OWN and self.dataset not in data.names():
            raise unknown_value("dataset", self.dataset, [*data.names(), *data.FORMS])
        elif self.task_types or self.image_size is not None:
            raise ValueError(
                f"task_types and image_size are for a dataset {' or '.join(data.FORMS)}. "
                f"Received: dataset={self.dataset!r}"
            )
        if self.cache not in data.CACHES:
            raise unknown_value("value of cache", self.cache, data.CACHES)
        workers.check(self.distribute)
        if self.on_bad_example not in data.ON_BAD_EXAMPLE:
            raise unknown_value("value of on_bad_example", self.on_bad_example, data.ON_BAD_EXAMPLE)
        if self.schedule != "none":
            make_schedule(self.schedule)
        weightings.get(self.weighting)
        make_optimizer(self.optimizer, self.learning_rate)
        if self.learning_rate_decay not in DECAY_CHOICES:
            raise unknown_value("value of learning_rate_decay", self.learning_rate_decay, DECAY_CHOICES)
        if self.jit_compile not in JIT_CHOICES:
            raise unknown_value("value of jit_compile", self.jit_compile, JIT_CHOICES)
        if self.verbose not in VERBOSE_CHOICES:
            raise unknown_value("value of verbose", str(self.verbose), map(str, VERBOSE_CHOICES))
        for name in self.export:
            if name not in SUFFIXES:
                raise unknown_value("export format", name, SUFFIXES)
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}. Received: {name}={getattr(self, name)}")
        if self.examples is not None and not self.synthetic:
            raise ValueError(f"examples is only for synthetic data. Received: examples={self.examples}")
        if self.examples is not None and self.examples < 1:
            raise ValueError(f"examples must be at least 1. Received: examples={self.examples}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0. Received: seed={self.seed}")
        for task, weight in self.task_weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f"The weight of task {task!r} must be a finite number >= 0. Received: {weight}")

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """Returns the settings from the result of `to_json`.

        Raises:
            ValueError: for a setting that does not exist.
        """
        names = [entry.name for entry in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise unknown_value("setting", name, names)
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        types = get_type_hints(cls)
        for name, value in settings.items():
            if not _is_of(value, types[name]):
                raise ValueError(f"Setting {name!r} has a value of another type. Received: {name}={value!r}")
        return cls(**settings)


def _is_of(value: Any, expected: Any) -> bool:
    """Returns whether a value has the type of a setting. Entries of tuples and mappings are checked on use."""
    kinds = get_args(expected) if isinstance(expected, UnionType) else (expected,)
    origins = tuple(get_origin(kind) or kind for kind in kinds)
    if isinstance(value, bool):
        return bool in origins
    return isinstance(value, origins) or (float in origins and isinstance(value, int))


def make_schedule(text: str) -> schedules.Schedule:
    """Returns the schedule of a specification. The error for an unknown name lists "none" as a choice."""
    name = parse_spec(text).name
    if name not in schedules.SCHEDULES:
        raise unknown_value("schedule", name, [*schedules.SCHEDULES.names, "none"])
    return schedules.get(text)


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
    spec: Spec = parse_spec(text)
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
    try:
        return classes[spec.name.lower()](*spec.args, **{"learning_rate": learning_rate, **spec.kwargs})
    except TypeError as cause:
        raise ValueError(f"Wrong arguments for optimizer {spec.name!r}: {cause}. Received: {text!r}") from cause
