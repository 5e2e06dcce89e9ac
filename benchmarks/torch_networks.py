"""The networks of the benchmarks in PyTorch, layer by layer as in Keras; see `benchmarks/torch_worker.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 128


class MultiTask(nn.Module):
    """A trunk, and one head and one loss per task.

    Args:
        trunk: the shared part.
        heads: for each task, from the features to its output.
        losses: for each task, of output and target.
    """

    def __init__(
        self, trunk: list[nn.Module], heads: list[list[nn.Module]], losses: list[Callable[..., Tensor]]
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk)
        self.heads = nn.ModuleList(nn.Sequential(*layers) for layers in heads)
        self.losses = losses

    def forward(self, images: Tensor, targets: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Returns the features and the losses."""
        features = self.trunk(images)
        outputs = [head(features) for head in self.heads]
        return features, [loss(output, y) for loss, output, y in zip(self.losses, outputs, targets, strict=True)]


def cifar10() -> MultiTask:
    """The network of the preset cifar10_3: `models.strided(dropout="each")`."""
    trunk: list[nn.Module] = []
    for before, filters in ((3, 8), (8, 16), (16, 32)):
        trunk += [nn.Conv2d(before, filters, 3, stride=2, padding=1), nn.ReLU(), nn.Dropout(0.2), _norm(filters)]
    image: list[nn.Module] = [nn.Flatten(), nn.Linear(512, 32), nn.Linear(32, 512), nn.Unflatten(1, (32, 4, 4))]
    for before, filters in ((32, 32), (32, 16), (16, 8)):
        image += _up(before, filters)
    image += [nn.ConvTranspose2d(8, 3, 3, padding=1), nn.Sigmoid()]
    return _three_tasks(trunk, 512, image)


def decoder() -> MultiTask:
    """`networks.DECODER`, whose decoder is most of the work."""
    trunk: list[nn.Module] = []
    for before, filters in ((3, 32), (32, 64), (64, 128)):
        trunk += [nn.Conv2d(before, filters, 3, stride=2, padding=1), nn.ReLU(), _norm(filters)]
    trunk += [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU()]
    image: list[nn.Module] = [nn.Linear(128, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4))]
    for before, filters in ((128, 128), (128, 64), (64, 32)):
        image += [*_up(before, filters), _norm(filters)]
    image += [nn.Conv2d(32, 3, 3, padding=1), nn.Sigmoid()]
    return _three_tasks(trunk, 128, image)


def trunk() -> MultiTask:
    """The trunk `cnn` of `models.trunks` for 32x32 images, with three classifiers of one layer."""
    return _cnn(3, 8, (10, 5, 2))


def fashion_mnist() -> MultiTask:
    """The trunk `cnn` of `models.trunks` for 28x28 images, with the heads of the two tasks of Fashion-MNIST."""
    return _cnn(1, 7, (10, 3))


def _three_tasks(trunk: list[nn.Module], features: int, image: list[nn.Module]) -> MultiTask:
    def classifier(outputs: int) -> list[nn.Module]:
        return [nn.Flatten(), nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, outputs)]

    heads = [classifier(10), [*classifier(1), nn.Flatten(0)], image]
    losses = [functional.cross_entropy, functional.binary_cross_entropy_with_logits, functional.mse_loss]
    return MultiTask(trunk, heads, losses)


def _cnn(channels: int, side: int, classes: tuple[int, ...]) -> MultiTask:
    layers: list[nn.Module] = []
    for before, filters in ((channels, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, filters, 3, padding=1, bias=False)]
        layers += [nn.MaxPool2d(2)] if filters < 128 else []
        layers += [_norm(filters, 0.1), nn.ReLU()]
    layers += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * side * side, 128, bias=False)]
    layers += [nn.BatchNorm1d(128, eps=1e-3), nn.ReLU()]
    heads: list[list[nn.Module]] = [[nn.Dropout(0.3), nn.Linear(128, size)] for size in classes]
    return MultiTask(layers, heads, [functional.cross_entropy] * len(classes))


def _up(before: int, filters: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(before, filters, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]


def _norm(filters: int, momentum: float = 0.01) -> nn.Module:
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum)


@dataclass(frozen=True)
class Network:
    """A network to measure.

    Args:
        build: makes it.
        shape: (channels, height, width) of its images.
        classes: for each task, the number of classes; 0 for the images themselves.
        clipnorm: limit of the norm of each gradient; 0 for none.
    """

    build: Callable[[], MultiTask]
    shape: tuple[int, int, int]
    classes: tuple[int, ...]
    clipnorm: float = 0.0

    def batch(self, memory_format: torch.memory_format) -> tuple[Tensor, list[Tensor]]:
        """Returns images and targets of noise."""
        images = torch.rand(BATCH, *self.shape).contiguous(memory_format=memory_format)
        targets = [torch.randint(max(count, 2), (BATCH,)) for count in self.classes]
        for place, count in enumerate(self.classes):
            if count < 2:
                targets[place] = images if count == 0 else targets[place].float()
        return images, targets


NETWORKS = {
    "cifar10": Network(cifar10, (3, 32, 32), (10, 1, 0), clipnorm=1.0),
    "decoder": Network(decoder, (3, 32, 32), (10, 1, 0)),
    "fashion_mnist": Network(fashion_mnist, (1, 28, 28), (10, 3)),
    "trunk": Network(trunk, (3, 32, 32), (10, 5, 2), clipnorm=1.0),
}
