"""Ways to pass data, and arguments of `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from tests.drop_in.graphs import LOSSES, TWO, by_task_weights, weights
from tests.drop_in.harness import BATCH, Case, Run, check


def compiled(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": LOSSES, "metrics": {"kind": ["accuracy"], "amount": ["mae"]}, **arguments}


def batches() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(TWO.data()).batch(BATCH)


def weighted_batches() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((*TWO.data(), by_task_weights())).batch(6, drop_remainder=True)


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        x, y = TWO.data()
        part = slice(4 * index, 4 * index + 4)
        return x[part], {name: values[part] for name, values in y.items()}, weights()[part]


def generated(count: int | None) -> Iterator[Any]:
    x, y = TWO.data()
    step = 0
    while count is None or step < count:
        part = slice(4 * (step % 3), 4 * (step % 3) + 4)
        yield x[part], {name: values[part] for name, values in y.items()}
        step += 1


def given(make: Callable[[], Any], **arguments: Any) -> Callable[[Run], None]:
    """A script that trains on what `make` returns, and evaluates on it."""

    def script(run: Run) -> None:
        logs = run.model.fit(make(), **{"epochs": 2, "shuffle": False, "verbose": 0, **arguments}).history
        run.logs("fit", logs)
        run.record("evaluate", run.model.evaluate(make(), verbose=0, steps=arguments.get("steps_per_epoch")))
        run.record("iterations", run.model.optimizer.iterations)
        run.state()

    return script


def on_arrays(**arguments: Any) -> Callable[[Run], None]:
    def script(run: Run) -> None:
        run.logs("fit", run.model.fit(run.x, run.y, BATCH, verbose=0, shuffle=False, **arguments).history)
        run.record("iterations", run.model.optimizer.iterations)
        run.state()

    return script


def positional(run: Run) -> None:
    run.logs("fit", run.model.fit(run.x, run.y, BATCH, 1, 0, None, 0.25, None, False).history)
    run.record("evaluate", run.model.evaluate(run.x, run.y, BATCH, 0))
    run.record("train_on_batch", run.model.train_on_batch(run.x, run.y, by_task_weights()))


def shuffled(run: Run) -> None:
    keras.utils.set_random_seed(11)
    run.logs("fit", run.model.fit(run.x, run.y, BATCH, 2, verbose=0).history)
    run.state()


CASES = [
    Case("tf.data, weights", TWO, compiled(weighted_metrics={"kind": ["acc"]}), given(weighted_batches)),
    Case("tf.data, repeated", TWO, compiled(), given(lambda: batches().repeat(), steps_per_epoch=2)),
    Case(
        "tf.data, labels in a tuple",
        TWO,
        compiled(),
        given(lambda: batches().map(lambda x, y: (x, (y["amount"], y["kind"])))),
    ),
    Case("PyDataset", TWO, compiled(), given(Batches)),
    Case("PyDataset, validation", TWO, compiled(), given(Batches, validation_data=TWO.data(), epochs=1)),
    Case("generator, endless", TWO, compiled(), given(lambda: generated(None), steps_per_epoch=3)),
    Case("generator, finite", TWO, compiled(), given(lambda: generated(5), epochs=1)),
    Case(
        "generator, finite, compiled",
        TWO,
        compiled(run_eagerly=False),
        given(lambda: generated(4), epochs=1),
        differs="Finite generators",
    ),
    Case("generator, too short", TWO, compiled(), given(lambda: generated(2), steps_per_epoch=5, epochs=1)),
    Case("validation_split", TWO, compiled(), on_arrays(validation_split=0.25)),
    Case("validation_freq", TWO, compiled(), on_arrays(epochs=2, validation_data=TWO.data(), validation_freq=2)),
    Case(
        "validation of batches",
        TWO,
        compiled(),
        on_arrays(validation_data=TWO.data(), validation_batch_size=4, validation_steps=2),
    ),
    Case("initial_epoch", TWO, compiled(), on_arrays(epochs=3, initial_epoch=2)),
    Case("steps_per_epoch", TWO, compiled(), on_arrays(epochs=2, steps_per_epoch=1)),
    Case("positional arguments", TWO, compiled(), positional),
    Case("shuffled", TWO, compiled(), shuffled),
    Case(
        "fit before compile",
        TWO,
        compiled(),
        lambda run: type(run.model)(*TWO.shared[:2]).fit(run.x, run.y),
        raises=ValueError,
    ),
    Case("an unknown argument", TWO, compiled(), on_arrays(nothing=1), raises=TypeError),
]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_data(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
