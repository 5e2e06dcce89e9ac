"""`FreezeLayers`: freezes layers in some epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mtl_keras.model import MultiTaskModel
from mtl_keras.training.frozen import named_layers

Epochs = int | tuple[int, int | None]


class FreezeLayers(keras.callbacks.Callback):
    """Freezes layers in some epochs and trains them in the others, without calling `compile` again.

    The frozen layers depend on the epoch number only, so that a resumed run continues like an uninterrupted one. See
    `MultiTaskModel.set_frozen_layers` for the effect of freezing. All layers are unfrozen at the end of training.

    Args:
        epochs: name of a layer, or pattern of names (`"block1_*"`, `"backbone/conv*"`) -> number of epochs, from the
            first on, in which it is frozen, or `(first, end)`: from epoch `first` until before epoch `end`, or to the
            end of training if `end` is `None`. Epochs count from 0.

    Raises:
        ValueError: for any other value; at the start of training, for a name that no layer has; in an epoch in which
            nothing would be left to train.
        TypeError: in `fit`, if the model is not a `MultiTaskModel`.

    Example:

    ```python
    model.fit(images, labels, epochs=10, callbacks=[FreezeLayers({"trunk_*": 3, "trunk_conv1": (0, None)})])
    ```

    References:
        J. Howard, S. Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018, section 3.3
        (gradual unfreezing): later layers are unfrozen before earlier ones.
    """

    def __init__(self, epochs: Mapping[str, Epochs]) -> None:
        super().__init__()
        if not isinstance(epochs, Mapping) or not epochs:
            raise ValueError(f"epochs must be a dict from layer to epochs, e.g. {{'trunk_*': 3}}. Received: {epochs!r}")
        self.epochs = {name: _range(name, value) for name, value in epochs.items()}

    def __repr__(self) -> str:
        return f"FreezeLayers({self.epochs!r})"

    def set_model(self, model: keras.Model) -> None:
        if not isinstance(model, MultiTaskModel):
            raise TypeError(f"FreezeLayers needs a mtl_keras.MultiTaskModel. Received: model={type(model).__name__}")
        super().set_model(model)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        # Raises for a wrong name now, not in the first epoch that uses it.
        named_layers(self.model, self.epochs)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.model.set_frozen_layers(
            [name for name, (first, end) in self.epochs.items() if first <= epoch and (end is None or epoch < end)]
        )

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.model.set_frozen_layers(())


def _range(name: str, value: Any) -> tuple[int, int | None]:
    given = value if isinstance(value, (tuple, list)) and len(value) == 2 else (0, -1 if value is None else value)
    first, end = given
    numbers = [first] if end is None else [first, end]
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        raise ValueError(
            f"epochs of {name!r} must be a number of epochs >= 0 or (first, end), whole numbers >= 0 with None for no "
            f"end. Received: {value!r}"
        )
    return first, end
