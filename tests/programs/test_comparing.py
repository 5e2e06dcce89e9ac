"""`--compare`: several networks and seeds in one go, resumable, and what comes out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments import many_runs
from experiments.config import RunConfig
from experiments.run_directory import RunDirectory
from tests.programs.conftest import Program
from tests.reports.records import write_comparison

FLAGS = ["--experiment=fashion_mnist", "--synthetic", "--smoke", "--model=mlp(dense=8)", "--seeds=0"]
FLAGS += ["--compare=single_task"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparisons") / "garments"


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Made-up records of a comparison with three seeds and the baselines single_task and equal_weights."""
    return write_comparison(tmp_path / "finished")


def test_a_comparison_that_was_broken_off_redoes_only_the_run_it_was_in(
    program: Program, drawn: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    run = many_runs.run

    def broken_off(config: RunConfig, directory: RunDirectory, **settings: Any) -> object:
        begun.append(directory.path.relative_to(folder))
        if len(begun) == 2:
            directory.create(config, {})
            raise KeyboardInterrupt
        return run(config, directory, **settings)

    monkeypatch.setattr(many_runs, "run", broken_off)
    assert program("train", *FLAGS, f"--data_dir={drawn}", f"--run_dir={folder}").code == 130
    finished = {path: (folder / path / "metrics.json").stat().st_mtime_ns for path in begun[:1]}
    outcome = program("train", "--resume", f"--run_dir={folder}", "--epochs=2")
    assert "--resume cannot change epochs=1" in outcome.err
    outcome = program("train", "--resume", f"--run_dir={folder}", "--judge_at=best_mean")
    assert "--resume cannot change judge_at='last'" in outcome.err
    outcome = program("train", "--resume", f"--run_dir={folder}")
    assert outcome.code == 0, outcome.err
    assert begun[1] == begun[2]
    assert len(begun) == 4
    assert len(set(begun)) == 3
    assert {path: (folder / path / "metrics.json").stat().st_mtime_ns for path in finished} == finished


def test_its_outcome_has_every_task_measure_and_cost(folder: Path) -> None:
    (against_single,) = json.loads((folder / "comparison.json").read_text())
    assert (against_single["baseline"], against_single["seeds"]) == ("single_task", [0])
    measures = {(m["split"], m["metric"]): m["tasks"] for m in against_single["measures"]}
    assert set(measures) == {("test", "primary"), ("train", "primary"), ("test", "loss"), ("train", "loss")}
    item, _ = measures["test", "primary"]
    assert (item["task"], item["metric"], item["higher_is_better"]) == ("item", "accuracy", True)
    assert against_single["judge_at"] == "last"
    runs = [folder / part / "seed-0" for part in ("multi_task", "single_task/item")]
    evaluations = [json.loads((run / "evaluation-last-test.json").read_text()) for run in runs]
    together, alone = (evaluation["tasks"]["item"]["accuracy"]["value"] for evaluation in evaluations)
    assert item["method"]["mean"] == pytest.approx(together)
    assert item["difference"]["mean"] == pytest.approx(together - alone)
    files = [folder / "single_task" / task / "seed-0" / "metrics.json" for task in ("item", "group")]
    parameters = [json.loads(file.read_text())["cost"]["parameters"] for file in files]
    assert against_single["cost"]["baseline"]["parameters"] == sum(parameters)
    assert against_single["cost"]["method"]["parameters"] < sum(parameters)


def test_seeds_can_be_added(program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(config: RunConfig, directory: RunDirectory, **settings: Any) -> None:
        assert config.seed == 1
        shutil.copytree(directory.path.with_name("seed-0"), directory.path)
        stored = json.loads(directory.config_file.read_text())
        directory.config_file.write_text(json.dumps({**stored, "seed": 1}))

    monkeypatch.setattr(many_runs, "run", copied)
    outcome = program("train", "--resume", f"--run_dir={folder}", "--seeds=1")
    assert outcome.code == 0, outcome.err
    assert json.loads((folder / "plan.json").read_text())["seeds"] == [0, 1]
    assert json.loads((folder / "comparison.json").read_text())[0]["seeds"] == [0, 1]
    assert "Every network is judged after its last epoch." in outcome.out


def test_a_seed_without_a_result_is_left_out(program: Program, finished: Path) -> None:
    (finished / "single_task" / "item" / "seed-1" / "metrics.json").unlink()
    outcome = program("evaluate", "--compare", str(finished / "single_task"), str(finished / "multi_task"))
    assert outcome.code == 0, outcome.err
    assert "seeds 1." in outcome.out
    (against,) = json.loads((finished / "single_task" / "comparison.json").read_text())
    assert (against["seeds"], against["seeds_left_out"]) == ([0, 2], [1])


def test_evaluate_compares_any_folders(program: Program, finished: Path) -> None:
    outcome = program("evaluate", "--compare", str(finished))
    assert outcome.code == 0, outcome.err
    assert "multi_task against single_task: primary metric, test split, 3 seeds" in outcome.out
    assert "delta_m" in outcome.out
    assert "positive is better" in outcome.out
    assert "at the epoch of its best mean over its tasks in validation" in outcome.out
    folders = f"{finished / 'equal_weights'},{finished / 'single_task'}"
    outcome = program("evaluate", f"--compare={folders}", "--tasks=item")
    assert outcome.code == 0, outcome.err
    assert "equal_weights against single_task" in outcome.out
    assert "group" not in outcome.out
    assert (finished / "equal_weights" / "comparison-item.json").exists()


def test_a_task_without_a_finished_run_is_named(program: Program, finished: Path) -> None:
    shutil.rmtree(finished / "single_task" / "group")
    outcome = program("evaluate", "--compare", str(finished))
    assert outcome.code == 0, outcome.err
    assert "no finished run on both sides: group." in outcome.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--compare", "{folder}/multi_task"], "two folders"),
        (["--compare", "{folder}/multi_task", "{folder}/nowhere"], "nowhere"),
        (["--compare", "{folder}", "--tasks=itme"], "task in tasks. Did you mean 'item'"),
        (
            ["--compare", "{folder}", "--judge_at=best_per_task"],
            "was not evaluated by this rule. Choices: best_mean",
        ),
        (["--run_dir={folder}", "--judge_at=last"], "only for --compare"),
        ([], "--run_dir"),
        (["--run_dir={folder}"], "This is a comparison, not a run. Pass --compare "),
        (["--run_dir={folder}", "--predict=photo.jpg"], "This is a comparison, not a run. Pass --compare "),
        (["--compare", "{folder}", "--run_dir={folder}"], "not both"),
    ],
)
def test_mistakes_in_evaluate(program: Program, finished: Path, flags: list[str], message: str) -> None:
    outcome = program("evaluate", *(flag.format(folder=finished) for flag in flags))
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_groups_are_proposed_from_measured_affinities_and_trained(
    program: Program, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "groups"
    flags = [flag for flag in FLAGS if not flag.startswith("--compare")]
    name = "affinity(networks=1, every=1)"
    outcome = program("train", *flags, f"--data_dir={drawn}", f"--run_dir={folder}", f"--compare={name}")
    assert outcome.code == 0, outcome.err
    proposal = json.loads((folder / name / "groups.json").read_text())
    assert (proposal["groups"], proposal["exact"]) == ([["item", "group"]], True)
    measured = json.loads((folder / proposal["measured_in"] / "affinity.json").read_text())
    assert proposal["affinity"] == measured["run"]
    assert json.loads((folder / proposal["measured_in"] / "config.json").read_text())["seed"] == 10_000
    assert f"{name}: proposed from" in outcome.out
    (against,) = json.loads((folder / "comparison.json").read_text())
    assert (against["baseline"], against["tasks"]) == (name, ["item", "group"])

    def not_again(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("a finished comparison trains nothing")

    monkeypatch.setattr(many_runs, "run", not_again)
    assert program("train", "--resume", f"--run_dir={folder}").code == 0
