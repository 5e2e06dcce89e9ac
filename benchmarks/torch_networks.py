"""The networks that `torch_worker.py` trains: those of the Keras side, layer by layer, in PyTorch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE, BINARY = 0, 1  # instead of a number of classes

Ints = Sequence[int]
Layers = list[nn.Module]


class TorchNetwork(nn.Module):
    """A trunk, and one head and one loss per task.

    Args:
        shape: (channels, height, width) of its images, or (features,) of its vectors.
        trunk: the part below the heads. It returns the features that all heads read, or a list with those of each.
        heads: layers of each task, from the features to its output.
        classes: number of classes of each task, or `IMAGE` or `BINARY`.
        clipnorm: limit of the norm of each gradient; 0 for none.
        batch: number of examples in a step.
    """

    def __init__(
        self,
        shape: Ints,
        trunk: nn.Module,
        heads: Sequence[Layers],
        classes: Ints,
        clipnorm: float = 0.0,
        batch: int = 128,
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.clipnorm, self.batch = shape, classes, clipnorm, batch
        self.trunk = trunk
        self.heads = nn.ModuleList(nn.Sequential(*layers) for layers in heads)
        losses = {IMAGE: functional.mse_loss, BINARY: functional.binary_cross_entropy_with_logits}
        self.losses = [losses.get(count, functional.cross_entropy) for count in classes]

    def forward(self, inputs: Tensor, targets: list[Tensor]) -> tuple[Tensor | list[Tensor], list[Tensor]]:
        """Returns the features and the losses."""
        features = self.trunk(inputs)
        read = features if isinstance(features, list) else [features] * len(self.heads)
        outputs = [head(x) for head, x in zip(self.heads, read, strict=True)]
        return features, [loss(output, y) for loss, output, y in zip(self.losses, outputs, targets, strict=True)]

    def noise(self, memory_format: torch.memory_format) -> tuple[Tensor, list[Tensor]]:
        """Returns a batch of inputs, and its targets."""
        inputs = torch.rand(self.batch, *self.shape).contiguous(memory_format=memory_format)
        targets = [torch.randint(max(count, 2), (self.batch,)) for count in self.classes]
        kinds = zip(self.classes, targets)
        return inputs, [inputs if n == IMAGE else y.float() if n == BINARY else y for n, y in kinds]


class Mixture(nn.Module):
    """A gate for each task, and each task's weighted sum of the experts `(batch, experts, units)` that it is given."""

    def __init__(self, inputs: int, experts: int, tasks: int) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(inputs, experts, bias=False) for _ in range(tasks))

    def forward(self, reads: Sequence[Tensor], experts: Sequence[Tensor]) -> list[Tensor]:
        """Returns the mixture of each task; `reads` are what the gates read."""
        weights = [gate(x).softmax(-1)[:, None] for gate, x in zip(self.gates, reads, strict=True)]
        return [torch.bmm(weight, expert)[:, 0] for weight, expert in zip(weights, experts, strict=True)]


class MMoE(nn.Module):
    """The trunk of the network `mmoe(mlp)`."""

    def __init__(self, inputs: int, widths: Ints, experts: int, tasks: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Sequential(*_mlp(inputs, widths)) for _ in range(experts))
        self.mixture = Mixture(inputs, experts, tasks)
        self.tasks = tasks

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Returns the features of each task."""
        experts = torch.stack([expert(inputs) for expert in self.experts], dim=1)
        return self.mixture([inputs] * self.tasks, [experts] * self.tasks)


class Level(nn.Module):
    """A level of `PLE`: experts of one layer."""

    def __init__(self, inputs: int, units: int, shared: int, own: int, tasks: int, last: bool) -> None:
        super().__init__()

        def experts(count: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Sequential(*_mlp(inputs, [units])) for _ in range(count))

        self.shared = experts(shared)
        self.own = nn.ModuleList(experts(own) for _ in range(tasks))
        self.mixture = Mixture(inputs, own + shared, tasks)
        self.shared_mixture = None if last else Mixture(inputs, tasks * own + shared, 1)

    def forward(self, of_task: Sequence[Tensor], of_shared: Tensor) -> tuple[list[Tensor], Tensor]:
        """Returns the features of each task, and those that shared experts read at the next level."""
        shared = [expert(of_shared) for expert in self.shared]
        own = [[expert(x) for expert in mine] for mine, x in zip(self.own, of_task, strict=True)]
        features = self.mixture(of_task, [torch.stack([*mine, *shared], dim=1) for mine in own])
        if self.shared_mixture is not None:
            every = torch.stack([*itertools.chain(*own), *shared], dim=1)
            (of_shared,) = self.shared_mixture([of_shared], [every])
        return features, of_shared


class PLE(nn.Module):
    """The trunk of the network `ple(mlp)`, with a level for each layer."""

    def __init__(self, inputs: int, widths: Ints, shared: int, own: int, tasks: int) -> None:
        super().__init__()
        sizes = list(itertools.pairwise([inputs, *widths]))
        levels = (Level(*size, shared, own, tasks, size == sizes[-1]) for size in sizes)
        self.levels, self.tasks = nn.ModuleList(levels), tasks

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Returns the features of each task."""
        features, of_shared = [inputs] * self.tasks, inputs
        for level in self.levels:
            features, of_shared = level(features, of_shared)
        return features


class CrossStitch(nn.Module):
    """The trunk of the network `cross_stitch`: stages for each task, with a unit behind each.

    Args:
        stages: makes the layers of each stage, once for each task.
        channels: the channels behind each stage.
        tasks: number of tasks.
    """

    def __init__(self, stages: Callable[[], list[Layers]], channels: Ints, tasks: int) -> None:
        super().__init__()
        copies = [[nn.Sequential(*layers) for layers in stages()] for _ in range(tasks)]
        self.stages = nn.ModuleList(nn.ModuleList(each) for each in zip(*copies, strict=True))
        start = torch.full((tasks, tasks), 0.1 / (tasks - 1)).fill_diagonal_(0.9)[..., None]
        self.register_buffer("start", start)  # (tasks, tasks, 1)
        self.changes = nn.ParameterList(torch.zeros(tasks, tasks, count) for count in channels)

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Returns the features of each task."""
        features = [inputs] * len(self.start)
        for stage, change in zip(self.stages, self.changes, strict=True):
            features = [copy(x) for copy, x in zip(stage, features, strict=True)]
            alpha = self.start + 100 * change
            if features[0].ndim > 2:
                alpha = alpha[..., None, None]
            features = [sum(a * x for a, x in zip(row, features, strict=True)) for row in alpha]
        return features


class SegNet(nn.Module):
    """The trunk `segnet`: an encoder with max-pooling, and a decoder that unpools with the indices of the encoder.

    Args:
        width: factor of the channels.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        filters = [round(width * count) for count in (64, 128, 256, 512, 512)]
        encoder, decoder = [[(3, filters[0]), (filters[0],) * 2]], [[(filters[0],) * 2] * 2]
        for level, (before, after) in enumerate(itertools.pairwise(filters)):
            repeats = 1 if level == 0 else 2
            encoder.append([(before, after), *[(after,) * 2] * repeats])
            decoder.append([(after, before), *[(before,) * 2] * repeats])
        self.encoder = nn.ModuleList(nn.Sequential(*itertools.chain(*map(_convolution, each))) for each in encoder)
        self.decoder = nn.ModuleList(nn.Sequential(*itertools.chain(*map(_convolution, each))) for each in decoder)

    def forward(self, x: Tensor) -> Tensor:
        """Returns maps of the images' size."""
        indices = []
        for block in self.encoder:
            x, index = functional.max_pool2d(block(x), 2, return_indices=True)
            indices.append(index)
        for block in reversed(self.decoder):
            x = block(functional.max_unpool2d(x, indices.pop(), 2))
        return x


class DenseNetwork(TorchNetwork):
    """Segmentation, depth and surface normals on `SegNet`, with its losses over the valid pixels.

    Args:
        width: factor of the channels.
        classes: number of classes of the segmentation.
        size: (height, width) of the images.
        batch: number of images in a step.
    """

    def __init__(self, width: float, classes: int, size: tuple[int, int], batch: int) -> None:
        maps = round(64 * width)
        outputs = (classes, 1, 3)
        heads = [[nn.Conv2d(maps, maps, 3, padding=1), nn.Conv2d(maps, count, 1)] for count in outputs]
        super().__init__((3, *size), SegNet(width), heads, (classes, IMAGE, IMAGE), batch=batch)

        def depth_loss(predicted: Tensor, true: Tensor) -> Tensor:
            valid = true != 0
            return (torch.abs(predicted - true) * valid).sum() / valid.sum()

        def normal_loss(predicted: Tensor, true: Tensor) -> Tensor:
            valid = (true != 0).any(dim=1)
            cosine = (functional.normalize(predicted, dim=1) * true).sum(dim=1)
            return 1 - (cosine * valid).sum() / valid.sum()

        def segmentation_loss(predicted: Tensor, true: Tensor) -> Tensor:
            return functional.cross_entropy(predicted, true, ignore_index=-1)

        self.losses = [segmentation_loss, depth_loss, normal_loss]

    def noise(self, memory_format: torch.memory_format) -> tuple[Tensor, list[Tensor]]:
        """Returns a batch of images and labels; about a tenth of the pixels have no label."""
        (size, classes), pixels = (self.shape[1:], self.classes[0]), (self.batch, *self.shape[1:])
        images = torch.rand(self.batch, 3, *size).contiguous(memory_format=memory_format)
        segments = torch.randint(-1, classes, pixels)
        valid = (torch.rand(self.batch, 1, *size) > 0.1).float()
        normals = functional.normalize(torch.randn(self.batch, 3, *size), dim=1) * valid
        return images, [segments, torch.rand(self.batch, 1, *size) * valid, normals]


def cifar10() -> TorchNetwork:
    """The network of the preset cifar10_3: `models.strided(dropout="each")`."""
    trunk: Layers = []
    for before, filters in ((3, 8), (8, 16), (16, 32)):
        trunk += [nn.Conv2d(before, filters, 3, stride=2, padding=1), nn.ReLU(), nn.Dropout(0.2), _norm(filters)]
    image: Layers = [nn.Flatten(), nn.Linear(512, 32), nn.Linear(32, 512), nn.Unflatten(1, (32, 4, 4))]
    for before, filters in ((32, 32), (32, 16), (16, 8)):
        image += _up(before, filters)
    image += [nn.ConvTranspose2d(8, 3, 3, padding=1), nn.Sigmoid()]
    return _with_decoder(trunk, 512, image, clipnorm=1.0)


def decoder() -> TorchNetwork:
    """`networks.DECODER`, whose decoder is most of the work."""
    trunk: Layers = []
    for before, filters in ((3, 32), (32, 64), (64, 128)):
        trunk += [nn.Conv2d(before, filters, 3, stride=2, padding=1), nn.ReLU(), _norm(filters)]
    trunk += [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU()]
    image: Layers = [nn.Linear(128, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4))]
    for before, filters in ((128, 128), (128, 64), (64, 32)):
        image += [*_up(before, filters), _norm(filters)]
    image += [nn.Conv2d(32, 3, 3, padding=1), nn.Sigmoid()]
    return _with_decoder(trunk, 128, image)


def cnn(shape: Ints, classes: Ints, clipnorm: float = 0.0) -> TorchNetwork:
    """The trunk `cnn` of `models.trunks`, with classifiers of one layer."""
    trunk = nn.Sequential(*itertools.chain(*_cnn_stages(shape)))
    heads: list[Layers] = [[nn.Dropout(0.3), nn.Linear(128, size)] for size in classes]
    return TorchNetwork(shape, trunk, heads, classes, clipnorm)


def cross_stitch() -> TorchNetwork:
    """The network `cross_stitch(cnn)` on images of 32x32 pixels, with a task of 10 classes and a binary task."""
    shape = (3, 32, 32)
    trunk = CrossStitch(lambda: _cnn_stages(shape), (32, 128, 128), tasks=2)
    heads: list[Layers] = [[nn.Dropout(0.3), nn.Linear(128, 10)], [nn.Linear(128, 1), nn.Flatten(0)]]
    return TorchNetwork(shape, trunk, heads, (10, BINARY))


def on_a_table(trunk: nn.Module, inputs: int, features: int, tasks: int) -> TorchNetwork:
    """Binary tasks on vectors, in batches of 1024."""
    heads: list[Layers] = [[nn.Linear(features, 1), nn.Flatten(0)] for _ in range(tasks)]
    return TorchNetwork((inputs,), trunk, heads, [BINARY] * tasks, batch=1024)


def _with_decoder(trunk: Layers, features: int, image: Layers, clipnorm: float = 0.0) -> TorchNetwork:
    def classifier(outputs: int) -> Layers:
        return [nn.Flatten(), nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, outputs)]

    heads = [classifier(10), [*classifier(1), nn.Flatten(0)], image]
    return TorchNetwork((3, 32, 32), nn.Sequential(*trunk), heads, (10, BINARY, IMAGE), clipnorm)


def _cnn_stages(shape: Ints) -> list[Layers]:
    channels, height, width = shape
    blocks: list[Layers] = []
    for before, filters in ((channels, 32), (32, 64), (64, 128)):
        pool: Layers = [nn.MaxPool2d(2)] if filters < 128 else []
        convolution = nn.Conv2d(before, filters, 3, padding=1, bias=False)
        blocks.append([convolution, *pool, _norm(filters, 0.1), nn.ReLU()])
    dense: Layers = [nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * (height // 4) * (width // 4), 128, bias=False)]
    dense += [nn.BatchNorm1d(128, eps=1e-3), nn.ReLU()]
    return [blocks[0], blocks[1] + blocks[2], dense]


def _mlp(inputs: int, widths: Ints) -> Layers:
    return [layer for sizes in itertools.pairwise([inputs, *widths]) for layer in (nn.Linear(*sizes), nn.ReLU())]


def _convolution(channels: tuple[int, int]) -> Layers:
    before, after = channels
    return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]


def _up(before: int, filters: int) -> Layers:
    return [nn.ConvTranspose2d(before, filters, 3, stride=2, padding=1, output_padding=1), nn.ReLU()]


def _norm(filters: int, momentum: float = 0.01) -> nn.Module:
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum)


NETWORKS: dict[str, Callable[[], TorchNetwork]] = {
    "cifar10": cifar10,
    "decoder": decoder,
    "fashion_mnist": lambda: cnn((1, 28, 28), (10, 3)),
    "trunk": lambda: cnn((3, 32, 32), (10, 5, 2), clipnorm=1.0),
    "mmoe": lambda: on_a_table(MMoE(32, (64, 32), experts=8, tasks=4), 32, 32, 4),
    "ple": lambda: on_a_table(PLE(32, (64, 32), shared=2, own=1, tasks=4), 32, 32, 4),
    "cross_stitch": cross_stitch,
    "segnet": lambda: DenseNetwork(0.25, 13, (96, 128), batch=8),
}
