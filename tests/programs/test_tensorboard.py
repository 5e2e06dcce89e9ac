"""A real TensorBoard, asked over HTTP for what README.md says it shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.sources import ROOT

_SECONDS = 60


@pytest.fixture(scope="module")
def address(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a TensorBoard that shows the run."""
    log = tmp_path_factory.mktemp("tensorboard") / "log"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(finished_run / "tensorboard")]
    with log.open("w") as output:
        server = subprocess.Popen([*command, "--host=127.0.0.1", "--port=0"], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _SECONDS
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(log.read_text())
            time.sleep(0.2)
        yield found[0]
    finally:
        server.terminate()
        server.wait(timeout=_SECONDS)


def scalar_tags(address: str) -> dict[str, set[str]]:
    """Waits until TensorBoard has read both runs; returns the tags of each."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/data/plugin/scalars/tags", timeout=10) as answer:
                found = {run: set(tags) for run, tags in json.load(answer).items()}
        except URLError:
            found = {}
        if {"train", "validation"} <= set(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def test_the_tags_of_the_readme_are_there(address: str) -> None:
    tags = scalar_tags(address)
    listed = re.findall(
        r"`((?:losses|metrics|weights|schedule|summary)/[^`]+)`", (ROOT / "README.md").read_text("utf-8")
    )
    assert len(listed) >= 8
    for template in listed:
        for task in ("item", "group"):
            tag = template.replace("<task>", task).replace("<metric>", "accuracy")
            assert tag in tags["train"], tag
    for tag in ("losses/item", "metrics/group_accuracy", "summary/loss", "summary/mtl_score"):
        assert tag in tags["validation"]
