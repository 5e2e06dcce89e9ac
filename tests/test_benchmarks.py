"""What the benchmarks print, without taking the time."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import weightings
from benchmarks.torch_side import TorchSide, quickest
from mtl_keras.weightings import WEIGHTINGS

WORKER = Path(weightings.__file__).with_name("weightings_torch.py")

# Answers as the PyTorch side does: a step takes as many seconds as the method's name has letters.
STUB = """
import json, os, sys
print(json.dumps({"machine": os.environ.get("WAY", "stub"), "methods": ["static", "mgda"]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "prepare" in request:
        print(json.dumps({"known": request["prepare"]}), flush=True)
    else:
        print(json.dumps({"seconds": len(request["method"]) * request["steps"]}), flush=True)
"""


class Clockwork:
    """A side whose steps take a given time; `diary` is shared, to see who was asked when."""

    def __init__(self, who: str, each: dict[str, float], diary: list[tuple[str, str, int]]) -> None:
        self.who, self.each, self.diary = who, each, diary

    def prepare(self, specs: Sequence[str]) -> list[str]:
        return [spec for spec in specs if spec in self.each]

    def seconds(self, spec: str, steps: int) -> float:
        self.diary.append((self.who, spec, steps))
        return self.each[spec] * steps


def test_gradient_methods_are_measured_with_representation_gradients_too() -> None:
    assert weightings.variants(["gls", "mgda", "graddrop", "modo", "famo"]) == [
        "gls",
        "mgda",
        "mgda(representation=True)",
        "graddrop",
        "modo",
        "famo",
        "famo(same_batch=False)",
    ]


def test_everything_that_is_measured_is_a_weighting() -> None:
    for spec in weightings.variants(WEIGHTINGS.names):
        WEIGHTINGS.get(spec)


@pytest.mark.parametrize(
    ("spec", "cifar10", "trunk"),
    [
        ("dwa", 1.02, 1.02),
        ("mgda", 1.4, 7 / 3 * 1.15),  # K = 3: a forward pass and three backward passes instead of one
        ("mgda(representation=True)", 1.35, 1.35),
        ("upgrad(update_every=2)", 1.4, 7 / 3 * 1.15),
        ("krum", None, None),
        ("graddrop", None, None),
    ],
)
def test_limits(spec: str, cifar10: float | None, trunk: float | None) -> None:
    assert weightings.limit(spec, "cifar10") == cifar10
    assert weightings.limit(spec, "trunk") == pytest.approx(trunk)


def test_sides_and_methods_take_turns() -> None:
    diary: list[tuple[str, str, int]] = []
    sides = {
        "ours": Clockwork("ours", {"static": 1.0, "mgda": 2.0, "moco": 3.0}, diary),
        "theirs": Clockwork("theirs", {"static": 4.0, "mgda": 5.0}, diary),
    }
    found = weightings.measure(sides, ["mgda", "moco"], rounds=2, steps=7)
    assert found == {
        "ours": {"static": [1.0, 1.0], "mgda": [2.0, 2.0], "moco": [3.0, 3.0]},
        "theirs": {"static": [4.0, 4.0], "mgda": [5.0, 5.0]},
    }
    turns = [("ours", "static"), ("theirs", "static"), ("ours", "mgda"), ("theirs", "mgda"), ("ours", "moco")]
    assert [(who, spec) for who, spec, steps in diary if steps == 7] == turns * 2
    assert [(who, spec) for who, spec, steps in diary if steps != 7] == turns  # warming up


def test_the_table_pairs_times_by_round() -> None:
    # The second round ran at half the speed: its ratios are those of the others, its times are not.
    found = {
        "ours": {"static": [0.010, 0.020, 0.010], "mgda": [0.013, 0.026, 0.013], "upgrad": [0.015, 0.030, 0.015]},
        "TorchJD": {"static": [0.020, 0.040, 0.020], "mgda": [0.0065, 0.013, 0.0065]},
    }
    assert [*weightings.header(list(found)), *weightings.rows(found, "cifar10")] == [
        "| method | ours (ms) | ours (steps/s) | ours / equal | TorchJD (ms) | TorchJD (steps/s) | TorchJD / equal "
        "| limit | steps/s, ours / TorchJD |",
        "|---|---|---|---|---|---|---|---|---|",
        "| equal weights | 10.0 | 100.0 | 1.000 | 20.0 | 50.0 | 1.000 | - | 2.00 ahead |",
        "| `mgda` | 13.0 | 76.9 | 1.300 | 6.5 | 153.8 | 0.325 | 1.40 met | 0.50 **behind** |",
        "| `upgrad` | 15.0 | 66.7 | 1.500 | - | - | - | 1.40 **missed** | - |",
    ]


def test_the_other_side_is_asked_in_lines_of_json() -> None:
    side = TorchSide([sys.executable, "-c", STUB], {"WAY": "told"})
    assert side.machine == "told"
    assert side.prepare(["static", "moco", "mgda"]) == ["static", "mgda"]
    assert side.seconds("mgda", 3) == 12
    side.close()
    with pytest.raises((RuntimeError, ValueError)):
        side.seconds("mgda", 3)


def test_a_side_that_does_not_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit code 3"):
        TorchSide([sys.executable, "-c", "raise SystemExit(3)"])


def test_one_way_of_waiting_is_chosen() -> None:
    side = quickest([sys.executable, "-c", STUB], "mgda")
    assert side.machine in ("stub; threads that spin a little", "stub; threads that sleep")
    assert side.seconds("static", 1) == 6
    side.close()


def test_our_side_takes_steps() -> None:
    side = weightings.Ours("cifar10")
    assert side.prepare(["mgda"]) == ["mgda"]
    assert side.seconds("mgda", 1) > 0


def tables_in(path: Path) -> dict[str, list[str]]:
    """The keys of a module's dicts, without importing it: PyTorch need not be there."""
    return {
        node.targets[0].id if isinstance(node, ast.Assign) else node.target.id: [
            ast.literal_eval(key) for key in node.value.keys if key is not None
        ]
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict)
    }


def test_the_torch_side_names_methods_as_we_do() -> None:
    tables = tables_in(WORKER)
    methods = {name for table in ("AGGREGATORS", "HALVES", "SCALARIZERS") for name in tables[table]}
    assert methods <= set(WEIGHTINGS.names)
    assert {*weightings.LIMITED} <= methods
    assert {*weightings.NETWORKS} <= {*tables_in(WORKER.with_name("networks_torch.py"))["NETWORKS"]}
