"""Common parts of the programs: parses flags and reports errors in one line."""

from __future__ import annotations

import copy
import gc
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence

from absl import flags

_MARKDOWN = re.compile(r"\[(.*?)\]\(.*?\)")
"""A link; its text is the group."""


def command_line(
    main: Callable[[flags.FlagValues], None],
    defined: flags.FlagValues,
    arguments: Sequence[str],
    positional: str | None = None,
) -> None:
    """Runs a program: exit code 0 for success, 1 for an error, 2 for invalid flags.

    Args:
        main: the program, called with the values of its flags.
        defined: its flags, their help in Markdown.
        arguments: `sys.argv`.
        positional: the list flag to which arguments without a flag are added; without it they are an error.
    """
    values = copy.deepcopy(defined)
    flags.DEFINE_bool("traceback", False, "show where in the code an error came from", flag_values=values)
    flags.DEFINE_bool("help", False, "show this help", short_name="h", flag_values=values)
    if {"--help", "-h"} & set(arguments):
        _print_help(sys.modules[main.__module__].__doc__ or "", values)
        return
    try:
        rest = values(list(arguments))[1:]
    except flags.Error as error:
        _fail(str(error), 2)
    if positional and getattr(values, positional):
        values[positional].value = [*getattr(values, positional), *rest]
    elif rest:
        folders = f"; folders are for --{positional}" if positional else ""
        _fail(f"Unknown argument {rest[0]!r}. Flags begin with --{folders}", 2)
    # Where `!python train.py` runs in a notebook, the terminal's output is appended and never redrawn.
    if "JPY_PARENT_PID" in os.environ:
        os.environ.setdefault("TTY_COMPATIBLE", "0")
    try:
        set_up_libraries()
        main(values)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as error:
        reason = reason_of(error)
        if reason is None or values.traceback:
            raise
        _fail(reason, 1)


def _print_help(description: str, values: flags.FlagValues) -> None:
    for name in values:
        values[name].help = _MARKDOWN.sub(r"\1", values[name].help)
    print(description, values.get_help(include_special_flags=False), sep="\n")


def set_up_libraries() -> None:
    """Imports Keras and TensorFlow, and makes warnings short.

    Garbage collection is paused during the import, and the objects that it creates are frozen: scanning these hundreds
    of thousands of permanent objects, during import and again in training, would take a twentieth of the time to the
    first step.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    # A comparison trains many networks; TensorFlow would warn about a function that is retraced too often.
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if "tensorflow" in sys.modules:
        return
    gc.disable()
    try:
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def reason_of(error: Exception) -> str | None:
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
