"""How the functions of the input pipeline are traced: as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import tensorflow as tf

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def traced_as_written(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorates a function whose `tf.data` functions AutoGraph is not to rewrite.

    AutoGraph would read and compile the source of all that they call, which takes longer than all else that is done
    before the first batch. Nothing here needs it: what depends on tensors is said with `tf.cond`, `tf.where` and the
    like, and recipes of one's own do so too, or are decorated with `tf.function`.
    """
    return cast(Callable[_Parameters, _Result], tf.autograph.experimental.do_not_convert(function))
