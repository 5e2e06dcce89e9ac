"""A real TensorBoard, asked over HTTP for what docs/tensorboard.md says it shows."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
import warnings
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from PIL import Image
from tensorboard import program

from tests.sources import ROOT

_SECONDS = 60


@pytest.fixture(scope="module")
def address(finished_run: Path) -> str:
    """The address of a TensorBoard that shows the run, in this process; it reads the files once."""
    flags = [f"--logdir={finished_run / 'tensorboard'}", "--host=127.0.0.1", "--port=0", "--reload_interval=0"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that TensorBoard imports
        server = program.TensorBoard()
        server.configure(["tensorboard", *flags, "--load_fast=false"])
        return server.launch().rstrip("/")


def asked(address: str, what: str, **body: object) -> Any:
    """Returns the answer of a plugin, in JSON."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{address}/data/plugin/{what}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def scalars(address: str) -> dict[str, set[str]]:
    """The tags of the scalars of each run, as soon as TensorBoard has read all runs."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            found = {run: set(tags) for run, tags in asked(address, "scalars/tags").items()}
            images = set(asked(address, "images/tags"))
        except URLError:
            found, images = {}, set()
        if {"train", "validation", "test", "predictions"} <= set(found) | images or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def documented(prefixes: str) -> list[str]:
    """Tags in the tables of the page on TensorBoard, of the task `item`."""
    text = (ROOT / "docs" / "tensorboard.md").read_text("utf-8")
    found = re.findall(rf"`((?:{prefixes})/[^`]+)`", text)
    return [tag.replace("<task>", "item").replace("<metric>", "accuracy") for tag in found]


def test_the_scalars_of_the_page_are_there(scalars: dict[str, set[str]]) -> None:
    tags = documented("losses|metrics|weights|schedule|summary")
    assert len(tags) >= 8
    assert [tag for tag in tags if tag not in scalars["train"]] == []
    for tag in ("losses/item", "metrics/group_accuracy", "summary/loss", "summary/mtl_score"):
        assert tag in scalars["validation"]
    assert scalars["test"] == {"metrics/item_accuracy", "metrics/group_accuracy", "summary/val_mtl_score"}


def test_predictions_are_shown_as_images(address: str, scalars: dict[str, set[str]]) -> None:
    (tag,) = asked(address, "images/tags")["predictions"]
    shown = asked(address, f"images/images?run=predictions&tag={tag}&sample=0")
    assert (tag, [image["step"] for image in shown]) == ("predictions", [0])
    with urllib.request.urlopen(f"{address}/data/plugin/images/individualImage?{shown[0]['query']}") as answer:
        picture = Image.open(io.BytesIO(answer.read()))
    assert picture.format == "PNG"
    assert picture.width >= 200


def test_settings_and_results_are_in_the_hparams_dashboard(
    address: str, scalars: dict[str, set[str]], finished_run: Path
) -> None:
    experiment = asked(address, "hparams/experiment", experimentName="")
    assert {"schedule", "weighting", "learning_rate"} <= {each["name"] for each in experiment["hparamInfos"]}
    assert len(experiment["metricInfos"]) == 3
    answer = asked(
        address,
        "hparams/session_groups",
        experimentName="",
        allowedStatuses=["STATUS_SUCCESS", "STATUS_UNKNOWN", "STATUS_RUNNING"],
        colParams=[],
        startIndex=0,
        sliceSize=10,
    )
    (group,) = answer["sessionGroups"]
    assert group["hparams"]["schedule"] == "dst"
    values = {each["name"]["tag"]: each["value"] for each in group["metricValues"]}
    tasks = json.loads((finished_run / "metrics.json").read_text())["tasks"]
    assert values["metrics/item_accuracy"] == pytest.approx(tasks["item"]["accuracy"]["value"])
    assert "summary/val_mtl_score" in values


def test_the_graph_can_be_drawn(address: str, scalars: dict[str, set[str]]) -> None:
    assert asked(address, "graphs/info")["train"]["tags"]["keras"]["conceptual_graph"]
    request = f"{address}/data/plugin/graphs/graph?run=train&tag=keras&conceptual=true"
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert b"item" in answer.read()
