"""`run_plan`: trains all networks of a comparison, each at most once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from experiments.config import RunConfig
from experiments.lock import locked
from experiments.many_runs import Execution, run_all
from experiments.plan import Plan, folder_name
from experiments.proposals import proposed_groups
from experiments.run_directory import RunDirectory
from experiments.run_job import RunJob
from experiments.task_groups import GROUPS, AffinityGroups, parse_groups, write_groups


def run_plan(plan: Plan, folder: Path, execution: Execution | None = None) -> None:
    """Trains and evaluates the runs that are not finished, as `run_all` does.

    Runs that measure affinities come first, so that a proposal that cannot be made costs no other run.

    Args:
        plan: the runs to train.
        folder: the folder of the comparison.
        execution: where they are trained; by default one after another in this process.
    """
    plan.config.check()  # before the data are opened
    execution = execution or Execution()
    measurements = plan.measurements()
    measuring = _jobs(dict(measurements.values()).items(), folder, None)
    known = _jobs(plan.runs(), folder, plan.judge_at)  # before anything is written
    with locked(folder):
        plan.save(folder)
        try:
            proposals = {}
            if measuring:
                run_all(measuring, folder, execution)
                for name, (part, _) in measurements.items():
                    measured, asked = RunDirectory(folder / part), AffinityGroups.parse(name)
                    proposals[name] = proposed_groups(folder / folder_name(name), asked, measured)
            for name in plan.baselines:
                if name.startswith(GROUPS):
                    write_groups(folder / folder_name(name), parse_groups(name))
            run_all(_jobs(plan.runs(proposals), folder, plan.judge_at) if proposals else known, folder, execution)
        finally:
            if not any(job.directory.started for job in (*measuring, *known)):
                Plan.remove(folder)


def _jobs(runs: Iterable[tuple[Path, RunConfig]], folder: Path, judge_at: str | None) -> list[RunJob]:
    """Returns the jobs of runs, after checking their settings."""
    jobs = [RunJob(config, folder / part, judge_at) for part, config in runs]
    for job in jobs:
        job.config.check()
    return jobs
