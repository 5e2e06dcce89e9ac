"""The architectures of `keras.applications` as trunks of feature maps, with dilation instead of the last strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from models.applications import APPLICATIONS, apply_architecture, preprocess
from models.trunks import IMAGENET, TRUNKS, Trunk, load_trunk_weights
from mtl_keras.checks import unknown_value
from mtl_keras.keras_private import call_inputs, symbolic_producer
from mtl_keras.layers import DilatedPooling2D
from mtl_keras.training import graph

_STRIDES = (1, 2, 4, 8, 16, 32)
_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
_POOLINGS: dict[type, Literal["max", "average"]] = {layers.MaxPooling2D: "max", layers.AveragePooling2D: "average"}

Padding = tuple[tuple[int, int], tuple[int, int]]  # rows above and below, columns left and right
_NO_PADDING: Padding = ((0, 0), (0, 0))


@TRUNKS.register
def dilated(architecture: str = "resnet50", stride: int = 8) -> Trunk:
    """Returns an architecture of `keras.applications` without its classifier, with feature maps of high resolution.

    Layers whose stride would make the maps coarser than `stride` lose it, and the layers behind them are dilated, so
    that each weight sees the pixels that it would see in the architecture itself. With `stride=32`, the trunk computes
    the same as the architecture. At coarser strides, every `32 / stride`-th position of the maps equals the
    architecture's, but for layers that average all positions (squeeze-and-excitation).

    Convolutions that batch normalisation follows have no bias; ResNet-50 then has 23,508,032 weights, as in its source.
    The architecture's weights are loaded with such biases subtracted from the moving means, which gives the same
    outputs. Weights are `"imagenet"`, the file that Keras fetches for the architecture (`..._notop.h5`), or the file of
    such a trunk.

    Args:
        architecture: the name of an architecture in `keras.applications`. Those with nested models, such as ConvNeXt,
            cannot be dilated.
        stride: pixels of the image per position of the maps: 1, 2, 4, 8, 16 or 32.

    Raises:
        ValueError: for an unknown architecture or another stride.

    References:
        L.-C. Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017, section 3.1,
        https://arxiv.org/abs/1706.05587
    """
    if not isinstance(architecture, str) or architecture.lower() not in APPLICATIONS:
        raise unknown_value("architecture", architecture, APPLICATIONS)
    if stride not in _STRIDES:
        raise ValueError(f"stride must be one of {', '.join(map(str, _STRIDES))}. Received: stride={stride!r}")
    return _Dilated(architecture.lower(), stride)


@dataclass(frozen=True)
class _Dilated:
    architecture: str
    stride: int

    def __call__(self, images: Any) -> Any:
        """Returns the maps `(batch, rows, columns, features)` of images `(batch, height, width, channels)`."""
        source = self._source(tuple(images.shape[1:]))
        nested = [layer.name for layer in source.layers if isinstance(layer, keras.Model)]
        if nested:
            raise ValueError(
                f"Architecture {self.architecture!r} cannot be dilated: it has the nested model {nested[0]!r}. "
                "Choices: such as resnet50, mobilenetv2, efficientnetv2b0"
            )
        rebuild = _Rebuild(source, self.stride)
        try:
            made = keras.models.clone_model(source, images, lambda layer: layer, rebuild)
        except ValueError as cause:  # from branches whose sizes no longer agree
            raise ValueError(f"Architecture {self.architecture!r} cannot be dilated: {cause}") from cause
        return made.output

    def load_into(self, model: keras.Model, weights: str) -> None:
        """Loads weights of the architecture or of a trunk like this one.

        Args:
            model: a model of this trunk.
            weights: `"imagenet"` or the path of a file.

        Raises:
            ValueError: if the weights cannot be fetched, are missing or do not fit.
        """
        name = f"dilated({self.architecture})"
        if weights.endswith((".keras", ".weights.h5")):
            try:
                load_trunk_weights(model, weights, name)
                return
            except ValueError as error:
                if "does not hold weights" not in str(error):
                    raise  # else it may be a file of the architecture
        source = self._source(tuple(model.input.shape[1:]), imagenet=weights == IMAGENET)
        if weights != IMAGENET:
            load_trunk_weights(source, weights, name)
        _copy_weights(source, model)

    def _source(self, shape: tuple[int, ...], imagenet: bool = False) -> keras.Model:
        images = keras.Input(shape, name="images")
        x = preprocess(self.architecture, images)
        return keras.Model(images, apply_architecture(self.architecture, x, imagenet=imagenet, pooling=None))


def _readers(model: keras.Model) -> dict[str, list[keras.Operation]]:
    """Returns the operations that read the output of each operation of a model, by the name of the latter."""
    found: dict[str, list[keras.Operation]] = {}
    for tensor in graph.in_order([model.output]):
        operation, node, _ = symbolic_producer(tensor)
        for source in call_inputs(operation, node):
            found.setdefault(symbolic_producer(source)[0].name, []).append(operation)
    return found


def _normalisation_behind(layer: keras.Layer, readers: dict[str, list[keras.Operation]]) -> keras.Layer | None:
    """Returns the batch normalisation that alone reads the output of a convolution with a bias, which it cancels."""
    behind = readers.get(layer.name, [])
    if len(behind) == 1 and isinstance(behind[0], layers.BatchNormalization) and isinstance(layer, _CONVOLUTIONS):
        is_linear = layer.activation is keras.activations.linear
        return behind[0] if is_linear and layer.use_bias else None
    return None


def _weighted(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of a model that have weights, in the order of its graph."""
    operations = dict.fromkeys(symbolic_producer(tensor)[0] for tensor in graph.in_order([model.output]))
    return [layer for layer in operations if isinstance(layer, keras.Layer) and layer.weights]


def _copy_weights(source: keras.Model, model: keras.Model) -> None:
    """Copies the weights of an architecture to its rebuilt form, biases into the moving means behind them."""
    readers = _readers(source)
    # Not by name: architectures that leave names to Keras have others each time they are built.
    pairs = list(zip(_weighted(source), _weighted(model), strict=True))
    biases: dict[str, Any] = {}
    for layer, made in pairs:
        normalisation = _normalisation_behind(layer, readers)
        weights = layer.get_weights()
        if normalisation is not None:
            biases[normalisation.name] = weights.pop()
        made.set_weights(weights)
    for layer, made in pairs:
        if layer.name in biases:
            made.moving_mean.assign(made.moving_mean - biases[layer.name])


class _Rebuild:
    """Calls the layers of an architecture, in a graph of new layers that never exceeds a stride.

    Args:
        source: the architecture.
        limit: the largest stride of the maps.
    """

    def __init__(self, source: keras.Model, limit: int) -> None:
        self.readers = _readers(source)
        self.limit = limit
        # By the tensor's id, the tensor (so that the id stays its own), its stride and the rate of layers that read it.
        self.known: dict[int, tuple[Any, int, int]] = {}
        self.padding: dict[str, Padding] = {}  # by the name of the layer that does a left out padding itself

    def __call__(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        states = [self.known[id(x)][1:] for x in inputs if id(x) in self.known]
        stride, rate = max(states, default=(1, 1))
        if isinstance(layer, (*_CONVOLUTIONS, *_POOLINGS)):
            result, stride, rate = self._windowed(layer, args[0], stride, rate)
        elif isinstance(layer, layers.ZeroPadding2D) and self._is_left_out(layer, stride, rate):
            return args[0]
        elif isinstance(layer, keras.Layer):
            result = type(layer).from_config(layer.get_config())(*args, **kwargs)
        else:
            result = layer(*args, **kwargs)
        self.known[id(result)] = (result, stride, rate)
        return result

    def _changes(self, layer: keras.Layer, stride: int, rate: int) -> bool:
        """Returns whether a convolution or pooling is dilated or loses its stride."""
        return rate > 1 or stride * layer.strides[0] > self.limit

    def _is_left_out(self, layer: keras.Layer, stride: int, rate: int) -> bool:
        """Returns whether the layer behind a padding is changed, and therefore does the padding itself."""
        behind = self.readers[layer.name]
        windowed = len(behind) == 1 and isinstance(behind[0], (*_CONVOLUTIONS, *_POOLINGS))
        if not windowed or not self._changes(behind[0], stride, rate):
            return False
        self.padding[behind[0].name] = layer.padding
        return True

    def _windowed(self, layer: keras.Layer, x: Any, stride: int, rate: int) -> tuple[Any, int, int]:
        """Calls a convolution or pooling; returns the result, its stride and the rate of layers that read it."""
        config = layer.get_config()
        if _normalisation_behind(layer, self.readers) is not None:
            config["use_bias"] = False
        if not self._changes(layer, stride, rate):
            return type(layer).from_config(config)(x), stride * layer.strides[0], rate
        removed = layer.strides[0]
        is_pooling = isinstance(layer, tuple(_POOLINGS))
        size = layer.pool_size if is_pooling else layer.kernel_size
        own = (1, 1) if is_pooling else tuple(layer.dilation_rate)
        spans = [each * (side - 1) * rate for each, side in zip(own, size)]
        padding = self._padding(layer, x, size, spans, rate)
        same = tuple((span // 2, span - span // 2) for span in spans)
        simple = padding in (same, _NO_PADDING)
        config.update(strides=(1, 1), padding="same" if padding == same else "valid")
        if is_pooling and (rate > 1 or not simple):
            kind = next(kind for pooling, kind in _POOLINGS.items() if isinstance(layer, pooling))
            result = DilatedPooling2D(kind, size, rate, padding, name=layer.name)(x)
        elif is_pooling:
            result = type(layer).from_config(config)(x)
        else:
            if not simple:
                x = layers.ZeroPadding2D(padding, name=f"{layer.name}_padding")(x)
            config["dilation_rate"] = tuple(each * rate for each in own)
            result = type(layer).from_config(config)(x)
        return result, stride, rate * removed

    def _padding(self, layer: keras.Layer, x: Any, size: Any, spans: list[int], rate: int) -> Padding:
        """Returns the padding with which a layer without stride sees what it would see with it, at every position."""
        given = self.padding.get(layer.name)
        found = []
        for axis, span in enumerate(spans):
            removed = layer.strides[axis]
            if removed == 1 and layer.padding == "same":
                before, after = span // 2, span - span // 2
            elif removed == 1:
                before, after = (rate * each for each in given[axis]) if given else (0, 0)
            else:
                before = rate * given[axis][0] if given else 0
                if layer.padding == "same":
                    side = -(-x.shape[1 + axis] // rate)  # in the architecture
                    before = rate * (max(0, (-(-side // removed) - 1) * removed + size[axis] - side) // 2)
                after = max(0, span - before)  # so that the map keeps its size
            found.append((before, after))
        return found[0], found[1]
