"""Packages that only some features need."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_extra(module: str, extra: str) -> ModuleType:
    """Imports a module that one of the extras of mtl-keras installs.

    Args:
        module: its name.
        extra: the extra, `"report"` for `pip install "mtl-keras[report]"`.

    Raises:
        ImportError: if it is not installed, naming the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ImportError(f'The package {package} is not installed: pip install "mtl-keras[{extra}]"') from error
