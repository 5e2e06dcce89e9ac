"""Common parts of the programs: parses flags and reports errors in one line."""

from __future__ import annotations

import copy
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from absl import flags


def command_line(main: Callable[[flags.FlagValues], None], defined: flags.FlagValues, arguments: Sequence[str]) -> None:
    """Runs a program: exit code 0 for success, 1 for an error, 2 for invalid flags.

    Positional arguments become the value of the flag `folders`, for programs that have it.

    Args:
        main: the program, called with the values of its flags.
        defined: its flags.
        arguments: `sys.argv`.
    """
    values = copy.deepcopy(defined)
    flags.DEFINE_bool("traceback", False, "Show where in the code an error came from.", flag_values=values)
    flags.DEFINE_bool("help", False, "Show this help.", short_name="h", flag_values=values)
    if {"--help", "-h"} & set(arguments):
        print(sys.modules[main.__module__].__doc__, values.get_help(include_special_flags=False), sep="\n")
        return
    try:
        rest = values(list(arguments))
    except flags.Error as error:
        _fail(str(error), 2)
    if "folders" in values:
        values["folders"].value = rest[1:]
    elif len(rest) > 1:
        _fail(f"Unknown argument {rest[1]!r}. Flags begin with --", 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    # A comparison trains many networks; TensorFlow would warn about a function that is retraced too often.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        _import_libraries()
        main(values)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:
        reason = _reason(error)
        if reason is None or values.traceback:
            raise
        _fail(reason, 1)


def _import_libraries() -> None:
    """Imports Keras and TensorFlow with garbage collection paused, and freezes the objects that they create.

    Scanning these hundreds of thousands of permanent objects, during import and again in training, would take a
    twentieth of the time to the first step.
    """
    if "tensorflow" in sys.modules:
        return
    gc.disable()
    try:
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def _reason(error: Exception) -> str | None:
    """Returns the message for the user, or `None` for an internal error."""
    import tensorflow as tf

    import data
    from mtl_keras.callbacks import NonFiniteLoss
    from mtl_keras.distribution import WorkerLost

    if isinstance(error, tf.errors.OpError):
        return data.explain(error)
    if isinstance(error, (ValueError, OSError, ImportError, data.DataUnavailable, NonFiniteLoss, WorkerLost)):
        return ". ".join([str(error).rstrip("."), *getattr(error, "__notes__", [])])
    return None


def _fail(reason: str, code: int) -> None:
    print("error:", " ".join(reason.split()), file=sys.stderr)
    sys.exit(code)
