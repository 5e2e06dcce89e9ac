"""`RunConfig`: all settings of a run, and `Preset`, a named one.

A setting is declared once, as a field of `RunConfig`. Its flag of `train.py`, its checks, its row in docs/train.md and
whether `--resume` may change it follow from the declaration. A setting of a new type also needs an entry in
`run_flags._FLAG_TYPES`, and one that is used to open the dataset an entry in `own_data._DATA_SETTINGS`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

# `data` and `mtl_keras` are imported when used: the flags are read before TensorFlow is imported.

OWN_DATASET = "own"
"""The name of a dataset made in Python."""
AUTO_MODEL = "auto"
"""The setting `model` that means `models.trunks.default_trunk`."""
FEW_STEPS = 200
"""A run with fewer training steps gets a warning that its network is hardly trained."""


@dataclass(frozen=True)
class Setting:
    """The declaration of a setting, besides its name, type and default.

    Args:
        help: its meaning, in Markdown, for `--help` and docs/train.md.
        choices: the accepted values, of a tuple the accepted entries; empty to accept any.
        at_least: the smallest number accepted.
        may_change: whether `--resume` may change it.
    """

    help: str
    choices: tuple[Any, ...] = ()
    at_least: int | None = None
    may_change: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raises a ValueError, naming the setting, if a value is not allowed."""
        from mtl_keras.checks import unknown_value

        for entry in value if isinstance(value, tuple) else (value,):
            if self.choices and entry not in self.choices:
                raise unknown_value(f"value of {name}", str(entry), map(str, self.choices))
        if self.at_least is not None and value is not None and value < self.at_least:
            raise ValueError(f"{name} must be at least {self.at_least}. Received: {name}={value}")


def setting(default: Any, help: str, choices: tuple[Any, ...] = (), **rules: Any) -> Any:
    """Declares a field of `RunConfig`. `default` may be a dict; the other arguments are those of `Setting`."""
    metadata = {"setting": Setting(help, choices, **rules)}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RunConfig:
    """The settings of a run. They are the flags of `train.py`; docs/train.md lists them.

    Example:

    ```python
    config = RunConfig(dataset="fashion_mnist", synthetic=True, schedule="dst", epochs=2)
    config.check()
    ```
    """

    experiment: str | None = setting(None, "a preset; other flags override its settings. `--list` shows the presets")
    dataset: str = setting(
        "fashion_mnist",
        "`fashion_mnist`, `multi_fashion`, `cifar10`, `cifar100`, `celeb_a`, `nyuv2` or `cityscapes`; "
        "[your own](own_data.md): `csv:PATH` (images or [a table](table_data.md)), `folder:PATH` or "
        "[`npy:PATH`](dense.md#files)",
    )
    synthetic: bool = setting(False, "train on a synthetic look-alike of the dataset; needs no download")
    examples: int | None = setting(
        None,
        "with `--synthetic`: images to generate for each split; by default the look-alike's own number",
        at_least=1,
    )
    train_examples: int | float | None = setting(
        None,
        "train on this number of training examples, or on this share of them, as `0.1`; chosen by `--seed`. By default "
        "on all",
    )
    data_dir: str | None = setting(
        None,
        "TFDS directory with the dataset, or the folder of CelebA's plain files; with `csv:PATH` the folder of the "
        "images. By default `TFDS_DATA_DIR`, else `~/tensorflow_datasets`",
        may_change=True,
    )
    cache: str = setting(
        "auto",
        "cache of decoded images: `memory`, `disk`, `none`, or `auto`: in memory if a split takes less than 1 GiB",
        choices=("auto", "memory", "disk", "none"),
    )
    on_bad_example: str = setting("error", "unreadable images or labels: `error`, or `skip` them", ("error", "skip"))
    tasks: tuple[str, ...] | None = setting(
        None,
        "tasks to train, separated by commas; by default those of the dataset. A [table](table_data.md) needs them",
    )
    task_types: Mapping[str, str] = setting(
        {},
        "with `csv:PATH`: types of columns, `age=regression,sex=binary`; or `classification`; of "
        "[files with labels of pixels](own_data.md#labels-for-every-pixel) `segmentation(classes=5)`, `mask`, `depth`, "
        "`normals`, `dense_regression`. By default inferred from the cells",
    )
    features: tuple[str, ...] | None = setting(
        None,
        "with `csv:PATH` of a [table without images](table_data.md): columns to predict from; by default all others",
    )
    feature_types: Mapping[str, str] = setting(
        {}, "with a table: types of features, `zip=categorical,age=numeric`. By default inferred from the cells"
    )
    image_column: str | None = setting(
        None,
        "with `csv:PATH`: the column of image names; by default `image`, `file`, `filename` or `path`, else the first "
        "if it names images",
    )
    image_extension: str = setting("", "with `csv:PATH`: what to append to the image names, as `.jpg`")
    image_size: tuple[int, int] | None = setting(
        None,
        "with `csv:PATH` or `folder:PATH`: size that images are resized to, `64` or `64x96` (height x width); by "
        "default that of the images, at most 128x128. With `--synthetic` also for `nyuv2` and `cityscapes`",
    )
    task_weights: Mapping[str, float] = setting(
        {}, "loss weights, `item=1,group=0.5`; 0 drops the task. By default each task's own (1; `landmarks` 1000)"
    )
    model: str = setting(
        AUTO_MODEL,
        "`auto`: `cnn`, `mlp` for a table, `unet` for labels of pixels; a trunk that all tasks share: `cnn`, `lenet`, "
        "`mlp`, `resnet18` "
        "or any `keras.applications` name; or [soft sharing](sharing.md) of any trunk: `mmoe(experts=4)`, `ple`, "
        "`cross_stitch(resnet18)`, ...; or a whole network: `two_paths`, `strided`, `vgg16_dense`, `face_groups`; "
        "for [labels of pixels](dense.md#networks): `unet`, `segnet`, `segnet_mtan`, `deeplab(resnet50)`; "
        "arguments as in `cnn(filters=16)`; or [your own](from_keras_model.md): `keras_hub('resnet_18_imagenet')`, or "
        "the path of a `.keras` file",
    )
    weights: str | None = setting(
        None, "pretrained weights of the trunk: `imagenet` (`keras.applications`) or a `.weights.h5` or `.keras` file"
    )
    init_from: str | None = setting(
        None,
        "with `cross_stitch`, `nddr` or `sluice`: folder of a comparison, from whose single-task networks of the same "
        "seed each task's layers [start](sharing.md#starting-from-single-task-networks)",
    )
    freeze_trunk: int = setting(
        0,
        "number of epochs, from the first on, in which the trunk [is frozen](from_keras_model.md#freezing)",
        at_least=0,
    )
    weighting: str = setting(
        "static", "[weighting method](weightings.md): `static`, `uncertainty`, `pcgrad`, `cagrad(c=0.4)`, ..."
    )
    schedule: str = setting(
        "none",
        "task schedule: `none`, `dst`, `random_drop(keep=0.5)`, `static(weights={'group': 0})`, "
        "`weight_curves(curves={'group': linear(1, 0, 10)})`",
    )
    epochs: int = setting(10, "passes over the training data", at_least=1, may_change=True)
    batch_size: int = setting(128, "images in a training step", at_least=1)
    learning_rate: float = setting(1e-3, "learning rate of the optimizer in the first epoch")
    learning_rate_decay: str = setting(
        "cosine",
        "decay of the learning rate over the epochs: `cosine` (to nearly 0), `halve` (every 100 epochs) or `none`",
        ("cosine", "halve", "none"),
    )
    optimizer: str = setting("adam", "any of `keras.optimizers`; arguments as in `sgd(momentum=0.9)`")
    augment: bool = setting(
        False,
        "flip training images at random; landmarks are flipped with them, left and right exchanged. With "
        "[labels for every pixel](dense.md#augmentation) also scale and crop. Not for `multi_fashion`",
    )
    color_jitter: float = setting(
        0.0,
        "with `--augment` and [labels for every pixel](dense.md): greatest random change of brightness, contrast and "
        "saturation, as a share, from 0 to 1",
    )
    seed: int = setting(
        0,
        "seed of the weights, the order of the images, the random draws, the synthetic images and the training pairs "
        "of `multi_fashion`",
        at_least=0,
    )
    jit_compile: str = setting("auto", "compile steps with XLA: `auto`, `true` or `false`", ("auto", "true", "false"))
    mixed_precision: bool = setting(False, "compute in 16 bits (float16 on a GPU, bfloat16 on a CPU)")
    steps_per_execution: int = setting(1, "training steps per call of the compiled function", at_least=1)
    early_stopping: int = setting(
        0, "stop after `n` epochs without a better `val_mtl_score`; 0: never", at_least=0, may_change=True
    )
    checkpoint_every: int = setting(
        500, "training steps between checkpoints; 0: only at the end of each epoch", at_least=0, may_change=True
    )
    monitor_gradients: int = setting(
        0, "measure the [tasks' gradients](gradients.md) every `n` training steps; 0: never", at_least=0
    )
    task_affinity: int = setting(
        0,
        "measure every `n` training steps how a step on one task [affects the others](grouping.md#affinity); 0: never",
        at_least=0,
    )
    distribute: str = setting(
        "none",
        "`mirrored`: over the GPUs of this machine; `multi_worker`: over [the machines of `TF_CONFIG`](distributed.md)",
        choices=("none", "mirrored", "multi_worker"),
        may_change=True,
    )
    verbose: int = setting(
        1,
        "0: only warnings and errors; 1: a live table in a terminal, elsewhere one line per epoch; 2: these lines",
        choices=(0, 1, 2),
        may_change=True,
    )
    profile: bool = setting(
        False, "record a trace of training steps 10 to 20 for [TensorBoard](tensorboard.md#profile)", may_change=True
    )
    export: tuple[str, ...] = setting(
        (), "formats to export the best model to", ("saved_model", "onnx", "litert"), may_change=True
    )

    def __post_init__(self) -> None:
        import data

        # The recorded name must stay valid if the run is resumed from another folder.
        object.__setattr__(self, "dataset", data.absolute_name(self.dataset))

    def check(self) -> None:
        """Checks everything that can be checked without the data.

        Raises:
            ValueError: naming the setting, the value received and the choices.
        """
        from experiments.building import make_optimizer, make_schedule
        from models import check_network
        from mtl_keras import weightings

        for name, declared in SETTINGS.items():
            declared.check(name, getattr(self, name))
        self._check_data()
        if self.schedule != "none":
            make_schedule(self.schedule)
        weightings.get(self.weighting)
        if self.model != AUTO_MODEL:
            check_network(self.model)
        make_optimizer(self.optimizer, self.learning_rate)
        for task, weight in self.task_weights.items():
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f"task_weights must be finite numbers >= 0. Received: {task}={weight}")
        self._check_tasks()

    def _check_tasks(self) -> None:
        """Checks the names of tasks and `augment`; those of other datasets are checked when the data are opened."""
        import data
        from experiments.building import check_task_names
        from mtl_keras.checks import unknown_value

        if self.dataset not in data.names():
            return
        if self.dataset in data.recipes.names:
            data.recipes[self.dataset]().check_augment(self.augment)
        available = data.available_tasks(self.dataset)
        tasks = self.tasks or data.default_tasks(self.dataset).names
        for task in tasks:
            if task not in available:
                raise unknown_value("task in tasks", task, available)
            if tasks.count(task) > 1:
                raise ValueError(f"tasks must be distinct. Received twice: {task!r}")
        check_task_names(self, tasks)

    def _check_data(self) -> None:
        import data
        from mtl_keras.checks import unknown_value

        if data.names_files(self.dataset):
            if self.synthetic:
                raise ValueError(f"synthetic is for built-in datasets. Received: dataset={self.dataset!r}")
        elif self.dataset != OWN_DATASET and self.dataset not in data.names():
            path = Path(self.dataset)
            if path.is_dir() or (path.suffix == ".csv" and path.exists()):
                form = "folder" if path.is_dir() else "csv"
                raise ValueError(f"For your own files, use dataset={form}:{path}. Received: {path}")
            raise unknown_value("dataset", self.dataset, [*data.names(), *data.FORMS])
        usual = RunConfig()
        drawn_to_size = self.synthetic and self._is_dense()
        for name in ("task_types", "image_size", "image_column", "image_extension", "features", "feature_types"):
            forms = data.IMAGE_FORMS if name in ("task_types", "image_size") else ("csv:PATH",)
            given, prefixes = getattr(self, name), tuple(form.removesuffix("PATH") for form in forms)
            if name == "image_size" and drawn_to_size:
                continue
            if given != getattr(usual, name) and not self.dataset.startswith(prefixes):
                drawn = "; with synthetic, also for nyuv2 and cityscapes" if name == "image_size" else ""
                raise ValueError(
                    f"{name} is for a dataset {' or '.join(forms)}{drawn}. "
                    f"Received: {name}={given!r}, dataset={self.dataset!r}"
                )
        if self.examples is not None and not self.synthetic:
            raise ValueError(f"examples is only for synthetic data. Received: examples={self.examples}")
        if self.train_examples is not None:
            data.check_train_examples(self.train_examples)
        if self.color_jitter and not self.augment:
            raise ValueError(f"color_jitter needs augment (--augment). Received: color_jitter={self.color_jitter}")

    def _is_dense(self) -> bool:
        """Returns whether the dataset is a built-in one with labels of pixels."""
        import data

        known = self.dataset in data.names()
        return known and any(task.is_dense for task in data.available_tasks(self.dataset).values())

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """Returns the settings from the result of `to_json`.

        Raises:
            ValueError: for a setting that does not exist.
        """
        from mtl_keras.checks import unknown_value

        for name in values:
            if name not in SETTINGS:
                raise unknown_value("setting", name, SETTINGS)
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        types = get_type_hints(cls)
        for name, value in settings.items():
            if not _has_type(value, types[name]):
                raise ValueError(f"Setting {name!r} has a value of another type. Received: {name}={value!r}")
        return cls(**settings)


SETTINGS: dict[str, Setting] = {entry.name: entry.metadata["setting"] for entry in dataclasses.fields(RunConfig)}
"""The declarations by name."""


@dataclass(frozen=True)
class Preset:
    """A named experiment.

    Args:
        purpose: its purpose, in one line.
        config: its settings.
        smoke: settings to change in its smoke run (one epoch over a few synthetic images), such as a smaller network.
    """

    purpose: str
    config: RunConfig
    smoke: Mapping[str, Any] = field(default_factory=dict)

    def smoke_config(self) -> RunConfig:
        """Returns the settings of the smoke run, which takes seconds and only tests that all parts work."""
        return dataclasses.replace(self.config, **{"epochs": 1, "examples": 64, "batch_size": 16, **self.smoke})


def default_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the default settings as JSON values, with the network that "auto" means for the data of a run.

    Args:
        config: the content of the run's `config.json`.
    """
    from models.trunks import default_trunk

    known = config.get("data") or {}
    heads = [task.get("head") for task in known.get("tasks", {}).values()]
    usual = RunConfig(model=default_trunk(known["image_shape"], heads)) if "image_shape" in known else RunConfig()
    return dict(json.loads(json.dumps(usual.to_json())))


def _has_type(value: Any, expected: Any) -> bool:
    """Returns whether a value has the type of a setting. Entries of tuples and mappings are checked on use."""
    kinds = get_args(expected) if isinstance(expected, UnionType) else (expected,)
    origins = tuple(get_origin(kind) or kind for kind in kinds)
    if isinstance(value, bool):
        return bool in origins
    return isinstance(value, origins) or (float in origins and isinstance(value, int))
