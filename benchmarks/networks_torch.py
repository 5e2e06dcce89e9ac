"""The networks of the benchmarks in PyTorch, layer by layer as on our side; see `benchmarks/weightings_torch.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 128


class MultiTask(nn.Module):
    """A trunk, and one head and one loss a task.

    Args:
        trunk: the shared part.
        heads: for each task, from the features to its output.
        losses: for each task, of output and target.
    """

    def __init__(self, trunk: nn.Module, heads: list[nn.Module], losses: list[Callable[..., Tensor]]) -> None:
        super().__init__()
        self.trunk, self.heads, self.losses = trunk, nn.ModuleList(heads), losses

    def forward(self, images: Tensor, targets: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Returns the features and the losses."""
        features = self.trunk(images)
        outputs = [head(features) for head in self.heads]
        return features, [loss(output, y) for loss, output, y in zip(self.losses, outputs, targets, strict=True)]


def cifar10() -> MultiTask:
    """The network of the preset cifar10_3: `models.strided(dropout="each")`."""
    trunk: list[nn.Module] = []
    for before, filters in ((3, 8), (8, 16), (16, 32)):
        convolution = nn.Conv2d(before, filters, 3, stride=2, padding=1)
        trunk += [convolution, nn.ReLU(), nn.Dropout(0.2), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)]

    decoder: list[nn.Module] = [nn.Flatten(), nn.Linear(512, 32), nn.Linear(32, 512), nn.Unflatten(1, (32, 4, 4))]
    for before, filters in ((32, 32), (32, 16), (16, 8)):
        decoder += [*_up(before, filters)]
    decoder += [nn.ConvTranspose2d(8, 3, 3, padding=1), nn.Sigmoid()]
    return MultiTask(
        nn.Sequential(*trunk),
        [
            nn.Sequential(nn.Flatten(), *_classifier(512, 10)),
            nn.Sequential(nn.Flatten(), *_classifier(512, 1), nn.Flatten(0)),
            nn.Sequential(*decoder),
        ],
        [functional.cross_entropy, functional.binary_cross_entropy_with_logits, functional.mse_loss],
    )


def decoder() -> MultiTask:
    """The network of `benchmarks/dropping.py`, whose decoder is most of the work."""
    trunk: list[nn.Module] = []
    for before, filters in ((3, 32), (32, 64), (64, 128)):
        trunk += [nn.Conv2d(before, filters, 3, stride=2, padding=1), nn.ReLU(), _normalisation(filters)]
    trunk += [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU()]
    image: list[nn.Module] = [nn.Linear(128, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4))]
    for before, filters in ((128, 128), (128, 64), (64, 32)):
        image += [*_up(before, filters), _normalisation(filters)]
    image += [nn.Conv2d(32, 3, 3, padding=1), nn.Sigmoid()]
    return MultiTask(
        nn.Sequential(*trunk),
        [
            nn.Sequential(*_classifier(128, 10)),
            nn.Sequential(*_classifier(128, 1), nn.Flatten(0)),
            nn.Sequential(*image),
        ],
        [functional.cross_entropy, functional.binary_cross_entropy_with_logits, functional.mse_loss],
    )


def trunk() -> MultiTask:
    """The trunk `cnn` of `models.trunks` for 32x32 images, with three classifiers of one layer."""
    return _cnn(3, 8, (10, 5, 2))


def fashion_mnist() -> MultiTask:
    """The trunk `cnn` of `models.trunks` for 28x28 images, with the heads of the two tasks of Fashion-MNIST."""
    return _cnn(1, 7, (10, 3))


def _cnn(channels: int, side: int, classes: tuple[int, ...]) -> MultiTask:
    layers: list[nn.Module] = []
    for before, filters in ((channels, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, filters, 3, padding=1, bias=False)]
        layers += [nn.MaxPool2d(2)] if filters < 128 else []
        layers += [_normalisation(filters, 0.1), nn.ReLU()]
    layers += [
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(128 * side * side, 128, bias=False),
        nn.BatchNorm1d(128, eps=1e-3),
        nn.ReLU(),
    ]
    heads: list[nn.Module] = [nn.Sequential(nn.Dropout(0.3), nn.Linear(128, size)) for size in classes]
    return MultiTask(nn.Sequential(*layers), heads, [functional.cross_entropy] * len(classes))


def _up(before: int, filters: int) -> tuple[nn.Module, nn.Module]:
    return nn.ConvTranspose2d(before, filters, 3, stride=2, padding=1, output_padding=1), nn.ReLU()


def _classifier(features: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, outputs)


def _normalisation(filters: int, momentum: float = 0.01) -> nn.Module:
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum)


@dataclass(frozen=True)
class Network:
    """What is trained.

    Args:
        build: makes the network.
        shape: (channels, height, width) of its images.
        classes: for each task, how many classes it has; 0 for the images themselves.
        clipnorm: at which norm each gradient is clipped; 0 for never.
    """

    build: Callable[[], MultiTask]
    shape: tuple[int, int, int]
    classes: tuple[int, ...]
    clipnorm: float = 0.0

    def batch(self, memory_format: torch.memory_format) -> tuple[Tensor, list[Tensor]]:
        """Returns images and targets of noise."""
        images = torch.rand(BATCH, *self.shape).contiguous(memory_format=memory_format)
        return images, [self._target(count, images) for count in self.classes]

    def _target(self, classes: int, images: Tensor) -> Tensor:
        if classes == 0:
            return images
        target = torch.randint(max(classes, 2), (BATCH,))
        return target.float() if classes == 1 else target


NETWORKS = {
    "cifar10": Network(cifar10, (3, 32, 32), (10, 1, 0), clipnorm=1.0),
    "decoder": Network(decoder, (3, 32, 32), (10, 1, 0)),
    "fashion_mnist": Network(fashion_mnist, (1, 28, 28), (10, 3)),
    "trunk": Network(trunk, (3, 32, 32), (10, 5, 2), clipnorm=1.0),
}
