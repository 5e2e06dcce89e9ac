"""Task weightings: loss weights computed from losses or gradients, as pure functions.

```python
weighting = mtl_keras.weightings.get("dwa(temperature=1)")
weighting([2.3, 0.7, 0.05])  # (tasks,) weights from losses
weighting = mtl_keras.weightings.get("cagrad(c=0.4)")
weighting([[4.0, -1.0], [-1.0, 1.0]])  # (tasks,) weights from the Gramian of the tasks' gradients
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mtl_keras.serialization import serialize
from mtl_keras.weightings.base import WEIGHTINGS, Direction, Previous, State, StepInputs, Weighting
from mtl_keras.weightings.gramian import GramianWeighting

if TYPE_CHECKING:
    from mtl_keras.weightings.aligned_mtl import AlignedMTL
    from mtl_keras.weightings.cagrad import CAGrad
    from mtl_keras.weightings.con_fig import ConFIG
    from mtl_keras.weightings.cosmos import COSMOS
    from mtl_keras.weightings.cr_mogm import CRMOGM
    from mtl_keras.weightings.db_mtl import DBMTL
    from mtl_keras.weightings.dtp import DTP
    from mtl_keras.weightings.dual_proj import DualProj
    from mtl_keras.weightings.dwa import DWA
    from mtl_keras.weightings.excess_mtl import ExcessMTL
    from mtl_keras.weightings.fairgrad import FairGrad
    from mtl_keras.weightings.famo import FAMO
    from mtl_keras.weightings.gls import GLS
    from mtl_keras.weightings.graddrop import GradDrop
    from mtl_keras.weightings.gradnorm import GradNorm
    from mtl_keras.weightings.gradvac import GradVac
    from mtl_keras.weightings.imtl_g import IMTLG
    from mtl_keras.weightings.imtl_l import IMTLL
    from mtl_keras.weightings.krum import Krum
    from mtl_keras.weightings.log import Log
    from mtl_keras.weightings.mgda import MGDA
    from mtl_keras.weightings.moco import MoCo
    from mtl_keras.weightings.modo import MoDo
    from mtl_keras.weightings.nash_mtl import NashMTL
    from mtl_keras.weightings.pbi import PBI
    from mtl_keras.weightings.pcd import PCD
    from mtl_keras.weightings.pcgrad import PCGrad
    from mtl_keras.weightings.rlw import RLW
    from mtl_keras.weightings.sdmgrad import SDMGrad
    from mtl_keras.weightings.static import Static
    from mtl_keras.weightings.stch import STCH
    from mtl_keras.weightings.trimmed_mean import TrimmedMean
    from mtl_keras.weightings.uncertainty import Uncertainty
    from mtl_keras.weightings.upgrad import UPGrad

__all__ = [
    "COSMOS",
    "CRMOGM",
    "DBMTL",
    "DTP",
    "DWA",
    "FAMO",
    "GLS",
    "IMTLG",
    "IMTLL",
    "MGDA",
    "PBI",
    "PCD",
    "RLW",
    "STCH",
    "WEIGHTINGS",
    "AlignedMTL",
    "CAGrad",
    "ConFIG",
    "Direction",
    "DualProj",
    "ExcessMTL",
    "FairGrad",
    "GradDrop",
    "GradNorm",
    "GradVac",
    "GramianWeighting",
    "Krum",
    "Log",
    "MoCo",
    "MoDo",
    "NashMTL",
    "PCGrad",
    "Previous",
    "SDMGrad",
    "State",
    "Static",
    "StepInputs",
    "TrimmedMean",
    "UPGrad",
    "Uncertainty",
    "Weighting",
    "get",
    "serialize",
]


def get(identifier: str | Mapping[str, Any] | Weighting | None) -> Weighting:
    """Returns a weighting from a specification, a config or a weighting, which is returned as it is.

    Args:
        identifier: `"dwa"`, `"dwa(temperature=1)"`, `{"name": "dwa", "config": {"temperature": 1}}` or a `Weighting`;
            `None` for fixed weights.

    Raises:
        ValueError: for anything else, listing the choices and the closest match.

    Example:

    ```python
    get("uncertainty(learning_rate=0.01)")
    ```
    """
    return WEIGHTINGS.get("static" if identifier is None else identifier)


def __getattr__(name: str) -> Any:
    # The methods are imported when first used: all of them take a third of the time of `import mtl_keras`.
    if name in __all__:
        return WEIGHTINGS[name]
    raise AttributeError(f"module 'mtl_keras.weightings' has no attribute {name!r}. Choices: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
