from __future__ import annotations

import io
import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mtl_keras.callbacks import progress
from mtl_keras.callbacks.progress import Progress
from mtl_keras.callbacks.progress_table import epoch_line, relative_change
from tests.mtl_keras.callbacks.tiny import tiny_data, tiny_model

FEW = ("item", "item_group")
MANY = (*(f"attribute_{i}" for i in range(39)), "5_o_Clock_Shadow", "a_task_with_a_name_that_is_far_too_long")


def logs_of(names: tuple[str, ...], epoch: int) -> dict[str, float]:
    """Logs in which the value of every entry is different; in later epochs, higher task numbers change more."""
    logs = {"loss": 12.3456 - epoch, "mtl_score": 0.7001, "val_loss": 23.4567, "val_mtl_score": 0.6001}
    for i, name in enumerate(names):
        logs |= {
            f"{name}_loss": 0.1011 + 0.001 * i,
            f"{name}_accuracy": 0.2011 + 0.001 * i,
            f"val_{name}_loss": (0.3011 + 0.001 * i) * (1 + epoch * i / 100),
            f"val_{name}_accuracy": 0.4011 + 0.001 * i,
            f"{name}_weight": 0.5011 + 0.001 * i,
            f"{name}_active": (i + 1) / 100,
            f"{name}_probability": 0.5,
        }
    return logs


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="standard")


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def begin(console: Console | None, names: tuple[str, ...], epochs: int = 2, steps: int | None = 10) -> Progress:
    callback = Progress(console)
    callback.set_model(SimpleNamespace(task_names=names))
    callback.set_params({"epochs": epochs, "steps": steps})
    callback.on_train_begin()
    return callback


def run_epoch(callback: Progress, epoch: int, logs: dict[str, float]) -> None:
    callback.on_epoch_begin(epoch)
    for batch in range(10):
        callback.on_train_batch_begin(batch)
    callback.on_test_begin()
    callback.on_epoch_end(epoch, logs)


def shown(callback: Progress, width: int, height: int) -> list[str]:
    """The lines of the live display, without colours."""
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(callback._render())
    return written(console).splitlines()


def test_with_many_tasks_those_that_changed_most_are_shown_in_order() -> None:
    callback = begin(terminal(), MANY)
    run_epoch(callback, 0, logs_of(MANY, 0))
    run_epoch(callback, 1, logs_of(MANY, 1))
    lines = shown(callback, 80, 24)
    callback.on_train_end()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    rows = [line.split()[0] for line in lines[4:-2]]
    assert rows[:-1] == list(MANY[24:-1])
    assert rows[-1] == "a_task_wit.._too_long"
    assert lines[-2].strip() == "... and 24 more, whose loss changed less"


def test_epoch_line_without_validation_has_training_metrics() -> None:
    logs = {"loss": 0.00012, "a_mae": 12345.6}
    assert epoch_line(9, 100, 123.4, logs, {"a": "mae", "b": "mae"}) == "epoch 10/100 123s loss=1.2e-04 a_mae=1.2e+04"


def test_epoch_line_leaves_out_what_does_not_fit() -> None:
    logs = logs_of(FEW, 0)
    line = "epoch 100/100 12s loss=12.35 val_loss=23.46 val_mtl_score=0.6001"
    assert epoch_line(99, 100, 12.0, logs, {}, width=80) == line
    assert epoch_line(99, 100, 12.0, logs, {}, width=81) == f"{line} mtl_score=0.7001"


def test_what_did_not_run_is_a_dash_and_keeps_its_last_loss_for_the_trend() -> None:
    callback = begin(terminal(), ("a",), epochs=3)
    run_epoch(callback, 0, {"loss": 1.0, "a_loss": 2.0})
    run_epoch(callback, 1, {"loss": 1.0, "a_loss": math.nan, "a_active": 0.0})
    assert shown(callback, 80, 24)[4].split() == ["a", "-", "-", "-", "-", "-", "0%", "-"]
    run_epoch(callback, 2, {"loss": 1.0, "a_loss": 1.0})
    assert shown(callback, 80, 24)[4].split()[-2:] == ["v", "-50%"]
    callback.on_train_end()


def test_trend_never_compares_training_with_validation() -> None:
    callback = begin(terminal(), ("a",), epochs=3)
    run_epoch(callback, 0, {"a_loss": 1.0, "val_a_loss": 8.0})
    run_epoch(callback, 1, {"a_loss": 1.5})
    assert shown(callback, 80, 24)[4].split()[-2:] == ["^", "+50%"]
    run_epoch(callback, 2, {"a_loss": 3.0, "val_a_loss": 6.0})
    assert shown(callback, 80, 24)[4].split()[-2:] == ["v", "-25%"]
    callback.on_train_end()


def test_relative_change() -> None:
    assert relative_change(2.0, 1.0) == -0.5
    assert relative_change(-2.0, -1.0) == 0.5
    assert relative_change(0.0, 0.0) == 0.0
    assert relative_change(0.0, 1.0) == math.inf


def test_batches_redraw_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = terminal()
    callback = begin(console, FEW)
    callback.on_epoch_begin(0)
    drawn = []
    for batch in range(10):
        now[0] = 0.4 * batch
        callback.on_train_batch_begin(batch)
        drawn.append(len(written(console)))
    callback.on_train_end()
    assert [batch for batch in range(1, 10) if drawn[batch] > drawn[batch - 1]] == [3, 6, 9]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_display_gives_way_to_other_output(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = io.StringIO()
    monkeypatch.setattr(sys, stream, other)
    console = terminal()
    callback = begin(console, FEW)
    run_epoch(callback, 0, logs_of(FEW, 0))
    assert getattr(sys, stream) is not other
    assert console._live_stack
    print("a failure", file=getattr(sys, stream))
    assert other.getvalue() == "a failure\n"
    assert getattr(sys, stream) is other
    assert not console._live_stack
    run_epoch(callback, 1, logs_of(FEW, 1))
    assert console._live_stack
    callback.on_train_end()
    assert getattr(sys, stream) is other
    assert not console._live_stack


def test_cursor_stays_visible() -> None:
    console = terminal()
    callback = begin(console, FEW)
    callback.on_epoch_begin(0)
    during = written(console)
    callback.on_train_end()
    show, hide = "\x1b[?25h", "\x1b[?25l"
    assert during.rfind(show) > during.rfind(hide)
    assert written(console).rfind(show) > written(console).rfind(hide)


def test_evaluation_alone_shows_nothing() -> None:
    console = terminal()
    Progress(console).on_test_begin()
    assert written(console) == ""


def test_model_without_tasks_is_refused() -> None:
    callback = Progress(terminal())
    callback.set_model(SimpleNamespace())
    with pytest.raises(TypeError, match="task_names"):
        callback.on_train_begin()


@pytest.mark.parametrize("in_terminal", [True, False])
def test_in_fit(in_terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=120, height=24, force_terminal=in_terminal, color_system=None)
    x, y = tiny_data()
    history = tiny_model().fit(
        x, y, batch_size=4, epochs=2, validation_data=(x, y), verbose=0, callbacks=[Progress(console)]
    )
    text = written(console)
    for epoch in range(2):
        for key in ("loss", "val_loss", "val_a_mae", "val_a_b_mae"):
            assert f"{key}={history.history[key][epoch]:.4f}" in text
    assert ("\x1b" in text) is in_terminal
    assert (f"{history.history['a_b_mae'][-1]:.4f}" in text.splitlines()[-2]) is in_terminal


def test_failing_fit_leaves_nothing_behind_once_its_error_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    error = io.StringIO()
    monkeypatch.setattr(sys, "stderr", error)
    console = terminal()
    x, y = tiny_data()

    class Fail(Progress):
        def on_test_begin(self, logs: object = None) -> None:
            super().on_test_begin()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny_model().fit(x, y, batch_size=4, verbose=0, validation_data=(x, y), callbacks=[Fail(console)])
    assert console._live_stack
    sys.stderr.write("Traceback\n")
    assert sys.stderr is error
    assert error.getvalue() == "Traceback\n"
    assert not console._live_stack


class Notebook:
    """Stands in for IPython: the outputs of a cell as text, each updated in place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[str] = []
        self.updates = 0
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=self.display))

    def display(self, content: Any, display_id: bool = False) -> Any:
        assert display_id
        place = len(self.outputs)
        self.outputs.append("")

        def update(new: Any) -> None:
            bundle = new._repr_mimebundle_((), ())
            assert bundle["text/html"].startswith("<pre")
            self.outputs[place] = bundle["text/plain"]
            self.updates += 1

        update(content)
        return SimpleNamespace(update=update)


def test_a_notebook_shows_one_output_that_changes_and_a_line_per_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    notebook = Notebook(monkeypatch)
    console = Console(file=io.StringIO(), width=80, height=24, force_jupyter=True)
    callback = begin(console, MANY)
    callback.on_epoch_begin(0)
    for batch in range(5):
        now[0] += 1.0
        callback.on_train_batch_begin(batch)
        assert f"epoch 1/2  step {batch}/10" in notebook.outputs[0]
    for epoch in range(2):
        run_epoch(callback, epoch, logs_of(MANY, epoch))
    assert "all epochs  100%" in notebook.outputs[0]
    assert "... and 24 more" in notebook.outputs[0]
    callback.on_train_end()
    assert len(notebook.outputs) == 1
    assert notebook.outputs[0].startswith("task ")
    assert all(name in notebook.outputs[0] for name in MANY[:-1])
    assert [line[:10] for line in written(console).splitlines()] == ["epoch 1/2 ", "epoch 2/2 "]
    # The next call of `fit` may be in another cell.
    callback.on_train_begin()
    run_epoch(callback, 0, logs_of(MANY, 0))
    assert len(notebook.outputs) == 2


@pytest.mark.parametrize("variables", [{"FORCE_COLOR": "1"}, {"JPY_PARENT_PID": "7"}], ids=["a pipe", "a cell"])
def test_programs_that_a_notebook_starts_write_one_line_per_epoch(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    in_cell = "JPY_PARENT_PID" in variables  # there, stdout is a terminal
    stdout = io.StringIO()
    stdout.isatty = lambda: in_cell  # type: ignore[method-assign]
    console = Console(file=stdout, width=80, _environ={"TERM": "xterm-color", **variables})
    assert console.is_terminal
    monkeypatch.setattr(progress.rich, "get_console", lambda: console)
    callback = begin(None, FEW)
    for epoch in range(2):
        run_epoch(callback, epoch, logs_of(FEW, epoch))
    callback.on_train_end()
    assert [line[:10] for line in stdout.getvalue().splitlines()] == ["epoch 1/2 ", "epoch 2/2 "]
    assert "\x1b[" not in stdout.getvalue()
