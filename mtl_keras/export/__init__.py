"""Exports trained models to files that run without this library: SavedModel, ONNX and LiteRT."""

from mtl_keras.export.formats import export
from mtl_keras.export.loading import load_export, parity
from mtl_keras.export.saved_model import class_names, export_saved_model, heads

__all__ = ["class_names", "export", "export_saved_model", "heads", "load_export", "parity"]


def __dir__() -> list[str]:
    return __all__
