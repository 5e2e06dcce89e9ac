"""Several runs at a time, with processes that do not train: `tests/faults/test_many_runs.py` has those that do."""

from __future__ import annotations

import io
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
from rich.console import Console

from experiments import local_runs, many_runs
from experiments.config import RunConfig
from experiments.local_runs import LocalRuns, Share, shares
from experiments.many_runs import Execution, run_all
from experiments.run_job import FAILED, FINISHED, NO_RESULT, RETRIES, Outcome, RunJob, perform
from experiments.runs_display import RunsDisplay

CONFIG = RunConfig(synthetic=True, epochs=3)

# Kills itself as often as the name of the run says; "wait" does not end by itself.
FAKE_WORKER = """
import json, os, pathlib, signal, sys, time
for line in sys.stdin:
    path = pathlib.Path(json.loads(line)["path"])
    with path.open("a") as file:
        file.write("x")
    if path.name == "wait":
        print("waiting", file=sys.stderr)
        time.sleep(60)
    if path.stat().st_size <= int(path.name):
        os.kill(os.getpid(), signal.SIGKILL)
    print(json.dumps(["finished", ""]), flush=True)
"""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> LocalRuns:
    found = LocalRuns([Share(), Share()])
    for worker in found._workers:
        monkeypatch.setattr(worker, "_command", [sys.executable, "-c", FAKE_WORKER])
    return found


def test_killed_runs_are_retried_some_times(runs: LocalRuns, tmp_path: Path) -> None:
    futures = [runs.submit(RunJob(CONFIG, tmp_path / str(kills))) for kills in (0, 2, RETRIES + 1)]
    good, retried, lost = [future.result(timeout=60) for future in futures]
    runs.stop()
    assert (good, retried) == (Outcome(FINISHED), Outcome(FINISHED))
    assert lost.state == FAILED
    assert f"its process was killed {RETRIES + 1} times (Killed)" in lost.reason
    assert (tmp_path / str(RETRIES + 1)).read_text() == "x" * (RETRIES + 1)


def test_all_processes_end_when_runs_are_stopped(runs: LocalRuns, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = [tmp_path / "wait", tmp_path / "a" / "wait"]
    running = [runs.submit(RunJob(CONFIG, path)) for path in paths]
    waiting = runs.submit(RunJob(CONFIG, tmp_path / "0"))
    while not all(path.exists() for path in paths):
        assert not any(future.done() for future in running)
        time.sleep(0.01)
    runs.stop()
    assert waiting.cancelled()
    assert [worker._process is not None and worker._process.poll() is not None for worker in runs._workers] == [
        True
    ] * 2


def test_a_machine_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_runs, "available_cores", lambda: (0, 1, 4, 5))
    monkeypatch.setattr(local_runs, "available_gpus", lambda: ("2", "5"))

    def divided(at_once: int, cpus: int | None = None, gpus: float | None = None) -> list[tuple[str, ...]]:
        found = shares(at_once, cpus, gpus)
        assert {part.environment["TF_NUM_INTRAOP_THREADS"] for part in found} == {str(len(found[0].cores))}
        return [(",".join(map(str, part.cores)), part.environment["CUDA_VISIBLE_DEVICES"]) for part in found]

    assert divided(2) == [("0,1", "2"), ("4,5", "5")]
    assert divided(1) == [("0,1,4,5", "2,5")]
    assert divided(2, cpus=3) == [("0,1,4", "2"), ("0,1,5", "5")]  # core 5, then the first ones again
    assert divided(4, gpus=0.5) == [("0", "2"), ("1", "2"), ("4", "5"), ("5", "5")]
    assert divided(4, gpus=0) == [("0", ""), ("1", ""), ("4", ""), ("5", "")]
    with pytest.raises(ValueError, match=r"Pass --run_gpus 0.33, .* Received: --parallel 5 with 2 GPUs"):
        shares(5, None, None)
    with pytest.raises(ValueError, match=r"--parallel 2 with --run_gpus 2 needs 4 GPUs. This machine has 2"):
        shares(2, None, 2)


@pytest.mark.parametrize("parallel", ["0", "two", "rays", "ray:", "2:ray"])
def test_an_unknown_way_is_met_with_the_choices(parallel: str) -> None:
    with pytest.raises(ValueError, match=r"--parallel takes a number .* >= 1, ray or ray:ADDRESS. Received: '"):
        Execution(parallel)


def test_a_run_that_fails_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = []

    class Fake:
        def submit(self, job: RunJob) -> Future[Outcome]:
            future: Future[Outcome] = Future()
            if job.path.name != "never":
                future.set_result(perform(job))
            return future

        def stop(self) -> None:
            stopped.append(True)

    monkeypatch.setattr(many_runs.Execution, "start", lambda _: Fake())
    bad = RunJob(RunConfig(data_dir=str(tmp_path / "nothing")), tmp_path / "bad")
    with pytest.raises(ChildProcessError, match=r"bad: .*nothing") as caught:
        run_all([RunJob(CONFIG, tmp_path / "never"), bad], tmp_path, Execution("2"))
    assert stopped == [True]
    assert "output" not in str(caught.value)
    assert not bad.path.exists()  # as without a process of its own


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_display(tmp_path: Path) -> None:
    jobs = [RunJob(CONFIG, tmp_path / name) for name in "abc"]
    (tmp_path / "a").mkdir()
    jobs[0].directory.output_file.write_text("--- attempt of an earlier comparison\n")
    plain = Console(file=io.StringIO(), width=80)
    terminal = Console(file=Terminal(), width=80, height=20, force_terminal=True, legacy_windows=False)
    with RunsDisplay(jobs, tmp_path, 1, plain) as lines, RunsDisplay(jobs, tmp_path, 1, terminal) as live:
        for job, text in zip(jobs[:2], ("--- attempt on x\n", "--- attempt on x\n--- attempt on x\n")):
            job.path.mkdir(exist_ok=True)
            with job.directory.output_file.open("a") as file:
                file.write(text)
        jobs[1].directory.history_file.write_text("epoch,loss\n0,1\n")
        for display in (lines, live):
            display.refresh()
            display.end(jobs[0], Outcome(NO_RESULT, "The loss of task item is NaN"))
            display.refresh()
    assert plain.file.getvalue().splitlines() == [
        "[0/3] a: started",
        "[0/3] b: process killed, attempt 2: resumed from epoch 2",
        "[1/3] a: no result after 0 s: The loss of task item is NaN",
    ]
    drawn = terminal.file.getvalue()
    assert "epoch 2 of 3, 0 s, attempt 2" in drawn
    assert "no result, 0 s" in drawn
    assert "waiting" in drawn
    quiet = Console(file=io.StringIO())
    with RunsDisplay(jobs, tmp_path, 0, quiet) as display:
        display.end(jobs[0], Outcome(FINISHED))
    assert quiet.file.getvalue() == ""
