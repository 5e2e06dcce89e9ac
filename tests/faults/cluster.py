"""Starts two workers of one run on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Sequence

WORKERS = 2
PATIENCE = 300  # seconds


def run_workers(commands: Sequence[Sequence[str]], **options: str) -> list[tuple[int, str]]:
    """Runs one command a worker, each with its own `TF_CONFIG`; returns exit codes and complaints.

    Args:
        commands: of each worker.
        **options: for `subprocess.Popen`.

    Raises:
        subprocess.TimeoutExpired: if one does not end.
    """
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]
    processes = []
    for index, command in enumerate(commands):
        task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=environment, **pipes, **options))
    try:
        said = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, said)]
