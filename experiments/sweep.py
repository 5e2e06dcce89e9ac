"""`Sweep`: runs with each combination of some settings, ranked by their validation scores."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.config import SETTINGS, RunConfig
from experiments.files import read_history, read_json, write_json
from experiments.lock import locked
from experiments.many_runs import Execution, run_all
from experiments.recorder import MONITOR
from experiments.run_directory import RunDirectory
from experiments.run_flags import parse_setting, specifications, train_command
from experiments.run_job import RunJob
from mtl_keras.checks import unknown_value

_FILE = "sweep.json"
_FIXED = (
    # Scores on other data or of other tasks cannot be compared.
    "experiment dataset synthetic examples tasks task_types features feature_types on_bad_example "
    # These do not affect the score.
    "data_dir cache verbose profile export distribute "
    # Each combination is trained with all of `--seeds`.
    "seed"
).split()
_LONGEST_NAME = 120  # characters of a folder's name


def parse_sweep(text: str) -> dict[str, tuple[Any, ...]]:
    """Returns the values of each setting from a text such as `"learning_rate=1e-3,3e-4;weighting=static,pcgrad"`.

    Commas within brackets do not separate values. A value with commas of its own is in brackets:
    `"task_weights=(item=1,group=0.5),(item=1,group=1)"`.

    Raises:
        ValueError: for anything else, an unknown setting, one that cannot vary, a repeated setting or value, or a value
            that the setting does not accept.
    """
    grid: dict[str, tuple[Any, ...]] = {}
    for part in filter(str.strip, text.split(";")):
        name, equals, entries = (each.strip() for each in part.partition("="))
        if not equals or not entries:
            raise ValueError(f"--sweep takes setting=value,value;setting=value,value. Received: {part.strip()!r}")
        if name in _FIXED:
            raise ValueError(
                f"--sweep cannot vary {name}: it changes the data or the tasks, or nothing that is compared."
            )
        if name not in SETTINGS:
            raise unknown_value("setting of --sweep", name, [each for each in SETTINGS if each not in _FIXED])
        if name in grid:
            raise ValueError(f"--sweep takes each setting once. Received twice: {name}")
        for entry in specifications(entries.split(",")):
            if entry.partition("=")[0].strip() in SETTINGS:
                raise ValueError(f"--sweep separates settings by semicolons, not commas. Received: {part.strip()!r}")
        values = tuple(parse_setting(name, _without_brackets(entry)) for entry in specifications(entries.split(",")))
        for value in values:
            SETTINGS[name].check(name, value)
            if values.count(value) > 1:
                raise ValueError(f"--sweep takes different values of a setting. Received twice: {name}={value}")
        grid[name] = values
    if not grid:
        raise ValueError(f"--sweep takes setting=value,value;setting=value,value. Received: {text!r}")
    return grid


def _without_brackets(entry: str) -> str:
    return entry[1:-1] if entry.startswith("(") and entry.endswith(")") else entry


@dataclass(frozen=True)
class Trial:
    """A combination of settings with its scores.

    Args:
        settings: the settings that the sweep varies.
        path: the folder of its runs.
        scores: seed -> the best `val_mtl_score` of the run; NaN without a result.
    """

    settings: Mapping[str, Any]
    path: Path
    scores: Mapping[int, float]

    @property
    def mean(self) -> float:
        """The mean of the scores, NaN if a seed has no result."""
        return statistics.fmean(self.scores.values())

    @property
    def deviation(self) -> float:
        """The standard deviation of the scores (divisor n - 1), NaN for fewer than two."""
        values = list(self.scores.values())
        return statistics.stdev(values) if len(values) > 1 and not math.isnan(self.mean) else math.nan


@dataclass(frozen=True)
class Sweep:
    """The runs with each combination of some settings and each seed.

    Args:
        config: the other settings; its seed is not used.
        grid: setting -> its values.
        seeds: each combination is trained once with each seed.

    Raises:
        ValueError: if there is no seed, or one is repeated.
    """

    config: RunConfig
    grid: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"--seeds takes one or more different values. Received: {list(self.seeds)!r}")

    def combinations(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yields the folder of each combination, relative to the sweep's, and its settings."""
        every = list(itertools.product(*self.grid.values()))
        digits = len(str(len(every)))
        for number, values in enumerate(every, 1):
            settings = dict(zip(self.grid, values))
            words = ",".join(f"{name}={_shown(value)}" for name, value in settings.items())
            name = re.sub(r"[^\w.,=()\[\]+-]+", "_", f"{number:0{digits}}-{words}")
            yield Path(name[:_LONGEST_NAME]), settings

    def runs(self) -> Iterator[tuple[Path, RunConfig]]:
        """Yields the folder (relative to the sweep's) and the settings of each run, seed by seed."""
        for seed in self.seeds:
            for folder, settings in self.combinations():
                yield folder / f"seed-{seed}", dataclasses.replace(self.config, **settings, seed=seed)

    def ranking(self, folder: Path) -> list[Trial]:
        """Returns the finished combinations, the best first; those with a seed without a result come last.

        The score of a run is its best `val_mtl_score`: the test split is not used.

        Args:
            folder: the folder of the sweep.
        """
        trials = []
        for part, settings in self.combinations():
            scores = {seed: _best_score(RunDirectory(folder / part / f"seed-{seed}")) for seed in self.seeds}
            trials.append(Trial(settings, folder / part, scores))
        return sorted(trials, key=lambda trial: math.inf if math.isnan(trial.mean) else -trial.mean)

    def save(self, folder: Path, ranking: list[Trial] | None = None) -> None:
        """Writes the sweep, and its ranking when it is finished, into its folder."""
        folder.mkdir(parents=True, exist_ok=True)
        trials = [
            {
                "rank": rank,
                "settings": trial.settings,
                "folder": trial.path.name,
                MONITOR: {"mean": trial.mean, "std": trial.deviation, "seeds": trial.scores},
            }
            for rank, trial in enumerate(ranking or (), 1)
        ]
        content = {"config": self.config.to_json(), "grid": self.grid, "seeds": self.seeds, "trials": trials}
        write_json(folder / _FILE, content)

    @classmethod
    def load(cls, folder: Path) -> Sweep:
        """Returns the sweep written by `save`.

        Raises:
            ValueError: if there is none or it is damaged, naming the file.
        """
        values: dict[str, Any] = read_json(folder / _FILE)
        try:
            grid = {
                name: tuple(getattr(RunConfig.from_json({name: value}), name) for value in entries)
                for name, entries in values["grid"].items()
            }
            return cls(RunConfig.from_json(values["config"]), grid, tuple(values["seeds"]))
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise ValueError(f"{folder / _FILE} is damaged: {cause}") from cause


def is_sweep(folder: Path) -> bool:
    """Returns whether a folder is that of a sweep."""
    return (folder / _FILE).exists()


def run_sweep(sweep: Sweep, folder: Path, execution: Execution | None = None) -> None:
    """Trains the runs that are not finished, as `run_all` does; ranks and prints the combinations.

    Args:
        sweep: the runs to train.
        folder: the folder of the sweep.
        execution: where they are trained; by default one after another in this process.
    """
    jobs = [RunJob(config, folder / part) for part, config in sweep.runs()]
    for job in jobs:
        job.config.check()
    with locked(folder):
        sweep.save(folder)
        try:
            run_all(jobs, folder, execution or Execution())
        finally:
            if not any(job.directory.started for job in jobs):
                (folder / _FILE).unlink()
        ranking = sweep.ranking(folder)
        sweep.save(folder, ranking)
    if sweep.config.verbose:
        print_ranking(sweep, ranking, folder)


def print_ranking(sweep: Sweep, ranking: list[Trial], folder: Path, console: Console | None = None) -> None:
    """Prints the combinations, the best first, and how to train the best one."""
    console = console or Console()
    count = len(sweep.seeds)
    title = f"best {MONITOR} in validation, mean ± standard deviation of {count} seed{'s' * (count > 1)}"
    table = Table(title=title, title_justify="left")
    for name in ("rank", *sweep.grid, MONITOR):
        table.add_column(name, justify="right" if name in ("rank", MONITOR) else "left")
    for rank, trial in enumerate(ranking, 1):
        score = "no result" if math.isnan(trial.mean) else f"{trial.mean:.4f}"
        score += "" if math.isnan(trial.deviation) else f" ± {trial.deviation:.4f}"
        table.add_row(str(rank), *(_shown(value) for value in trial.settings.values()), score)
    console.print(table)
    best = dataclasses.replace(sweep.config, **ranking[0].settings)
    # Each on a line of its own, to be copied.
    print(f"Best: {train_command(json.loads(json.dumps(best.to_json())))}")
    print(f"Written to {folder / _FILE}")
    print(f"tensorboard --logdir {folder}")


def _best_score(directory: RunDirectory) -> float:
    if not directory.metrics_file.exists():
        return math.nan
    scores = read_history(directory.history_file).get(MONITOR, [])
    return max((score for score in scores if not math.isnan(score)), default=math.nan)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ",".join(f"{name}={each:g}" for name, each in value.items()) + ")"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
