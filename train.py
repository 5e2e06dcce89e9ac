"""Trains one network for several tasks: `python train.py --dataset fashion_mnist --schedule dst`.

docs/train.md explains every flag, with the datasets and the files of a run.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from experiments.commands import command_line
from experiments.run_flags import (
    can_start_a_run,
    config_from_flags,
    define_settings,
    resumed_config,
    seeds_from_flags,
    specifications,
)

if TYPE_CHECKING:
    from experiments.many_runs import Execution

FLAGS = flags.FlagValues()
_string = partial(flags.DEFINE_string, flag_values=FLAGS)
_bool = partial(flags.DEFINE_bool, flag_values=FLAGS)
_list = partial(flags.DEFINE_list, flag_values=FLAGS)

_bool("list", False, "list the presets")
_bool("smoke", False, "with `--experiment` and `--synthetic`: one epoch on a few images, as a quick check")
_list(
    "compare",
    None,
    "also train these, and compare: `single_task`, `equal_weights`, `fixed_weights`, [groups](grouping.md#check) "
    "`groups(a+b, c)` or `affinity(networks=2)`, or weightings, schedules and "
    "networks by name (`pcgrad,dst,mmoe(experts=4)`)",
)
_string(
    "judge_at",
    "last",
    "with `--compare`: [the epoch](comparing.md#at-which-epoch-networks-are-judged) at which networks are judged: "
    "`last`, `best_per_task` or `best_mean`",
)
_string(
    "sweep",
    None,
    "train [each combination](parallel.md#sweeps) of these settings, and rank them by validation: "
    "`learning_rate=1e-3,3e-4;weighting=static,pcgrad`",
)
_list(
    "seeds",
    None,
    "with `--compare` or `--sweep`: train each network with each of these seeds; by default `--seed`",
)
_string(
    "parallel",
    None,
    "with `--compare` or `--sweep`: [number of runs at a time](parallel.md), each in its own process; or `ray`, "
    "`ray:ADDRESS`: tasks of a Ray cluster. By default one after another in one process",
)
flags.DEFINE_integer(
    "run_cpus",
    None,
    "with `--parallel`: CPU cores of each run; by default an equal share of this machine, on a Ray cluster 1",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "run_gpus",
    None,
    "with `--parallel`: GPUs of each run, a whole number, or a share as `0.5`; by default an equal share of this "
    "machine, on a Ray cluster 0",
    flag_values=FLAGS,
)
_string(
    "run_dir",
    None,
    "directory of the run; must be new unless `--resume` is given. By default `runs/<experiment or dataset>-<time>`",
)
_bool("resume", False, "[resume](resuming.md) the interrupted run, comparison or sweep in `--run_dir`")
define_settings(FLAGS)


def main(values: flags.FlagValues) -> None:
    """Lists presets, trains a run or trains a comparison, as the flags say."""
    if values.list:
        _print_presets()
        return
    if values.resume and values.run_dir is None:
        raise ValueError("--resume needs --run_dir, the run to resume.")
    name = values.experiment or Path(values.dataset.rpartition(":")[2]).absolute().stem
    folder = Path(values.run_dir or f"runs/{name}-{datetime.now():%Y%m%d-%H%M%S}")
    if values.compare is not None and values.sweep is not None:
        raise ValueError("Pass --compare or --sweep, not both.")
    if values.sweep is not None or (values.resume and _is("sweep", folder)):
        if values["judge_at"].present:
            raise ValueError("--judge_at is for comparisons: a sweep is ranked by validation.")
        _in_folder(_sweep, values, folder)
    elif values.compare is not None or (values.resume and _is("comparison", folder)):
        _in_folder(_compare, values, folder)
    else:
        for name, needed in _FOR_SEVERAL.items():
            if values[name].present:
                raise ValueError(f"--{name} is for {needed[0]}: it needs {needed[1]}.")
        _train(values, folder)


def _print_presets() -> None:
    from experiments.presets import PRESETS

    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:{width}}  {preset.purpose}")


def _train(values: flags.FlagValues, folder: Path) -> None:
    from experiments.run_directory import RunDirectory
    from experiments.runner import run
    from experiments.tables import print_evaluation
    from experiments.workers import connect_workers

    directory = RunDirectory(folder)
    # With --resume, a run that names its dataset or experiment starts if it was killed before it could: the same
    # command works each time.
    start = not values.resume or (can_start_a_run(values) and not directory.started)
    config = config_from_flags(values) if start else resumed_config(directory.config(), values)
    evaluation = run(config, directory, resume=values.resume)
    if config.verbose and connect_workers(config.distribute).is_chief:
        print_evaluation(evaluation, f"{folder}: best.keras on the test split")
        print(f"Report: {directory.report_file}")
        for name in config.export:
            print(f"{_FORMAT_TITLES[name]}: {directory.exported_model(name)}")
        # On a separate line, since the folder of a run may be long.
        print(f"tensorboard --logdir {directory.tensorboard}")


_FORMAT_TITLES = {"saved_model": "SavedModel", "onnx": "ONNX", "litert": "LiteRT"}


_SEVERAL = ("comparisons and sweeps", "--compare or --sweep")
_FOR_SEVERAL = {
    "seeds": _SEVERAL,
    "judge_at": ("comparisons", "--compare"),
    "parallel": _SEVERAL,
    "run_cpus": _SEVERAL,
    "run_gpus": _SEVERAL,
}
"""Flags that a single run does not have: what they are for, and the flags that they need."""


def _is(kind: str, folder: Path) -> bool:
    from experiments.plan import is_comparison
    from experiments.sweep import is_sweep

    return {"sweep": is_sweep, "comparison": is_comparison}[kind](folder)


def _in_folder(
    train: Callable[[flags.FlagValues, Path, Execution], None], values: flags.FlagValues, folder: Path
) -> None:
    """Trains several runs. If this is interrupted, prints the command that resumes it."""
    from experiments.many_runs import Execution

    execution = Execution(values.parallel, values.run_cpus, values.run_gpus)
    try:
        if values.distribute == "multi_worker":
            raise ValueError(
                "The runs of a comparison or sweep have one process each. Received: --distribute=multi_worker with "
                "--compare or --sweep"
            )
        train(values, folder, execution)
    except KeyboardInterrupt:
        if _is("sweep", folder) or _is("comparison", folder):
            command = ["python", "train.py", "--resume", "--run_dir", str(folder), *execution.flags()]
            print(f"To resume: {shlex.join(command)}", file=sys.stderr)
        raise


def _compare(values: flags.FlagValues, folder: Path, execution: Execution) -> None:
    from experiments.comparison_report import report_comparison
    from experiments.plan import Plan, is_comparison
    from experiments.plan_runner import run_plan
    from experiments.run_directory import RunDirectory

    seeds = seeds_from_flags(values)
    if values.resume and (is_comparison(folder) or not can_start_a_run(values)):
        stored = Plan.load(folder)
        if values["judge_at"].present and values.judge_at != stored.judge_at:
            raise ValueError(
                f"--resume cannot change judge_at={stored.judge_at!r}. Received: --judge_at={values.judge_at!r}"
            )
        plan = Plan(
            # All runs of a comparison have the same budget, so later runs use that of the existing ones.
            resumed_config(stored.config, values, may_change=("data_dir", "verbose")),
            tuple(dict.fromkeys((*stored.baselines, *specifications(values.compare or ())))),
            tuple(dict.fromkeys((*stored.seeds, *seeds))),
            stored.judge_at,
        )
    else:
        RunDirectory(folder).check_new()
        plan = Plan(config_from_flags(values), specifications(values.compare), seeds or (values.seed,), values.judge_at)
    run_plan(plan, folder, execution)
    report_comparison([folder], quiet=not plan.config.verbose)


def _sweep(values: flags.FlagValues, folder: Path, execution: Execution) -> None:
    from experiments.run_directory import RunDirectory
    from experiments.sweep import Sweep, is_sweep, parse_sweep, run_sweep

    seeds = seeds_from_flags(values)
    grid = {} if values.sweep is None else parse_sweep(values.sweep)
    for name in grid:
        if values[name].present:
            raise ValueError(f"Pass --{name} or --sweep {name}=..., not both.")
    if values.resume and (is_sweep(folder) or not can_start_a_run(values)):
        stored = Sweep.load(folder)
        if grid and grid != stored.grid:
            raise ValueError(f"--resume cannot change the settings of a sweep. Received: --sweep={values.sweep!r}")
        config = resumed_config(stored.config, values, may_change=("data_dir", "verbose"))
        sweep = Sweep(config, stored.grid, tuple(dict.fromkeys((*stored.seeds, *seeds))))
    else:
        RunDirectory(folder).check_new()
        sweep = Sweep(config_from_flags(values), grid, seeds or (values.seed,))
    run_sweep(sweep, folder, execution)


def program(arguments: Sequence[str]) -> None:
    """Runs the program with `sys.argv`."""
    command_line(main, FLAGS, arguments)


if __name__ == "__main__":
    program(sys.argv)
