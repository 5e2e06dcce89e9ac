"""Draws the networks of docs/sharing.md from the networks themselves: `python docs/sharing_picture.py`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from keras import layers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from models import cgc, cross_stitch, hard_sharing, ltb, mmoe, mtan, ple, task_routing
from models.networks import Network
from mtl_keras import Task, TaskSet
from mtl_keras.keras_private import call_inputs, symbolic_producer
from mtl_keras.training import graph

TASKS = TaskSet([Task.regression("A"), Task.regression("B")])


def trunk(x: Any) -> Any:
    """Two fully connected layers."""
    for number in (1, 2):
        x = layers.Dense(8, activation="relu", name=f"trunk_layer{number}")(x)
    return x


NETWORKS = {
    "hard sharing": partial(hard_sharing, trunk),
    "MMoE": mmoe(trunk, experts=3),
    "CGC": cgc(trunk),
    "PLE": ple(trunk),
    "cross-stitch, sluice, NDDR": cross_stitch(trunk),
    "MTAN": mtan(trunk),
    "task routing": task_routing(trunk),
    "learning to branch": ltb(trunk),
}
SHARED, OWN = "0.85", {"A": "#9ecae1", "B": "#fdae6b"}


def calls(outputs: dict[str, Any]) -> tuple[dict[tuple[str, int], Any], list[tuple[Any, Any]]]:
    """Returns the tensor of each call of a graph by `(layer, number of the call)`, and the edges between calls."""
    found: dict[tuple[str, int], Any] = {}
    edges = []
    stack = list(outputs.values())
    while stack:
        tensor = stack.pop()
        operation, node, _ = symbolic_producer(tensor)
        if (operation.name, node) not in found:
            found[operation.name, node] = tensor
            for source in call_inputs(operation, node):
                producer, at, _ = symbolic_producer(source)
                edges.append(((producer.name, at), (operation.name, node)))
                stack.append(source)
    return found, edges


def draw(axes: Any, title: str, build: Network) -> None:
    """Draws a network from the input at the bottom to the outputs at the top, private layers in their task's colour."""
    _, outputs = build(TASKS, (4,))
    outputs = {task: _without_hidden(output) for task, output in outputs.items()}
    found, edges = calls(outputs)
    reach = graph.reach(outputs)
    sources: dict[Any, list[Any]] = {key: [] for key in found}
    for source, target in edges:
        sources[target].append(source)
    heights: dict[Any, int] = {}

    def height(key: Any) -> int:
        if key not in heights:
            heights[key] = max((height(each) + 1 for each in sources[key]), default=0)
        return heights[key]

    top = max(height(key) for key in found)
    for output in outputs.values():
        operation, node, _ = symbolic_producer(output)
        heights[operation.name, node] = top
    places: dict[Any, float] = {}
    for level in range(top + 1):
        row = sorted((key for key in found if heights[key] == level), key=lambda key: _side(reach, found[key], key))
        for number, key in enumerate(row):
            places[key] = (number + 0.5) / len(row)
    for source, target in edges:
        axes.annotate(
            "",
            (places[target], heights[target] - 0.15),
            (places[source], heights[source] + 0.15),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "0.5",
                "lw": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
                "mutation_scale": 6,
            },
        )
    for key, tensor in found.items():
        tasks = reach[symbolic_producer(tensor)[0]]
        colour = OWN[min(tasks)] if len(tasks) == 1 else SHARED
        axes.text(
            places[key],
            heights[key],
            _label(key[0]),
            fontsize=5.2,
            ha="center",
            va="center",
            bbox={
                "boxstyle": "round,pad=0.25",
                "fc": colour,
                "ec": "0.4",
                "lw": 0.5,
            },
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.5, top + 0.5))
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def _without_hidden(output: Any) -> Any:
    """Returns the features that a head reads."""
    operation, node, _ = symbolic_producer(output)
    while operation.name.startswith(("A_hidden", "B_hidden")) or operation.name in OWN:
        (output,) = call_inputs(operation, node)
        operation, node, _ = symbolic_producer(output)
    return output


def _side(reach: dict[Any, frozenset[str]], tensor: Any, key: Any) -> tuple[int, str, int]:
    tasks = reach[symbolic_producer(tensor)[0]]
    owner = {"A": 0, "B": 2}.get(min(tasks), 1) if len(tasks) == 1 else 1
    if any(f"_{task}" in key[0] or key[0].startswith(f"{task}_") for task in OWN):
        owner = 0 if "A" in key[0] else 2
    return owner, key[0], key[1]


def _label(name: str) -> str:
    return {"features": "input"}.get(name, name.removeprefix("trunk_").replace("_", " "))


def main() -> None:
    """Writes docs/images/sharing.png."""
    figure, axes = plt.subplots(2, 4, figsize=(12, 7), layout="constrained")
    for place, (title, build) in zip(axes.flat, NETWORKS.items(), strict=True):
        draw(place, title, build)
    target = Path(__file__).parent / "images" / "sharing.png"
    figure.savefig(target, dpi=110)
    print(target)


if __name__ == "__main__":
    main()
