"""Trains one network for several tasks: `python train.py --dataset fashion_mnist --schedule dst`.

`python train.py --help` and README.md document every flag.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from absl import flags

from experiments.commands import command_line
from experiments.training_flags import FLAGS


def main(values: flags.FlagValues) -> None:
    """Lists presets, trains a run or trains a comparison, as the flags say."""
    if values.list:
        _print_presets()
        return
    if values.resume and values.run_dir is None:
        raise ValueError("--resume needs --run_dir, the run to resume.")
    name = values.experiment or Path(values.dataset.rpartition(":")[2]).absolute().stem
    folder = Path(values.run_dir or f"runs/{name}-{datetime.now():%Y%m%d-%H%M%S}")
    if values.compare is not None or (values.resume and _is_comparison(folder)):
        _compare(values, folder)
    elif values.seeds is not None:
        raise ValueError("--seeds is for comparisons: it needs --compare.")
    else:
        _train(values, folder)


def _print_presets() -> None:
    from experiments.presets import PRESETS

    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:{width}}  {preset.purpose}")


def _train(values: flags.FlagValues, folder: Path) -> None:
    from experiments.reporting import print_table
    from experiments.run_directory import RunDirectory
    from experiments.run_report import run_report
    from experiments.runner import run
    from experiments.settings import asked, resumed, says_what
    from experiments.workers import gather

    directory = RunDirectory(folder)
    # With --resume, a run that names its dataset or experiment starts if it was killed before it could: the same
    # command works each time.
    begin = not values.resume or (says_what(values) and not directory.started)
    config = asked(values) if begin else resumed(directory.config(), values)
    table, overall = run(config, directory, resume=values.resume)
    if not gather(config.distribute).writes:
        return
    report = run_report(directory)
    if config.verbose:
        print_table(table, f"{folder}: best.keras on the test split", overall)
        print(f"Report: {report}")
        if "saved_model" in config.export:
            print(f"SavedModel: {directory.saved_model}")
        # On a separate line, since the folder of a run may be long.
        print(f"tensorboard --logdir {directory.tensorboard}")


def _is_comparison(folder: Path) -> bool:
    from experiments.plan import Plan

    return Plan.is_in(folder)


def _compare(values: flags.FlagValues, folder: Path) -> None:
    from experiments.comparison import report
    from experiments.plan import Plan
    from experiments.plan_runner import run_all
    from experiments.run_directory import RunDirectory
    from experiments.settings import asked, resumed, says_what, seeds

    if values.distribute == "multi_worker":
        raise ValueError("A comparison runs in one process. Received: --distribute=multi_worker with --compare")
    if values.resume and (Plan.is_in(folder) or not says_what(values)):
        stored = Plan.load(folder)
        plan = Plan(
            # All runs of a comparison have the same budget, so later runs use that of the existing ones.
            resumed(stored.config, values, may_change=("data_dir", "verbose")),
            tuple(dict.fromkeys((*stored.baselines, *(values.compare or ())))),
            tuple(dict.fromkeys((*stored.seeds, *seeds(values)))),
        )
    else:
        RunDirectory(folder).check_new()
        plan = Plan(asked(values), tuple(values.compare), seeds(values) or (values.seed,))
    run_all(plan, folder)
    report([folder], quiet=not plan.config.verbose)


if __name__ == "__main__":
    command_line(main, FLAGS, sys.argv)
