"""NYUv2: segmentation, depth and surface normals of indoor scenes.

`nyuv2` is a small U-Net, for a CPU. The other two have the settings of published tables, which need the files of MTAN
(https://github.com/lorenmt/mtan, 795 and 654 images of 288x384 pixels) and a GPU:

| preset | source | differences |
|---|---|---|
| `nyuv2_segnet_mtan` | MTAN (https://arxiv.org/abs/1803.10704), in the code of the authors and of CAGrad, Nash-MTL, \
FAMO and FairGrad | the source trains on all 795 images, evaluates the 654 test images after each epoch, and shows the \
mean of the last 10 epochs. Here a tenth of the 795 is held out to choose the epoch. |
| `nyuv2_deeplab` | LibMTL (https://github.com/median-research-group/LibMTL) | the same, except that the source shows \
the epoch that is best *on the test images*. Its weight decay is part of the gradient; that of Keras' Adam is not. |

The files could not be had here, so these two were run on synthetic scenes only, in smoke runs with smaller networks; no
figure of them is known.

Command: `python train.py --experiment nyuv2 --synthetic`
"""

from __future__ import annotations

from experiments.config import Preset, RunConfig

PRESETS = {
    "nyuv2": Preset(
        "segmentation, depth and normals on a small U-Net",
        RunConfig(dataset="nyuv2", model="unet(filters=8)", augment=True, epochs=25, batch_size=8, learning_rate=3e-3),
        smoke={"model": "unet(filters=4, depth=3)", "batch_size": 8},
    ),
    "nyuv2_segnet_mtan": Preset(
        "the settings of MTAN and its successors: SegNet with attention modules",
        RunConfig(
            dataset="nyuv2",
            model="segnet_mtan",
            augment=True,
            epochs=200,
            batch_size=2,
            learning_rate=1e-4,
            learning_rate_decay="halve",
        ),
        smoke={"model": "segnet_mtan(width=0.0625)", "batch_size": 8},
    ),
    "nyuv2_deeplab": Preset(
        "the settings of LibMTL: dilated ResNet50 with a DeepLab head for each task",
        RunConfig(
            dataset="nyuv2",
            model="deeplab(resnet50)",
            weights="imagenet",
            augment=True,
            epochs=200,
            batch_size=8,
            optimizer="adam(weight_decay=1e-5)",
            learning_rate=1e-4,
            learning_rate_decay="halve",
        ),
        smoke={"model": "deeplab(mobilenetv2, filters=8)", "weights": None, "batch_size": 8},
    ),
}
