"""`Plan`: the runs of a comparison."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data
from experiments.building import open_dataset
from experiments.config import RunConfig
from experiments.files import read_json, write_json
from experiments.judging import DEFAULT_RULE, check_rule
from experiments.task_groups import AFFINITY, GROUPS, AffinityGroups, check_groups, parse_groups
from models import NETWORKS, check_network, trunks
from models.parallel import COPIES_PER_TASK
from mtl_keras import schedules, weightings
from mtl_keras.checks import unknown_value
from mtl_keras.schedules import SCHEDULES
from mtl_keras.serialization import parse_spec
from mtl_keras.weightings import WEIGHTINGS

METHOD = "multi_task"
"""The folder of the runs that are compared with the baselines."""
_PLAN_FILE = "plan.json"
_MEASURING_SEED = 10_000
"""The seed of runs that measure affinities: proposed groups are trained with other seeds."""
_LONGEST_FOLDER = 100  # most file systems take 255 bytes

BASELINES = ("single_task", "equal_weights", "fixed_weights")


def check_baseline(name: str) -> None:
    """Checks a baseline: one of `BASELINES`, groups, or the specification of a schedule, weighting or network.

    Raises:
        ValueError: for an unknown name or invalid arguments.
    """
    kind = name.partition("(")[0].strip()
    if kind in SCHEDULES:
        schedules.get(name)
    elif kind in WEIGHTINGS:
        weightings.get(name)
    elif _is_network(kind):
        check_network(name)
    elif kind == GROUPS:
        parse_groups(name)
    elif kind == AFFINITY:
        AffinityGroups.parse(name)
    elif name not in BASELINES:
        choices = {
            *BASELINES,
            GROUPS,
            AFFINITY,
            *SCHEDULES.names,
            *WEIGHTINGS.names,
            *NETWORKS.names,
            *trunks.TRUNKS.names,
        }
        raise unknown_value("value of --compare", kind if "(" in name else name, choices)


def _is_network(name: str) -> bool:
    return name in NETWORKS or name in trunks.TRUNKS or name.lower() in trunks.names()


def _with_trunk(network: str, model: str) -> str:
    """Returns a network's specification, with the trunk `model` if it names none and `model` is a trunk."""
    spec = parse_spec(network)
    name = model.partition("(")[0].strip()
    if spec.name not in NETWORKS or name in NETWORKS or not _is_network(name):  # "auto", or a file
        return network
    takes_trunk = "trunk" in inspect.signature(NETWORKS[spec.name]).parameters
    if not takes_trunk or spec.args or "trunk" in spec.kwargs:
        return network
    return str(dataclasses.replace(spec, args=(parse_spec(model),)))


def _networks(
    baseline: str, config: RunConfig, tasks: Sequence[str], features: tuple[str, ...] | None = None
) -> dict[str, RunConfig]:
    """Returns the settings of a baseline's networks, by folder. Without a schedule, all tasks are in every step.

    `features` are the feature columns of a table: by default they would include the tasks that a network does not have.

    | baseline | networks |
    |---|---|
    | `single_task` | one per task, with the same trunk and the same number of steps |
    | `equal_weights` | the same network with all weights 1 |
    | `fixed_weights` | the same network and task weights |
    | `groups(a+b, c)` | one per group, with the same trunk, method, task weights and number of steps |
    | a schedule or weighting | the same network and task weights under that method |
    | a network | the same method with that network; a trunk (`cnn`) is hard sharing. Without a trunk, as in
    `mmoe(experts=4)`, it has that of `config.model` |
    """
    plain = dataclasses.replace(config, schedule="none", weighting="static")
    if baseline == "single_task":
        return {task: _of_tasks((task,), plain, features) for task in tasks}
    if baseline == "equal_weights":
        return {"": dataclasses.replace(plain, task_weights=dict.fromkeys(tasks, 1.0))}
    if baseline == "fixed_weights":
        return {"": plain}
    if baseline.startswith(GROUPS):
        groups = parse_groups(baseline)
        check_groups(groups, tasks)
        return {
            folder_name("+".join(group)): _of_tasks(group, plain if len(group) == 1 else config, features)
            for group in groups
        }
    kind = parse_spec(baseline).name
    if kind not in WEIGHTINGS and _is_network(kind):
        start = config.init_from if kind in COPIES_PER_TASK else None
        return {"": dataclasses.replace(config, model=_with_trunk(baseline, config.model), init_from=start)}
    if kind in SCHEDULES:
        return {"": dataclasses.replace(plain, schedule=baseline)}
    return {"": dataclasses.replace(plain, weighting=baseline)}


def _of_tasks(tasks: tuple[str, ...], config: RunConfig, features: tuple[str, ...] | None) -> RunConfig:
    """Returns the settings of a network of some of the tasks."""
    types = config.feature_types
    if features is not None:
        types = {name: kind for name, kind in types.items() if name in features}
    weights = {task: weight for task, weight in config.task_weights.items() if task in tasks}
    if len(tasks) == 1:
        weights = dict.fromkeys(tasks, 1.0)
    return dataclasses.replace(
        config, tasks=tasks, task_weights=weights, init_from=None, features=features, feature_types=types
    )


def folder_name(name: str) -> str:
    """Returns the name of the folder of a method or group: its own, shortened to its kind and a checksum if long."""
    if len(name.encode()) <= _LONGEST_FOLDER:
        return name
    kind = name.partition("(")[0]
    return f"{kind if len(kind) < len(name) else 'group'}-{zlib.crc32(name.encode()):08x}"


@dataclass(frozen=True)
class Plan:
    """A multi-task network and its baselines, each with several seeds.

    Args:
        config: the settings of the multi-task network; its seed is not used.
        baselines: names from `BASELINES`, groups, schedules, weightings such as `"cagrad(c=0.2)"`, and networks.
        seeds: each network is trained once with each seed.
        judge_at: at which epoch networks are judged, one of `experiments.judging.RULES`.

    Raises:
        ValueError: for an unknown baseline or rule, no baseline, no seed, or duplicates.
    """

    config: RunConfig
    baselines: tuple[str, ...]
    seeds: tuple[int, ...]
    judge_at: str = DEFAULT_RULE

    def __post_init__(self) -> None:
        check_rule(self.judge_at)
        for name in self.baselines:
            check_baseline(name)
        for argument, values in (("compare", self.baselines), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise ValueError(f"--{argument} takes one or more different values. Received: {list(values)!r}")

    def measurements(self) -> dict[str, tuple[Path, RunConfig]]:
        """Returns the folder and the settings of the run that measures affinities, by the baseline that needs it."""
        found = {}
        for name in self.baselines:
            if name.partition("(")[0].strip() == AFFINITY:
                asked = AffinityGroups.parse(name)
                seed = next(seed for seed in itertools.count(_MEASURING_SEED) if seed not in self.seeds)
                setting = {"look_ahead": "task_affinity", "cosine": "monitor_gradients"}[asked.kind]
                settings: dict[str, Any] = {"seed": seed, setting: asked.every}
                config = dataclasses.replace(self.config, **settings)
                found[name] = (Path("measurements", f"{asked.kind}-{asked.every}"), config)
        return found

    def runs(self, proposals: Mapping[str, str] | None = None) -> Iterator[tuple[Path, RunConfig]]:
        """Yields the folder (relative to the comparison's) and the settings of each run, seed by seed.

        Args:
            proposals: baseline `affinity(...)` -> the groups that were proposed, as `"groups(a+b, c)"`. The runs of
                such a baseline without a proposal are left out.
        """
        proposals = proposals or {}
        features = None
        if data.names_files(self.config.dataset):
            dataset = open_dataset(self.config)
            tasks = dataset.tasks.names
            features = tuple(dataset.features.columns) if dataset.features is not None else None
        else:
            tasks = self.config.tasks or data.default_tasks(self.config.dataset).names
        methods = {Path(METHOD): self.config}
        waiting = self.measurements().keys() - proposals.keys()
        for name in self.baselines:
            if name not in waiting:
                networks = _networks(proposals.get(name, name), self.config, tasks, features)
                methods |= {Path(folder_name(name), part): config for part, config in networks.items()}
        for seed in self.seeds:
            for folder, config in methods.items():
                yield folder / f"seed-{seed}", dataclasses.replace(config, seed=seed)

    def save(self, folder: Path) -> None:
        """Writes the plan into the folder of the comparison."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _PLAN_FILE, {**dataclasses.asdict(self), "config": self.config.to_json()})

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Returns the plan written by `save`.

        Raises:
            ValueError: if there is none or it is damaged, naming the file.
        """
        file = folder / _PLAN_FILE
        values: dict[str, Any] = read_json(file)
        try:
            settings = RunConfig.from_json(values["config"])
            # The only rule of versions that did not write it.
            judge_at = values.get("judge_at", "best_mean")
            return cls(settings, tuple(values["baselines"]), tuple(values["seeds"]), judge_at)
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise ValueError(f"{file} is damaged: {cause}") from cause

    @staticmethod
    def remove(folder: Path) -> None:
        """Removes the plan of a comparison without started runs, and the folders that become empty."""
        (folder / _PLAN_FILE).unlink(missing_ok=True)
        for empty in sorted((folder, *folder.rglob("*/")), reverse=True):
            with contextlib.suppress(OSError):
                empty.rmdir()


def is_comparison(folder: Path) -> bool:
    """Returns whether a folder is that of a comparison: whether it has a plan."""
    return (folder / _PLAN_FILE).exists()
