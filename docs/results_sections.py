"""What RESULTS.md says, beside its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Section:
    """A section of RESULTS.md.

    Args:
        title: its heading.
        text: what was asked, and how the answer came out.
        records: the names of the records in docs/results that it shows; without one of them it is left out.
        kind: how records of single runs are shown; comparisons have one form.
        figure: the file in docs/images that shows their learning curves, if there is one.
    """

    title: str
    text: str
    records: tuple[str, ...]
    kind: Literal["comparison", "run", "cifar10", "target"] = "comparison"
    figure: str | None = None


SECTIONS = (
    Section(
        "Fashion-MNIST: does sharing help?",
        """
The claim of the source: one network for garment and group has the higher accuracy and the lower loss of both tasks, in
training and in testing. Each network is judged at the epoch with its best validation score.
""",
        ("fashion_mnist",),
    ),
    Section(
        "CIFAR-10: the five experiments of the source",
        """
Totals are the weighted sums of the losses, over the training epoch (with dropout) and over the validation split. The
source's figures are those of its own table.
""",
        ("cifar10_1", "cifar10_2", "cifar10_3", "cifar10_4", "cifar10_5"),
        "cifar10",
        "cifar10_totals.png",
    ),
    Section(
        "CIFAR-10: three tasks in one network, as good as the best of the source",
        """
The source's best validation total (0.4353, with the weights 0.5, 0.1 and 1) and the figures of its single-task
networks, reached by one network.
""",
        ("cifar10_wide",),
        "target",
        "cifar10_wide_totals.png",
    ),
    Section(
        "CIFAR-10: scheduled task dropping with a task of random labels",
        """
Whether DST limits what a task that cannot be learnt does to the others: against the same network with equal weights and
against single-task networks.
""",
        ("cifar10_dst",),
    ),
    Section(
        "CelebA: eight attributes on VGG16, and dropping some of them",
        "On drawn faces, which are much easier than photographs: these figures show that the presets run as a whole.",
        ("celeba_vgg16", "celeba_kept", "celeba_dst_count"),
        "run",
    ),
    Section(
        "CelebA: attributes and landmarks on ResNet18",
        "On drawn faces, from random weights.",
        ("celeba_landmarks",),
    ),
)
