"""Proposes groups of tasks from the affinities that a run measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.affinity_record import read_affinity
from experiments.gradient_record import read_gradients
from experiments.run_directory import RunDirectory
from experiments.task_groups import GROUPS, AffinityGroups, read_groups, read_measured, write_groups
from mtl_keras.analysis import Affinity, best_groups


def proposed_groups(folder: Path, asked: AffinityGroups, measured: RunDirectory) -> str:
    """Returns groups as `"groups(a+b, c)"`: those proposed before, else new ones, which are written to `groups.json`.

    Args:
        folder: the folder of the method.
        asked: which groups to propose.
        measured: the finished run that measured the affinities.

    Raises:
        ValueError: if the run has no result, a file of it is damaged, or a pair of tasks was never measured.
    """
    groups = read_groups(folder)
    if not groups:
        affinity = _measured_affinity(measured, asked.kind)
        pairs = ~np.eye(len(affinity.tasks), dtype=bool)
        if not affinity.count[pairs].all():
            raise ValueError(
                f"The run in {measured.path} is too short to measure how each task affects each other. Train longer, "
                f'or measure more often: --compare="{asked.spec(every=1)}". Received: every={asked.every}'
            )
        grouping = best_groups(affinity, networks=asked.networks, alone=asked.alone)
        print(f"{folder.name}: proposed from {measured.path}\n{affinity}\n{grouping}\n{evidence(affinity)}")
        groups = grouping.groups
        write_groups(
            folder,
            groups,
            measured_in=str(measured.path.relative_to(folder.parent)),
            score=grouping.score,
            bound=grouping.bound,
            exact=grouping.exact,
            affinity=affinity.to_json(),
        )
    return f"{GROUPS}({', '.join('+'.join(group) for group in groups)})"


def described_groups(folder: Path) -> str:
    """Returns the groups of a method in words, with the evidence if they were proposed."""
    groups = "; ".join("+".join(group) for group in read_groups(folder))
    affinity = read_measured(folder)
    return f"{groups}." + (f" {evidence(affinity)}" if affinity is not None else "")


def evidence(affinity: Affinity) -> str:
    """Returns a sentence on how many of the affinities are clearly not 0."""
    size = len(affinity.tasks)
    clear, pairs = int(affinity.clear().sum()), size * (size - 1)
    thin = " The evidence is thin: the groups may be those of noise." if clear <= pairs / 2 else ""
    return f"{clear} of {pairs} affinities between two tasks are clearly not 0.{thin}"


def _measured_affinity(measured: RunDirectory, kind: str) -> Affinity:
    if not measured.metrics_file.exists():
        raise ValueError(f"No groups can be proposed: the run that measures affinities has no result: {measured.path}")
    if kind == "cosine":
        affinity = read_gradients(measured.gradients_file).affinity
        if affinity is None:
            raise ValueError(f"{measured.gradients_file} is damaged: it has no standard errors")
        return affinity
    return read_affinity(measured.affinity_file).run
