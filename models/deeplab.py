"""DeepLab: a dilated trunk, shared by a head with atrous spatial pyramid pooling for each task."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from models import dense_heads, heads, stages, trunks
from models.applications import APPLICATIONS
from models.dilated import dilated
from models.networks import NETWORKS, Graph, Network, check_share
from mtl_keras.checks import check_integer
from mtl_keras.tasks import TaskSet

_LOW_LEVEL = 4  # pixels of the image per position of the maps of a skip connection


@NETWORKS.register
def deeplab(
    trunk: str | trunks.Trunk = "resnet50",
    filters: int = dense_heads.FILTERS,
    rates: Sequence[int] = dense_heads.RATES,
    dropout: float = dense_heads.DROPOUT,
    stride: int = 8,
    skip: bool = False,
) -> Network:
    """Builds a dilated trunk that all tasks share, and a DeepLab v3 head for each dense task and reconstruction.

    Other tasks read the average of the maps. With the default arguments, this is hard sharing of `dilated(resnet50)`.

    Args:
        trunk: the name of an architecture in `keras.applications`, which is dilated; or another trunk of feature maps:
            an identifier for `models.trunks.get`.
        filters: see `models.dense_heads.deeplab`.
        rates: see there. DeepLab v3 has 12, 24 and 36 for stride 8, and half of them for stride 16.
        dropout: see there.
        stride: pixels of the image per position of the trunk's maps: see `models.dilated.dilated`.
        skip: whether heads also read the trunk's maps of a quarter of the image's resolution, as in DeepLab v3+.

    Raises:
        ValueError: for arguments out of range, or a trunk without maps of that resolution.

    References:
        L.-C. Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017,
        https://arxiv.org/abs/1706.05587
        L.-C. Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV
        2018, https://arxiv.org/abs/1802.02611
    """
    stages.check_arguments(trunk, None)
    check_integer("filters", filters, 1)
    for rate in rates:
        check_integer("rates", rate, 1)
    check_share("dropout", dropout)
    if isinstance(trunk, str) and trunk.lower() in APPLICATIONS:
        trunk = dilated(trunk, stride)

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        model = trunks.get(trunk, image_shape, weights, tasks)
        low_level = None
        if skip:
            sides = tuple(-(-side // _LOW_LEVEL) for side in image_shape[:2])
            found = {tuple(maps.shape[1:3]): maps for maps in stages.activations(model)}
            if sides not in found:
                raise ValueError(
                    f"Network 'deeplab' needs maps of {sides[0]}x{sides[1]} within the trunk for skip=True. "
                    f"Received: a trunk with maps of {', '.join(f'{rows}x{columns}' for rows, columns in found)}"
                )
            low_level = found[sides]
        head = partial(dense_heads.deeplab, filters=filters, rates=rates, dropout=dropout, low_level=low_level)
        outputs = {}
        for task in tasks.values():
            is_map = task.is_dense or task.head == "reconstruction"
            if is_map:
                heads.check_maps(task, model.output)
            outputs[task.name] = (head if is_map else heads.head)(task, model.output)
        return model.input, outputs

    return build
