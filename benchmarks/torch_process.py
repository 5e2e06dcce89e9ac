"""The process in which benchmarks train with PyTorch: starts `torch_worker.py` and asks it for measurements."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import harness

EQUAL = "static"  # the sum of the losses
WARM_UP = 3  # steps
WORKER = Path(__file__).with_name("torch_worker.py")


class TorchProcess:
    """Trains in a process that answers each line of JSON with another; see `torch_worker.py`.

    Attributes:
        machine: its versions and settings.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        self.machine: str = self._answer()["machine"]

    @classmethod
    def fastest(cls, python: Path, network: str, method: str) -> TorchProcess:
        """Starts the worker, with threads that spin or that sleep while they wait, whichever is faster now.

        Args:
            python: interpreter of an environment with PyTorch and TorchJD.
            network: one of `torch_networks.NETWORKS`.
            method: is timed to find out.
        """
        if not python.is_file():
            raise ValueError(f"--torch_python must be a Python interpreter. Received: {python}")
        command = [str(python), str(WORKER), network, str(harness.cores())]
        ways = {"spinning threads": {}, "sleeping threads": {"OMP_WAIT_POLICY": "PASSIVE"}}
        processes = {way: cls(command, environment) for way, environment in ways.items()}
        for process in processes.values():
            process.prepare([method])
        sides = {way: partial(process.seconds, method, WARM_UP) for way, process in processes.items()}
        found = harness.interleave(sides, rounds=7)
        best = min(found, key=lambda way: statistics.median(found[way]))
        chosen = processes.pop(best)
        for process in processes.values():
            process.close()
        chosen.machine += f"; {best}"
        return chosen

    def prepare(self, methods: Sequence[str]) -> list[str]:
        """Builds a network for each method that TorchJD has, and returns these; forgets the others."""
        return self._ask(prepare=list(methods))["known"]

    def seconds(self, method: str, steps: int) -> float:
        """Takes some training steps; returns the seconds per step."""
        return self._ask(method=method, steps=steps)["seconds"] / steps

    def close(self) -> None:
        """Ends the process, and closes the pipes to it."""
        self._process.communicate()

    def _ask(self, **request: Any) -> dict[str, Any]:
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self.close()
            raise RuntimeError(f"The PyTorch process ended with exit code {self._process.returncode}")
        return json.loads(line)
