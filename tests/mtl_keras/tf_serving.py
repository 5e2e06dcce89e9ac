"""TensorFlow Serving's REST predict API in Python, as it is documented: JSON to tensors, a SavedModel, tensors to JSON.

References:
    https://www.tensorflow.org/tfx/serving/api_rest, and tensorflow_serving/util/json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

Specs = Mapping[str, tf.TensorSpec]


class Refused(Exception):
    """What the server answers with an error."""


def answer(served: Any, body: str) -> dict[str, Any]:
    """Returns the server's reply to a request.

    Args:
        served: a loaded SavedModel.
        body: of the request.
    """
    try:
        return _predict(served, body)
    except (Refused, tf.errors.OpError) as error:
        return {"error": str(error)}


def _predict(served: Any, body: str) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError as cause:
        raise Refused(f"JSON Parse error: {cause}") from cause
    if not isinstance(request, dict):
        raise Refused("Is not object")
    name = request.get("signature_name", "serving_default")
    if not isinstance(name, str) or name not in served.signatures:
        raise Refused(f"Failed to get input map for signature: {name}")
    function = served.signatures[name]
    specs = function.structured_input_signature[1]
    if ("instances" in request) == ("inputs" in request):
        raise Refused("Expecting one of 'inputs' or 'instances'")
    in_rows = "instances" in request
    values = _from_rows(request["instances"], specs) if in_rows else _from_columns(request["inputs"], specs)
    tensors = {key: _tensor(value, specs[key]) for key, value in values.items()}
    for key, tensor in tensors.items():
        if not specs[key].shape.is_compatible_with(tensor.shape):
            raise Refused(f"input {key} must have the shape {specs[key].shape}. Received: {tensor.shape}")
    outputs = {key: _decimals(value.numpy()) for key, value in function(**tensors).items()}
    alone = next(iter(outputs.values())) if len(outputs) == 1 else None
    if not in_rows:
        return {"outputs": outputs if alone is None else alone}
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
    return {"predictions": rows if alone is None else alone}


def _from_rows(instances: Any, specs: Specs) -> dict[str, Any]:
    if not isinstance(instances, list) or not instances:
        raise Refused("Expecting 'instances' to be a list with values")
    named = [isinstance(item, dict) and not _is_base64(item) for item in instances]
    if not named[0] and len(specs) > 1:
        raise Refused("instances is a plain list, but expecting list of objects")
    if len(set(named)) > 1:
        raise Refused("'instances' are either objects or values")
    if not named[0]:
        return {next(iter(specs)): instances}
    for item in instances:
        if set(item) != set(specs):
            raise Refused(f"keys must be equal to: {','.join(specs)}")
    return {key: [item[key] for item in instances] for key in specs}


def _from_columns(inputs: Any, specs: Specs) -> dict[str, Any]:
    if not isinstance(inputs, dict) or _is_base64(inputs):
        if len(specs) > 1:
            raise Refused("inputs is a plain value/list, but expecting an object")
        return {next(iter(specs)): inputs}
    for key in specs:
        if key not in inputs:
            raise Refused(f"Missing named input: {key} in 'inputs' object.")
    return {key: inputs[key] for key in specs}


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _tensor(value: Any, spec: tf.TensorSpec) -> tf.Tensor:
    shape, deepest = [], value
    while isinstance(deepest, list):
        shape.append(len(deepest))
        if not deepest:
            break
        deepest = deepest[0]
    flat: list[Any] = []
    _fill(value, shape, spec.dtype, flat)
    return tf.reshape(tf.constant(flat, spec.dtype), shape)


def _fill(value: Any, shape: list[int], dtype: tf.DType, flat: list[Any]) -> None:
    if isinstance(value, list):
        if not shape or len(value) != shape[0]:
            raise Refused("Encountered list at unexpected level or size")
        for part in value:
            _fill(part, shape[1:], dtype, flat)
    elif shape:
        raise Refused("JSON Value found at incorrect level")
    else:
        flat.append(_value(value, dtype))


def _value(value: Any, dtype: tf.DType) -> Any:
    if dtype == tf.string and _is_base64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as cause:
            raise Refused("Unable to base64 decode") from cause
    if dtype == tf.string and isinstance(value, str):
        return value.encode()
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if dtype != tf.float32 or not number:
        raise Refused(f"JSON Value: {value} is not of expected type: {dtype.name}")
    if isinstance(value, int) and abs(value) >= 2**24:
        raise Refused(f"Cannot convert JSON value: {value} to float without loss of precision.")
    return value


def _decimals(values: np.ndarray) -> Any:
    """Nested lists of the shortest numbers that are the same float32."""
    return [_decimals(part) for part in values] if values.ndim else float(str(values))
