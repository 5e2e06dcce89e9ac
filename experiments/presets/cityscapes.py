"""Cityscapes: segmentation (7 classes) and inverse depth of street scenes, with the settings of published tables.

The presets need the files of MTAN (https://github.com/lorenmt/mtan, 2975 and 500 images of 128x256 pixels).

| preset | source | differences |
|---|---|---|
| `cityscapes_segnet_mtan` | MTAN (https://arxiv.org/abs/1803.10704), and the code of CAGrad, Nash-MTL, FAMO and \
FairGrad | as in `nyuv2_segnet_mtan` |
| `cityscapes_deeplab` | LibMTL (https://github.com/median-research-group/LibMTL) | as in `nyuv2_deeplab` |

The files could not be had here, so these presets were run on synthetic scenes only, in smoke runs with smaller
networks; no figure of them is known.

Command: `python train.py --experiment cityscapes_segnet_mtan --data_dir ~/tensorflow_datasets`
"""

from __future__ import annotations

import dataclasses

from experiments.presets import nyuv2

_BATCHES = {"segnet_mtan": 8, "deeplab": 64}

PRESETS = {
    f"cityscapes_{name}": dataclasses.replace(
        nyuv2.PRESETS[f"nyuv2_{name}"],
        config=dataclasses.replace(nyuv2.PRESETS[f"nyuv2_{name}"].config, dataset="cityscapes", batch_size=size),
    )
    for name, size in _BATCHES.items()
}
