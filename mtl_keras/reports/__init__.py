"""Figures (matplotlib) and self-contained HTML pages, drawn from the files of runs."""

from mtl_keras.extras import import_extra

for _package in ("jinja2", "matplotlib", "PIL", "sklearn"):
    import_extra(_package, "report")
