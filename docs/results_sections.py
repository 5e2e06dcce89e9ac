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
    kind: Literal["comparison", "run", "cifar10", "target", "weightings"] = "comparison"
    figure: str | None = None


SECTIONS = (
    Section(
        "Fashion-MNIST: does sharing help?",
        """
The claim of the source: one network for garment and group has the higher accuracy and the lower loss of both tasks, in
training and in testing. It holds for the group, in all four. For the garment nothing can be said: all four intervals
include 0. Each network is judged at the epoch with its best validation score. The fifteen networks took an hour. The
machine did other work in the meantime: the seconds say little; benchmarks/RESULTS.md has ratios of interleaved steps.
""",
        ("fashion_mnist",),
    ),
    Section(
        "CIFAR-10: the five experiments of the source",
        """
Totals are the weighted sums of the losses, over the last training epoch (with dropout) and over the validation split.
The pattern of the source shows: without dropout the network overfits by far, one layer of dropout is not enough, and
dropout after each convolution keeps both totals together. The totals themselves differ from the source's, whose
multi-task code is not published. Accuracies are those of the epoch with the best validation score.
""",
        ("cifar10_1", "cifar10_2", "cifar10_3", "cifar10_4", "cifar10_5"),
        "cifar10",
        "cifar10_totals.png",
    ),
    Section(
        "CIFAR-10: three tasks in one network, as good as the best of the source",
        """
The source's best validation total (0.4353, with the weights 0.5, 0.1 and 1) and the figures of its single-task
networks, all reached by one network. Without the stronger dropout (0.2 and a weight decay of 0.001) the class began to
overfit after ten epochs, at a validation total of 0.415. The reconstruction ran in half of the steps, with weight 10
when it did. The figure shows the totals with the weights of the training. It took half an hour on two cores that did
some other work too.
""",
        ("cifar10_wide",),
        "target",
        "cifar10_wide_totals.png",
    ),
    Section(
        "CIFAR-10: scheduled task dropping with a task of random labels",
        """
Whether DST limits what a task that cannot be learnt does to the others: against the same network with equal weights and
against single-task networks. The source's narrow network, ten epochs, equal weights, three seeds; compared on the other
three tasks.

As configured here, DST does not help, nor does it clearly harm. Its probabilities say why: the loss of the random
labels does not fall, which the incompleteness and the stagnancy of DST take for a task that needs more steps, so that
it runs in 83% of them. With the count of positives alone (`dst(count=1)`) it runs in half of them, with the same
outcome. There was little to gain: even without the random task (`static`, the last table) the others do not get
better. At this size and number of epochs the random labels do them no measurable harm. What suffers from sharing is
the reconstruction, whose errors are small beside cross-entropies: its remedy is a weight (see cifar10_wide), not
dropping other tasks. Nor does DST save time here, since it drops the reconstruction least: a step takes 0.998 of one
with all tasks, and the four single-task networks take 2.2 times as long together (benchmarks/RESULTS.md, interleaved).
The seconds below are of a machine that did other work too.
""",
        ("cifar10_dst", "equal_weights", "dst_count", "without_random"),
    ),
    Section(
        "CIFAR-10: weightings against equal weights",
        """
The network and tasks of the section before, equal task weights, five epochs, three seeds, under ten weightings and DST;
compared on the three tasks that can be learnt.

None can be called better than equal weights here, nor better than another: all intervals of delta_m against equal
weights include 0. Against single-task networks only that of DST excludes it (worse). What the methods do is a trade.
The gradient of the reconstruction is far shorter than the others' (the norm ratio is that of the longest to the
shortest), so what evens gradients or losses out (aligned_mtl, cagrad, famo, gls, imtl_g, nash_mtl) lets it have more of
the trunk: its error falls, and the class loses up to five points of accuracy. pcgrad and upgrad get some of the one
without the other, within intervals as wide.

Four to five steps in ten are in conflict, at a mean cosine of about 0.1: nearly right angles, where the noise of a
batch decides on the sign, rather than tasks that pull against each other.

Training times are the least of three seeds, on one core of a machine that did other work, with the gradients looked at
in every 25th step; benchmarks/RESULTS.md has ratios of interleaved steps.
""",
        ("cifar10_weightings",),
        "weightings",
    ),
    Section(
        "CelebA: VGG16 at its true size",
        """
Three steps of 64 drawn faces: this shows that the network runs (in 4.3 GB of memory, evaluation included), and nothing
else. The attributes are far from learnt.
""",
        ("celeba_vgg16",),
        "run",
    ),
    Section(
        "CelebA: attributes and landmarks on ResNet18",
        "On 600 drawn faces, three epochs from random weights: this shows that it runs, with all its metrics.",
        ("celeba_landmarks",),
        "run",
    ),
)
