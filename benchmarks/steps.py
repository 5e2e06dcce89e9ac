"""Training steps against stock Keras, a handwritten loop and PyTorch: `taskset -c 0,1 python benchmarks/steps.py`.

Three networks on noise images in memory: those of Fashion-MNIST and CIFAR-10 in batches of 128, and a small one with
short steps (10 binary tasks, batch 32). `MultiTaskModel` and `keras.Model` have the same layers, losses and metrics,
and train in `fit`; `MultiTaskModel` also with 4 and 16 steps per execution. The handwritten loop is a `tf.function`
without metrics.

With `--torch_python`, the Python of an environment with PyTorch (see `benchmarks/torch_worker.py`), the first two
networks are trained there too, without metrics, with its fused Adam, in the faster of two memory formats and of two
ways of waiting. Run nothing else on these cores then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import BATCH, DECODER, FASHION_MNIST, Network, binary_heads, handwritten_step
from benchmarks.torch_process import EQUAL, TorchProcess
from mtl_keras import MultiTaskModel

OURS, STOCK, HANDWRITTEN, TORCH = "MultiTaskModel.fit", "keras.Model.fit", "handwritten loop", "PyTorch"
NETWORKS = ((FASHION_MNIST, BATCH), (DECODER, BATCH), (binary_heads(10), 32))
IN_PYTORCH = {FASHION_MNIST: ("fashion_mnist", ">= 1.25"), DECODER: ("decoder", ">= 1.4")}  # name there, target
PAUSE = 0.03  # seconds until idle threads have stopped spinning


def in_fit(net: Network, batches: Any, steps: int, kind: type[keras.Model], **settings: Any) -> Callable[[], float]:
    """Returns a function that trains in `fit`, and returns the seconds per step; `settings` are those of `compile`."""
    model = net.compiled(kind, **settings)
    return harness.clock(lambda: model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False), steps)


def in_loop(net: Network, batches: Any, steps: int) -> Callable[[], float]:
    """Returns a function that trains in a handwritten loop, and returns the seconds per step."""
    step, iterator = handwritten_step(net), iter(batches)
    return harness.clock(lambda: [float(step(*next(iterator))) for _ in range(steps)], steps)


def compare(net: Network, batch: int, rounds: int, steps: int, torch: TorchProcess | None) -> list[harness.Figure]:
    """Prints the times of a step; returns the ratios.

    Args:
        net: what is trained.
        batch: number of images in a batch.
        rounds: number of measurements of each alternative.
        steps: number of steps that are timed together.
        torch: trains with PyTorch.
    """
    batches = net.batches(batch)
    sides = {
        OURS: in_fit(net, batches, steps, MultiTaskModel),
        STOCK: in_fit(net, batches, steps, keras.Model),
        HANDWRITTEN: in_loop(net, batches, steps),
    }
    targets = {STOCK: ">= 1.00", HANDWRITTEN: ">= 0.97"}
    if torch:
        torch.prepare([EQUAL])
        sides[TORCH], targets[TORCH] = partial(torch.seconds, EQUAL, steps), IN_PYTORCH[net][1]
    for count in (4, 16):
        sides[f"{count} steps per execution"] = in_fit(net, batches, steps, MultiTaskModel, steps_per_execution=count)
    seconds = harness.interleave(sides, rounds, pause=PAUSE)
    print(f"\n{net.title}\n\n{harness.times_table(seconds)}")
    ours = seconds.pop(OURS)
    figures = [harness.figure(f"{net.title}: images/s in `fit`", [batch / each for each in ours])]
    for name, times in seconds.items():
        if name in targets:
            what = f"{net.title}: images/s, `fit` / {name}"
            figures.append(harness.ratio(what, times, ours, targets[name] if net in IN_PYTORCH else ""))
        else:
            figures.append(harness.ratio(f"{net.title}: step, {name} / 1", times, ours))
    return figures


def main() -> None:
    """Prints the times of all networks, and the ratios."""
    parser = harness.parser(__doc__, rounds=12)
    parser.add_argument("--steps", type=int, default=32, help="number of steps that are timed together")
    TorchProcess.add_flag(parser)
    arguments = parser.parse_args()
    print(harness.machine(), f"{arguments.rounds} rounds of {arguments.steps} steps", sep=", ")
    figures = []
    for net, batch in NETWORKS:
        torch = None
        if arguments.torch_python and net in IN_PYTORCH:
            torch = TorchProcess.fastest(arguments.torch_python, IN_PYTORCH[net][0], EQUAL)
            print(torch.machine)
        figures += compare(net, batch, arguments.rounds, arguments.steps, torch)
        if torch:
            torch.close()
    harness.report(figures, arguments.json)


if __name__ == "__main__":
    main()
