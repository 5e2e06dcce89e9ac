"""How much each task counts: weights from the losses, as pure functions.

```python
weighting = mtl_keras.weightings.get("dwa(temperature=1)")
weighting([2.3, 0.7, 0.05])  # (tasks,) weights
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtl_keras.config import serialize
from mtl_keras.weightings.base import WEIGHTINGS, LossWeighting, State, Weighting
from mtl_keras.weightings.dwa import DWA
from mtl_keras.weightings.gls import GLS
from mtl_keras.weightings.static import Static
from mtl_keras.weightings.uncertainty import Uncertainty

__all__ = [
    "DWA",
    "GLS",
    "WEIGHTINGS",
    "LossWeighting",
    "State",
    "Static",
    "Uncertainty",
    "Weighting",
    "get",
    "serialize",
]


def get(identifier: str | Mapping[str, Any] | Weighting) -> Weighting:
    """Returns a weighting from a specification, a config or a weighting, which is returned as it is.

    Args:
        identifier: `"dwa"`, `"dwa(temperature=1)"`, `{"name": "dwa", "config": {"temperature": 1}}` or a `Weighting`.

    Raises:
        ValueError: for anything else, listing the choices and the closest match.

    Example:

    ```python
    get("uncertainty(learning_rate=0.01)")
    ```
    """
    weighting = WEIGHTINGS.get(identifier)
    if not isinstance(weighting, Weighting):
        raise ValueError(
            f"A weighting is a name, a config or a Weighting object. Received: {identifier!r}. "
            f"Choices: {', '.join(WEIGHTINGS.names)}"
        )
    return weighting
