"""What a sweep trains, and how it is ranked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.config import RunConfig
from experiments.sweep import Sweep, parse_sweep

CONFIG = RunConfig(synthetic=True, schedule="dst")


def test_settings_have_the_values_of_their_flags() -> None:
    grid = parse_sweep("learning_rate=1e-3, 3e-4; weighting=static,cagrad(c=0.2, rescale=1);augment=true,false;")
    assert grid == {
        "learning_rate": (1e-3, 3e-4),
        "weighting": ("static", "cagrad(c=0.2, rescale=1)"),
        "augment": (True, False),
    }
    assert parse_sweep("task_weights=(item=1,group=0.5),(item=2),group=0")["task_weights"] == (
        {"item": 1.0, "group": 0.5},
        {"item": 2.0},
        {"group": 0.0},
    )
    assert parse_sweep("image_size=64,64x96") == {"image_size": ((64, 64), (64, 96))}


def test_every_combination_is_trained_with_every_seed(tmp_path: Path) -> None:
    sweep = Sweep(CONFIG, parse_sweep("batch_size=8,16;model=cnn(filters=4),keras_hub('x/y')"), (0, 3))
    runs = {str(folder): config for folder, config in sweep.runs()}
    assert list(runs) == [
        f"{name}/seed-{seed}"
        for seed in (0, 3)
        for name in (
            "1-batch_size=8,model=cnn(filters=4)",
            "2-batch_size=8,model=keras_hub(_x_y_)",
            "3-batch_size=16,model=cnn(filters=4)",
            "4-batch_size=16,model=keras_hub(_x_y_)",
        )
    ]
    last = runs["4-batch_size=16,model=keras_hub(_x_y_)/seed-3"]
    assert (last.batch_size, last.model, last.seed, last.schedule) == (16, "keras_hub('x/y')", 3, "dst")
    sweep.save(tmp_path)
    assert Sweep.load(tmp_path) == sweep


def test_the_best_mean_of_validation_is_first(tmp_path: Path) -> None:
    sweep = Sweep(CONFIG, {"batch_size": (1, 2, 3)}, (0, 1))
    scores = {1: [(0.1, 0.5), (0.2, 0.6)], 2: [(0.9, 0.3), (0.5, "")], 3: [(1.0, 1.0)]}
    for folder, config in sweep.runs():
        if config.seed < len(scores[config.batch_size]):
            (tmp_path / folder).mkdir(parents=True)
            rows = "".join(f"{n},{score}\n" for n, score in enumerate(scores[config.batch_size][config.seed]))
            (tmp_path / folder / "history.csv").write_text(f"epoch,val_mtl_score\n{rows}")
            (tmp_path / folder / "metrics.json").write_text("{}")
    ranking = sweep.ranking(tmp_path)
    assert [(trial.settings["batch_size"], trial.mean) for trial in ranking[:2]] == [(2, 0.7), (1, 0.55)]
    assert ranking[0].deviation == pytest.approx(0.08**0.5)
    assert ranking[2].settings["batch_size"] == 3  # the best score, but of one seed only
    sweep.save(tmp_path, ranking)
    stored = json.loads((tmp_path / "sweep.json").read_text())["trials"]
    assert [trial["settings"]["batch_size"] for trial in stored] == [2, 1, 3]
    assert stored[2]["val_mtl_score"] == {"mean": None, "std": None, "seeds": {"0": 1.0, "1": None}}
