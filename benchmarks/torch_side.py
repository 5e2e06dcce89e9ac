"""PyTorch's side of a benchmark: the other process, and how it is asked."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import timing

WARM_UP = 3  # steps


class TorchSide:
    """Trains with a process of its own, which answers a line of JSON with another; see `weightings_torch.py`.

    Args:
        command: starts it, from `command`.
        environment: variables that it is started with besides ours.

    Attributes:
        machine: what it says of itself.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        hello = self._answer()
        self.machine: str = hello["machine"]
        self._methods = set(hello["methods"])

    @staticmethod
    def command(python: Path, network: str) -> list[str]:
        """Returns what starts it, on as many threads as there are cores.

        Args:
            python: the Python of an environment with PyTorch and TorchJD.
            network: one of `benchmarks/networks_torch.py`.
        """
        worker = Path(__file__).with_name("weightings_torch.py")
        return [str(python), str(worker), "--network", network, "--threads", str(timing.cores())]

    def close(self) -> None:
        """Lets it end."""
        self._process.communicate()

    def prepare(self, specs: Sequence[str]) -> list[str]:
        return self._ask(prepare=[spec for spec in specs if spec in self._methods])["known"]

    def seconds(self, spec: str, steps: int) -> float:
        return self._ask(method=spec, steps=steps)["seconds"]

    def _ask(self, **request: Any) -> dict[str, Any]:
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"The other side ended with exit code {self._process.wait()}")
        return json.loads(line)


def quickest(command: Sequence[str], method: str, rounds: int = 7) -> TorchSide:
    """Starts the other side with the way of waiting for threads with which it is faster at the moment.

    Args:
        command: starts it.
        method: what is timed.
        rounds: how often.
    """
    ways = {"threads that spin a little": {}, "threads that sleep": {"OMP_WAIT_POLICY": "PASSIVE"}}
    sides = {way: TorchSide(command, environment) for way, environment in ways.items()}
    for side in sides.values():
        side.prepare([method])
        side.seconds(method, WARM_UP)
    found: dict[str, list[float]] = {way: [] for way in sides}
    for _ in range(rounds):
        for way, side in sides.items():
            found[way].append(side.seconds(method, WARM_UP))
    best = min(sides, key=lambda way: statistics.median(found[way]))
    for way, side in sides.items():
        if way != best:
            side.close()
    sides[best].machine += f"; {best}"
    return sides[best]
