"""Training steps beside stock Keras, a loop by hand and PyTorch: `taskset -c 0,1 python benchmarks/steps.py`.

Two networks, batch 128, noise images that lie ready. `MultiTaskModel` and `keras.Model` are the same graph, compiled
with the same losses and metrics, in `fit`. The loop by hand is a `tf.function` without metrics.

With `--torch_python`, the Python of an environment with PyTorch (see `benchmarks/weightings_torch.py`), the same
networks are trained there too, without metrics, in the faster of its memory formats and of its ways of waiting, with
its fused Adam. Let nothing else run on these cores then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, timing
from benchmarks.by_hand import ByHand
from benchmarks.figures import Figure
from benchmarks.torch_side import TorchSide, quickest
from benchmarks.two_networks import BATCH, NETWORKS, Network
from mtl_keras import MultiTaskModel

OURS, STOCK, HAND, TORCH = "MultiTaskModel.fit", "keras.Model.fit", "loop by hand", "PyTorch"
TORCH_TARGETS = {"fashion_mnist": ">= 1.25", "decoder": ">= 1.4"}
EQUAL = "static"  # as the PyTorch side calls a sum of losses
SETTLE = 0.03  # seconds until idle threads have stopped spinning


def fitted(network: Network, kind: type[keras.Model], steps: int) -> Callable[[], float]:
    """Returns a function that trains in `fit` for so many steps, and returns the seconds of a step."""
    model, batches = network.compiled(kind), network.batches()

    def run() -> float:
        start = time.perf_counter()
        model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False)
        return (time.perf_counter() - start) / steps

    return run


def by_hand(network: Network, steps: int) -> Callable[[], float]:
    """Returns a function that takes so many steps without `fit`, and returns the seconds of one."""
    step, iterator = ByHand(*network.graph(), network.tasks), iter(network.batches())

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step(iterator)
        return (time.perf_counter() - start) / steps

    return run


def measure(network: Network, rounds: int, steps: int, torch_side: TorchSide | None) -> dict[str, list[float]]:
    """Returns the seconds of a step of each, by round.

    Args:
        network: what is trained.
        rounds: how often each is timed.
        steps: how many steps at a time.
        torch_side: trains with PyTorch.
    """
    sides: dict[str, Callable[[], float]] = {
        OURS: fitted(network, MultiTaskModel, steps),
        STOCK: fitted(network, keras.Model, steps),
        HAND: by_hand(network, steps),
    }
    if torch_side:
        torch_side.prepare([EQUAL])
        sides[TORCH] = lambda: torch_side.seconds(EQUAL, steps) / steps
    for side in sides.values():
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            seconds[name].append(side())
            time.sleep(SETTLE)
    return seconds


def found(network: Network, seconds: dict[str, list[float]]) -> list[Figure]:
    """Returns the ratios of images per second."""
    result = [
        figures.of_values(f"{network.title}: images/s in `fit`", [BATCH / each for each in seconds[OURS]]),
        figures.of_ratio(f"{network.title}: images/s, `fit` / stock `fit`", seconds, STOCK, OURS, ">= 1.00"),
        figures.of_ratio(f"{network.title}: images/s, `fit` / loop by hand", seconds, HAND, OURS, ">= 0.97"),
    ]
    if TORCH in seconds:
        target = TORCH_TARGETS[network.torch]
        result.append(figures.of_ratio(f"{network.title}: images/s, `fit` / PyTorch", seconds, TORCH, OURS, target))
    return result


def main() -> None:
    """Prints the times of both networks, and the ratios."""
    parser = figures.parser(__doc__, rounds=12)
    parser.add_argument("--steps", type=int, default=20, help="how many are timed together")
    parser.add_argument("--torch_python", type=Path, help="Python of an environment with PyTorch and TorchJD")
    arguments = parser.parse_args()
    if arguments.torch_python and not arguments.torch_python.is_file():
        parser.error(f"--torch_python must be a Python interpreter. Received: {str(arguments.torch_python)!r}")
    print(timing.machine(), f"{arguments.rounds} rounds of {arguments.steps} steps of {BATCH} images", sep=", ")
    results = []
    for network in NETWORKS:
        side = None
        if arguments.torch_python:
            side = quickest(TorchSide.command(arguments.torch_python, network.torch), EQUAL)
            print(side.machine)
        seconds = measure(network, arguments.rounds, arguments.steps, side)
        if side:
            side.close()
        print(f"\n{network.title}\n\n{timing.table(seconds)}")
        results += found(network, seconds)
    print()
    figures.report(results, arguments.json)


if __name__ == "__main__":
    main()
