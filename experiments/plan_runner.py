"""`run_plan`: trains all networks of a comparison, each at most once."""

from __future__ import annotations

from pathlib import Path

from experiments.lock import locked
from experiments.many_runs import Execution, run_all
from experiments.plan import Plan
from experiments.run_job import RunJob


def run_plan(plan: Plan, folder: Path, execution: Execution | None = None) -> None:
    """Trains and evaluates the runs that are not finished, as `run_all` does.

    Args:
        plan: the runs to train.
        folder: the folder of the comparison.
        execution: where they are trained; by default one after another in this process.
    """
    plan.config.check()  # before the data are opened
    jobs = [RunJob(config, folder / part, plan.judge_at) for part, config in plan.runs()]
    for job in jobs:
        job.config.check()
    with locked(folder):
        plan.save(folder)
        try:
            run_all(jobs, folder, execution or Execution())
        finally:
            if not any(job.directory.started for job in jobs):
                Plan.remove(folder)
