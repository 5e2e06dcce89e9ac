"""Task schedules: which tasks run, as pure functions of the epoch and the records so far.

```python
schedule = mtl_keras.schedules.get("dst(floor=0.3)")
schedule(epoch, records)  # {task: probability or weight}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtl_keras.schedules.base import CURVES, SCHEDULES, Curve, Records, Schedule
from mtl_keras.schedules.dst import DST
from mtl_keras.schedules.random_drop import RandomDrop
from mtl_keras.schedules.static import Static
from mtl_keras.schedules.weight_curves import Constant, Cosine, Join, Linear, Step, WeightCurves
from mtl_keras.serialization import serialize

__all__ = [
    "CURVES",
    "DST",
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Curve",
    "Join",
    "Linear",
    "RandomDrop",
    "Records",
    "Schedule",
    "Static",
    "Step",
    "WeightCurves",
    "get",
    "serialize",
]


def get(identifier: str | Mapping[str, Any] | Schedule) -> Schedule:
    """Returns a schedule from a specification, a config or a schedule, which is returned as it is.

    Args:
        identifier: `"dst"`, `"dst(floor=0.3)"`, `{"name": "dst", "config": {"floor": 0.3}}` or a `Schedule`.

    Raises:
        ValueError: for anything else, listing the choices and the closest match.

    Example:

    ```python
    get("random_drop(keep={'group': 0.5})")
    get("weight_curves(curves={'group': join([constant(1), linear(1, 0, 10)], [5])})")
    ```
    """
    return SCHEDULES.get(identifier)


def __dir__() -> list[str]:
    return __all__
