"""Trains with PyTorch and the methods of TorchJD, for the benchmarks that take `--torch_python PATH`.

It runs with the Python of an environment of its own, since TensorFlow and PyTorch need not share one:

    python -m venv torchenv
    torchenv/bin/pip install -r benchmarks/requirements-torch.txt

It reads and writes lines of JSON. First it writes its versions; then it answers each line:

- `{"prepare": [names]}` -> `{"known": [names]}`: builds a network for each method that TorchJD has, and forgets others.
- `{"method": name, "steps": n}` -> `{"seconds": s}`: takes n steps.

Each network of `torch_networks.py` is trained in the memory format and with the chunks of the backward pass that are
fastest here. Losses are computed from logits, which is faster than from probabilities. There are no metrics,
and the batch is in memory. As on the Keras side, each step reads its loss.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import torch
from harness import clock, interleave
from torch import Tensor, nn
from torch_networks import NETWORKS
from torchjd import aggregation, scalarization
from torchjd.aggregation import CRMOGMWeighting, GramianWeightedAggregator, MGDAWeighting, MoDoWeighting
from torchjd.autojac import jac, jac_to_grad, mtl_backward

TASKS = 3
EQUAL = "static"  # the sum of the losses
PAUSE = 0.05  # seconds until idle OpenMP threads have stopped spinning

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
# Methods that need the Gramian of two samples.
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
        network: one of `torch_networks.NETWORKS`.
        method: one of `METHODS`, or `"mean"`, the gradient-based method that costs least.
        memory_format: of images and kernels.
        chunk: number of tasks in one backward pass through the trunk; None for all.
    """

    def __init__(self, network: str, method: str, memory_format: torch.memory_format, chunk: int | None) -> None:
        torch.manual_seed(0)
        self.method, self.chunk = method, chunk
        self.model = NETWORKS[network]().to(memory_format=memory_format).train()
        self.images, self.targets = self.model.noise(memory_format)
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
            losses = self._backward_halves()
        else:
            features, losses = self.model(self.images, self.targets)
            if self.method == EQUAL or self.method in SCALARIZERS:
                self.combine(torch.stack(losses)).backward()
            else:
                mtl_backward(losses, features=features, parallel_chunk_size=self.chunk)
                jac_to_grad(self.model.trunk.parameters(), self.combine)
        if self.model.clipnorm:
            self._clip(self.model.clipnorm)
        self.optimizer.step()
        if self.method == "famo":
            with torch.no_grad():
                self.combine.update(torch.stack(self.model(self.images, self.targets)[1]))
        return float(sum(loss.detach() for loss in losses))

    def _backward_halves(self) -> list[Tensor]:
        """Computes the Gramian from the halves of the batch, and weighs the losses of both."""
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

    def _clip(self, most: float) -> None:
        """Clips the norm of each gradient, like `clipnorm` in Keras."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        torch._foreach_mul_(gradients, list((most / norms.clamp(min=most)).unbind()))


def fastest(network: str, method: str, chunks: list[int | None]) -> tuple[torch.memory_format, Any]:
    """Returns the memory format and the chunk of the backward pass with the fastest step."""
    images = len(NETWORKS[network]().shape) == 3
    layouts = (torch.contiguous_format, torch.channels_last) if images else (torch.contiguous_format,)
    choices = [(layout, chunk) for layout in layouts for chunk in chunks]
    found = interleave({choice: clock(Training(network, method, *choice).step) for choice in choices}, 16, warm_up=2)
    return min(choices, key=lambda choice: statistics.median(found[choice]))


def answers(network: str) -> Iterator[dict[str, Any]]:
    """Yields the versions and settings, then the answer to each request."""
    plain = fastest(network, EQUAL, [None])
    # Gradients of single tasks need a trunk that all tasks share.
    shared = isinstance(NETWORKS[network]().trunk, nn.Sequential)
    per_task = fastest(network, "mean", [None, 1]) if shared else plain
    versions = f"PyTorch {torch.__version__}, TorchJD {version('torchjd')}, {torch.get_num_threads()} threads"
    layouts = [str(layout).removeprefix("torch.") for layout, _ in (plain, per_task)]
    chunk = "all at once" if per_task[1] is None else f"{per_task[1]} at a time"
    yield {"machine": f"{versions}, {layouts[0]}; with gradients per task {layouts[1]}, {chunk}"}
    trainings: dict[str, Training] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            trainings.clear()
            gc.collect()
            for method in METHODS.intersection(request["prepare"]):
                choice = plain if method == EQUAL or method in SCALARIZERS else per_task
                trainings[method] = Training(network, method, *choice)
            yield {"known": sorted(trainings)}
        else:
            step, steps = trainings[request["method"]].step, request["steps"]
            seconds = clock(lambda step=step, steps=steps: [step() for _ in range(steps)])()
            time.sleep(PAUSE)
            yield {"seconds": seconds}


def main(network: str, threads: str) -> None:
    """Answers requests until the input ends."""
    torch.set_num_threads(int(threads))
    out, sys.stdout = sys.stdout, sys.stderr  # only answers go into the pipe
    for answer in answers(network):
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
