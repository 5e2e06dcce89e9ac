"""The benchmarks of growth, of many tasks and of GPUs, at the smallest sizes: that they work, not the times."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from benchmarks import curves, figures, gpu, growth, growth_start, law, many_heads
from mtl_keras import Task, TaskSet


def test_a_law_is_found_again() -> None:
    found = law.fit([1, 10, 400], [2.5, 7.0, 202.0])
    assert (found.constant, found.slope, found.deviation) == pytest.approx((2, 0.5, 0), abs=1e-9)
    assert found(6) == pytest.approx(5)
    bent = law.fit([1, 2, 3, 4], [6, 11, 18, 27], degree=2)
    assert (bent.constant, bent.slope, bent.bend, bent(5)) == pytest.approx((3, 2, 1, 38))


def test_a_law_minds_relative_errors() -> None:
    # 1% of the last point is as much as 1% of the first.
    found = law.fit([1, 1, 100], [0.99, 1.01, 200.0])
    assert found.deviation == pytest.approx(0.01, rel=0.02)
    assert law.Law(2.0, -0.25, 0.125).text("s", "task") == "2 s - 0.25 s per task, at most 12% off"
    assert (
        law.Law(2.0, 1.0, 0.1, 0.5).text("s", "task") == "2 s + 1 s per task + 0.5 s per task squared, at most 10% off"
    )


@pytest.mark.parametrize(("x", "y"), [([1, 1], [1, 2]), ([1, 2], [1]), ([1, 2], [1, 0])])
def test_no_law_without_points(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="A law needs 2 different x"):
        law.fit(x, y)


def test_a_table_has_what_was_measured_and_its_law() -> None:
    ours = curves.Curve("ours", {1: [1, 2, 3], 4: [16, 17, 18]}, "ms", "pixel", power=2)
    stock = curves.Curve("stock", {1: [4, 4, 4], 2: [5, 5, 5]}, "ms", "pixel")
    assert curves.table([ours, stock], "side").splitlines() == [
        "| side | ours (ms) | stock (ms) |",
        "|---:|---:|---:|",
        "| 1 | 2 (1.5 - 2.5) | 4 (4 - 4) |",
        "| 4 | 17 (16.5 - 17.5) | - |",
        "| 2 | - | 5 (5 - 5) |",
        "",
        f"- ours: {ours.law.text('ms', 'pixel')}",
        f"- stock: {stock.law.text('ms', 'pixel')}",
    ]
    assert (ours.law.constant, ours.law.slope) == pytest.approx((1, 1))
    assert ours.growth("step") == figures.of_values("step, ours: 4 / 1", [16, 8.5, 6])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and trunks of a few milliseconds, and starts in this process."""
    for room, name, value in (
        (many_heads, "STEPS", 1),
        (many_heads, "TRUNK", "mlp(dense=2, depth=1)"),
        (growth, "TASKS", (1, 2, 4)),
        (growth, "ACTIVE", (1, 2)),
        (growth, "SIDES", (8, 16)),
        (growth, "BATCHES", (1, 2)),
        (growth, "FEW", 2),
        (growth, "averaged", keras.layers.Flatten()),
    ):
        monkeypatch.setattr(room, name, value)
    monkeypatch.setattr(growth_start, "in_own_process", lambda kind, tasks: {"start": tasks + 1.0, "memory": 9.0})


@pytest.mark.usefixtures("tiny")
def test_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(many_heads, "KINDS", {"MultiTaskModel": many_heads.KINDS["MultiTaskModel"]})
    monkeypatch.setattr(many_heads, "warm_up", lambda: None)
    flags = ["--rounds=2", "--starts=2", "--stock=2", "--parts", "start", "active", "side"]
    growth.main([*flags, f"--plots={tmp_path}", f"--json={tmp_path / 'figures.json'}"])
    names = [figure.what for figure in figures.read(tmp_path / "figures.json")]
    assert "start-up, against tasks, MultiTaskModel: 4 / 1" in names
    assert "step, against active tasks of 2, two layers each: 2 / 1" in names
    assert "- MultiTaskModel: 1 s + 1 s per task" in capsys.readouterr().out
    plots = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert plots == [
        "growth_active_step.svg",
        "growth_side_step.svg",
        "growth_start_peak_memory.svg",
        "growth_start_start_up.svg",
    ]
    assert ">MultiTaskModel</text>" in (tmp_path / plots[1]).read_text()


def test_a_start_in_its_own_process_can_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit('too late')")
    monkeypatch.setattr(growth_start, "__file__", str(script))
    with pytest.raises(RuntimeError, match=r"stock with 3 tasks ended with exit code 1.*too late"):
        growth_start.in_own_process("stock", 3)


@pytest.mark.usefixtures("tiny")
def test_a_start_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_start, "ROUNDS", 1)
    found = growth_start.measure("MultiTaskModel", 2)
    assert found["start"] > 0
    assert found["memory"] > 50  # TensorFlow alone takes more


@pytest.mark.usefixtures("tiny")
def test_many_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = many_heads.noise(2)
    model, _ = many_heads.started("MultiTaskModel", *few)
    monkeypatch.setattr(many_heads, "faces", lambda: few)
    monkeypatch.setattr(many_heads, "noise", lambda heads: few)
    monkeypatch.setattr(many_heads, "started", lambda kind, *_: (model, 60.0 if kind == "stock" else 6.0))
    many_heads.main(["--rounds=2", "--starts=1", f"--json={tmp_path / 'figures.json'}"])
    found = figures.read(tmp_path / "figures.json")
    assert [figure.target for figure in found] == ["<= 0.25", ">= 1.25"] * 2 + ["<= 0.125", ">= 1.7"]
    assert [figure.value for figure in found[::2]] == pytest.approx([0.1] * 3, rel=0.2)


def test_ways_on_a_gpu_or_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = TaskSet([Task.binary("one"), Task.binary("two")])
    monkeypatch.setitem(gpu.NETWORKS, "fashion_mnist", ("mlp(dense=4, depth=1)", tasks, (4, 4, 1)))
    monkeypatch.setattr(gpu, "WAYS", (gpu.Way(True, False),))
    policy = keras.config.dtype_policy()
    flags = ["--rounds=2", "--steps=1", "--batch=2", "--networks", "fashion_mnist"]
    gpu.main([*flags, f"--json={tmp_path / 'figures.json'}"])
    assert keras.config.dtype_policy() == policy
    where, half = gpu.device(), gpu.half_policy()
    found = [figure.what for figure in figures.read(tmp_path / "figures.json")]
    assert f"{where}, fashion_mnist: steps/s, {half}, no XLA: MultiTaskModel / stock" in found
    assert f"{where}, fashion_mnist: step, {half}, no XLA: pcgrad / all tasks" in found
    assert f"\n| {half}, no XLA |" in capsys.readouterr().out


def test_figures_say_which_device_and_way() -> None:
    plain, fast = gpu.Way(False, False), gpu.Way(False, True)
    seconds = {(way, kind): [0.4] for way in (plain, fast) for kind in gpu.KINDS}
    seconds[fast, gpu.OURS] = [0.1]
    seconds[fast, gpu.DROPPED] = [0.05]
    found = {figure.what: figure.value for figure in gpu.found_on("Toy", "cifar10", seconds)}
    assert found["Toy, cifar10: step, float32, XLA / float32, no XLA"] == 0.25
    assert found["Toy, cifar10: steps/s, float32, XLA: MultiTaskModel / stock"] == 4
    assert found["Toy, cifar10: step, float32, XLA: one task dropped / all tasks"] == 0.5
    assert len(found) == 7
    assert gpu.table(seconds).splitlines()[2:] == [
        "| float32, no XLA | 2.5 | 2.5 | 2.5 | 2.5 |",
        "| float32, XLA | 2.5 | 10.0 | 20.0 | 2.5 |",
    ]


def test_too_few_stock_models_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        growth.main(["--stock=1"])
    assert "--stock must be at least 2" in capsys.readouterr().err
