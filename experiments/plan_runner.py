"""`run_plan`: trains all networks of a comparison, each at most once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from experiments.config import RunConfig
from experiments.lock import locked
from experiments.many_runs import Execution, run_all
from experiments.plan import Plan, folder_name
from experiments.proposals import proposed_groups
from experiments.run_job import RunJob
from experiments.task_groups import GROUPS, AffinityGroups, parse_groups, write_groups


def run_plan(plan: Plan, folder: Path, execution: Execution | None = None) -> None:
    """Trains and evaluates the runs that are not finished, as `run_all` does.

    Runs that measure affinities come first. The groups that are proposed from them are trained last.

    Args:
        plan: the runs to train.
        folder: the folder of the comparison.
        execution: where they are trained; by default one after another in this process.
    """
    plan.config.check()  # before the data are opened
    execution = execution or Execution()
    measurements = plan.measurements()
    jobs = _jobs(dict(measurements.values()).items(), folder, None) + _jobs(plan.runs(), folder, plan.judge_at)
    with locked(folder):
        plan.save(folder)
        try:
            run_all(jobs, folder, execution)
        finally:
            if not any(job.directory.started for job in jobs):
                Plan.remove(folder)
        for name in plan.baselines:
            if name.startswith(GROUPS):
                write_groups(folder / folder_name(name), parse_groups(name))
        if measurements:
            measured = {name: RunJob(config, folder / part).directory for name, (part, config) in measurements.items()}
            proposals = {
                name: proposed_groups(folder / folder_name(name), AffinityGroups.parse(name), directory)
                for name, directory in measured.items()
            }
            proposed = _jobs(plan.runs(proposals), folder, plan.judge_at)
            run_all([job for job in proposed if job not in jobs], folder, execution)


def _jobs(runs: Iterable[tuple[Path, RunConfig]], folder: Path, judge_at: str | None) -> list[RunJob]:
    """Returns the jobs of runs, after checking their settings."""
    jobs = [RunJob(config, folder / part, judge_at) for part, config in runs]
    for job in jobs:
        job.config.check()
    return jobs
