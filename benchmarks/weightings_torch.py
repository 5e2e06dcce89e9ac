"""The PyTorch side of `benchmarks/weightings.py`: TorchJD's methods on the same networks.

`benchmarks/weightings.py --torch_python PATH` starts this file with the Python of an environment of its own, since
TensorFlow and PyTorch need not share one:

    python -m venv torchenv
    torchenv/bin/pip install -r benchmarks/requirements-torch.txt

The two talk in lines of JSON. First this side says what it is; then it answers each line:

- `{"prepare": [names]}` -> `{"known": [names]}`: builds a network for each method that TorchJD has, and forgets others.
- `{"method": name, "steps": n}` -> `{"seconds": s}`: takes n steps.

Each network is the one of the other side, layer by layer, in the layout and with the chunks of the backward pass with
which it is fastest here; losses are taken from logits, which is faster than from probabilities. No metrics are kept and
the batch lies ready. A step reads its loss, as on the other side.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import torch
from networks_torch import NETWORKS
from torch import Tensor
from torchjd import aggregation, scalarization
from torchjd.aggregation import CRMOGMWeighting, GramianWeightedAggregator, MGDAWeighting, MoDoWeighting
from torchjd.autojac import jac, jac_to_grad, mtl_backward

TASKS = 3
EQUAL = "static"
SETTLE = 0.05  # seconds until idle OpenMP threads have stopped spinning

AGGREGATORS: dict[str, Callable[[], Any]] = {
    "aligned_mtl": aggregation.AlignedMTL,
    "cagrad": lambda: aggregation.CAGrad(c=0.5),
    "config": aggregation.ConFIG,
    "cr_mogm": lambda: GramianWeightedAggregator(CRMOGMWeighting(MGDAWeighting())),
    "dual_proj": aggregation.DualProj,
    "excess_mtl": aggregation.ExcessMTL,
    "fairgrad": lambda: aggregation.FairGrad(alpha=1.0),
    "graddrop": aggregation.GradDrop,
    "gradvac": aggregation.GradVac,
    "imtl_g": aggregation.IMTLG,
    "krum": lambda: aggregation.Krum(n_byzantine=0),
    "mgda": aggregation.MGDA,
    "nash_mtl": lambda: aggregation.NashMTL(n_tasks=TASKS),
    "pcd": aggregation.PCD,
    "pcgrad": aggregation.PCGrad,
    "trimmed_mean": lambda: aggregation.TrimmedMean(trim_number=1),
    "upgrad": aggregation.UPGrad,
}
# Those that ask for the Gramian of two samples.
HALVES: dict[str, Callable[[], Any]] = {"modo": MoDoWeighting, "sdmgrad": aggregation.SDMGradWeighting}
SCALARIZERS: dict[str, Callable[[], Any]] = {
    "cosmos": lambda: scalarization.COSMOS(2.0, torch.ones(TASKS)),
    "dwa": scalarization.DWA,
    "famo": lambda: scalarization.FAMO(TASKS),
    "gls": scalarization.GeometricMean,
    "imtl_l": lambda: scalarization.IMTLL(TASKS),
    "pbi": lambda: scalarization.PBI(5.0, torch.ones(TASKS)),
    "rlw": scalarization.Random,
    "stch": lambda: scalarization.STCH(mu=1.0),
    "uncertainty": lambda: scalarization.UW(TASKS),
}
METHODS = {EQUAL, *AGGREGATORS, *HALVES, *SCALARIZERS}


class Training:
    """Training steps of one method.

    Args:
        network: one of `NETWORKS`.
        method: one of `METHODS`, or `"mean"`, which stands for a method of gradients that costs nothing itself.
        memory_format: the layout of images and kernels.
        chunk: how many tasks are taken back through the trunk at once; None for all.
    """

    def __init__(self, network: str, method: str, memory_format: torch.memory_format, chunk: int | None) -> None:
        torch.manual_seed(0)
        self.method, self.chunk = method, chunk
        self.model = NETWORKS[network].build().to(memory_format=memory_format).train()
        self.images, self.targets = NETWORKS[network].batch(memory_format)
        self.clipnorm = NETWORKS[network].clipnorm
        makers = {"mean": aggregation.Mean, EQUAL: scalarization.Sum, **AGGREGATORS, **HALVES, **SCALARIZERS}
        self.combine = makers[method]()
        self.parameters = [*self.model.parameters()]
        if method in SCALARIZERS and method != "famo":  # FAMO trains its own
            self.parameters += self.combine.parameters()
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, eps=1e-7, fused=True)

    def step(self) -> float:
        """Takes a training step; returns the sum of the losses."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.method in HALVES:
            losses = self._halves()
        else:
            features, losses = self.model(self.images, self.targets)
            if self.method == EQUAL or self.method in SCALARIZERS:
                self.combine(torch.stack(losses)).backward()
            else:
                mtl_backward(losses, features=features, parallel_chunk_size=self.chunk)
                jac_to_grad(self.model.trunk.parameters(), self.combine)
        if self.clipnorm:
            self._clip()
        self.optimizer.step()
        if self.method == "famo":
            with torch.no_grad():
                self.combine.update(torch.stack(self.model(self.images, self.targets)[1]))
        return float(sum(loss.detach() for loss in losses))

    def _halves(self) -> list[Tensor]:
        """The two samples are the halves of the batch, the weighted losses those of both."""
        shared = list(self.model.trunk.parameters())
        found = []
        for rows in (slice(0, None, 2), slice(1, None, 2)):
            _, losses = self.model(self.images[rows], [target[rows] for target in self.targets])
            jacobians = jac(losses, shared, retain_graph=True, parallel_chunk_size=self.chunk)
            found.append((torch.stack(losses), torch.cat([part.flatten(1) for part in jacobians], dim=1)))
        (first, one), (second, other) = found
        losses = (first + second) / 2
        losses.backward(self.combine(one @ other.T))
        return list(losses)

    def _clip(self) -> None:
        """Clips the norm of each gradient, as `clipnorm` does in Keras."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        torch._foreach_mul_(gradients, list((self.clipnorm / norms.clamp(min=self.clipnorm)).unbind()))


def seconds(training: Training, steps: int) -> float:
    """Returns what so many steps take."""
    start = time.perf_counter()
    for _ in range(steps):
        training.step()
    return time.perf_counter() - start


def fastest(network: str, method: str, chunks: list[int | None], rounds: int = 9) -> tuple[torch.memory_format, Any]:
    """Returns the memory format and the chunk of the backward pass with which a method's step is fastest."""
    layouts = (torch.contiguous_format, torch.channels_last)
    candidates = {(layout, chunk): Training(network, method, layout, chunk) for layout in layouts for chunk in chunks}
    times: dict[Any, list[float]] = {key: [] for key in candidates}
    for _ in range(rounds):
        for key, training in candidates.items():
            times[key].append(seconds(training, 2))
    return min(times, key=lambda key: statistics.median(times[key][1:]))


def answers(network: str) -> Iterator[dict[str, Any]]:
    """Says what this side is, and then answers one request after the other."""
    plain = fastest(network, EQUAL, [None])
    taken_apart = fastest(network, "mean", [None, 1])
    yield {
        "methods": sorted(METHODS),
        "machine": f"PyTorch {torch.__version__}, TorchJD {version('torchjd')}, {torch.get_num_threads()} threads, "
        f"{name(plain)}; with gradients of tasks {name(taken_apart)}",
    }
    trainings: dict[str, Training] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            trainings.clear()
            gc.collect()
            for method in METHODS.intersection(request["prepare"]):
                choice = plain if method == EQUAL or method in SCALARIZERS else taken_apart
                trainings[method] = Training(network, method, *choice)
            yield {"known": sorted(trainings)}
        else:
            taken = seconds(trainings[request["method"]], request["steps"])
            time.sleep(SETTLE)
            yield {"seconds": taken}


def name(choice: tuple[torch.memory_format, int | None]) -> str:
    """Returns what `fastest` found, in words."""
    layout, chunk = choice
    return f"{str(layout).removeprefix('torch.')}, {'all at once' if chunk is None else f'{chunk} at a time'}"


def main() -> None:
    """Answers requests until there are no more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(NETWORKS), required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    out, sys.stdout = sys.stdout, sys.stderr  # so that nothing but answers gets into the pipe
    for answer in answers(arguments.network):
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
