"""Traces the functions of the input pipeline without AutoGraph."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import tensorflow as tf

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def traced_as_written(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorates a function so that AutoGraph does not rewrite its `tf.data` functions.

    AutoGraph would read and compile the source of everything they call, which takes longer than all other work before
    the first batch. It is not needed: conditions on tensors use `tf.cond`, `tf.where` and the like. Your own recipes
    should do the same, or be decorated with `tf.function`.
    """
    return cast(Callable[_Parameters, _Result], tf.autograph.experimental.do_not_convert(function))
