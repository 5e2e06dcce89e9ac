"""Groups of tasks with a network each: `groups(item+group, price)` and `affinity(networks=2)` in `--compare`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.files import read_json, write_json
from mtl_keras.analysis import Affinity
from mtl_keras.checks import check_integer, check_number, unknown_value
from mtl_keras.serialization import Configurable, Registry, Spec, parse_spec

GROUPS, AFFINITY = "groups", "affinity"
_KINDS = ("look_ahead", "cosine")
_FILE = "groups.json"


def parse_groups(text: str) -> tuple[tuple[str, ...], ...]:
    """Returns the tasks of each network from `"groups(item+group, price)"`.

    Raises:
        ValueError: for another form, a task that is twice in a group, or a group that occurs twice.
    """
    inner = text.strip().removeprefix(GROUPS).strip()
    groups = [tuple(task.strip() for task in group.split("+")) for group in inner[1:-1].split(",")]
    if not (inner.startswith("(") and inner.endswith(")")) or not all(all(group) for group in groups):
        raise ValueError(
            "groups takes the tasks of each network, joined by +, as groups(item+group, price). "
            f"Received: --compare={text!r}"
        )
    for group in groups:
        if len(set(group)) < len(group) or [set(other) for other in groups].count(set(group)) > 1:
            raise ValueError(
                f"groups must differ, and have each task once. Received twice: {'+'.join(group)} in --compare={text!r}"
            )
    return tuple(groups)


def write_groups(folder: Path, groups: Sequence[Sequence[str]], **proposal: Any) -> None:
    """Writes the groups of a method into its folder.

    Args:
        folder: the folder of the method.
        groups: the tasks of each network.
        **proposal: how the groups were found, as JSON values.
    """
    write_json(folder / _FILE, {"groups": [list(group) for group in groups], **proposal})


def read_groups(folder: Path) -> tuple[tuple[str, ...], ...]:
    """Returns the groups of a method; empty if its folder has none.

    Raises:
        ValueError: if the file is damaged, naming it.
    """
    file = folder / _FILE
    if not file.exists():
        return ()
    try:
        return tuple(tuple(map(str, group)) for group in read_json(file)["groups"])
    except (KeyError, TypeError) as cause:
        raise ValueError(f"{file} is damaged: {cause}") from cause


def read_measured(folder: Path) -> Affinity | None:
    """Returns the affinities from which the groups of a method were proposed; `None` if they were given."""
    values = read_json(folder / _FILE).get("affinity")
    return None if values is None else Affinity.from_json(values)


def check_groups(groups: Sequence[Sequence[str]], tasks: Sequence[str]) -> None:
    """Checks that the groups are of these tasks, and that every task is in a group.

    Raises:
        ValueError: naming the task.
    """
    found = {task for group in groups for task in group}
    for task in found:
        if task not in tasks:
            raise unknown_value("task in groups", task, tasks)
    missing = [task for task in tasks if task not in found]
    if missing:
        written = f"{GROUPS}({', '.join('+'.join(group) for group in groups)})"
        raise ValueError(f"Every task must be in one of the groups. Missing: {', '.join(missing)}. Received: {written}")


_PROPOSALS: Registry[AffinityGroups] = Registry("value of --compare")


@_PROPOSALS.register
@dataclass(frozen=True, repr=False)
class AffinityGroups(Configurable):
    """Groups that are proposed from the tasks' affinity, measured in a run of its own.

    Args:
        networks: the greatest number of groups.
        kind: `"look_ahead"` or `"cosine"`; see `mtl_keras.analysis.Affinity`.
        every: number of training steps from one measurement to the next.
        alone: the affinity of a task in a network of its own; `None` for "no task alone".
    """

    NAME = AFFINITY

    networks: int = 2
    kind: str = "look_ahead"
    every: int = 10
    alone: float | None = 0.0

    def __post_init__(self) -> None:
        check_integer("networks", self.networks, 1)
        check_integer("every", self.every, 1)
        if self.kind not in _KINDS:
            raise unknown_value("kind of affinity", self.kind, _KINDS)
        if self.alone is not None:
            check_number("alone", self.alone)

    def spec(self, **changes: Any) -> str:
        """Returns the request as text, with some arguments changed."""
        changed = dataclasses.replace(self, **changes)
        usual = AffinityGroups()
        given = [(each.name, getattr(changed, each.name)) for each in dataclasses.fields(self)]
        return f"{AFFINITY}({', '.join(f'{key}={value}' for key, value in given if value != getattr(usual, key))})"

    @classmethod
    def parse(cls, text: str) -> AffinityGroups:
        """Returns the request from `"affinity(networks=2, kind=cosine)"`.

        Raises:
            ValueError: for unknown arguments or invalid values.
        """
        spec = parse_spec(text)
        names = {key: value.name if isinstance(value, Spec) else value for key, value in spec.kwargs.items()}
        return _PROPOSALS.get(dataclasses.replace(spec, kwargs=names))
