"""Heat maps: tasks x epochs, tasks x tasks."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mtl_keras.reports.style import GREY, PHONE, SEQUENTIAL, TEXT, ink_on, label_epochs

_LOW_ROW, _ROW, _MARGIN = 0.16, 0.3, 0.85  # inches
_MAX_COLUMNS, _MAX_ROWS, _MAX_NAMED = 8, 16, 16  # limits for numbers in the cells and the usual width


def heat_map_figure(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str] | None,
    title: str,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    colours: str = SEQUENTIAL,
) -> Figure:
    """Returns a heat map, with the numbers in its cells if there is room.

    Args:
        values: `(rows, columns)`; cells of NaN are grey.
        rows: names of the rows.
        columns: names of the columns; `None` for epochs.
        title: name of the plotted quantity.
        limits: the numbers at the ends of the scale.
        colours: name of a matplotlib colour map.

    Raises:
        ValueError: if the names do not match the shape of `values`.
    """
    values = np.asarray(values, "float64")
    if values.shape != (len(rows), values.shape[-1] if columns is None else len(columns)):
        raise ValueError(
            f"`values` must have a row for each of {len(rows)} names and a column for each of "
            f"{'the epochs' if columns is None else len(columns)}. Received: shape {values.shape}"
        )
    width = PHONE if columns is None or len(columns) <= _MAX_NAMED else 1.9 + _LOW_ROW * len(columns)
    names = 0.0 if columns is None else 0.068 * max(map(len, columns))
    height = _MARGIN + names + (_LOW_ROW if len(rows) > _MAX_ROWS else _ROW) * max(len(rows), 2)
    figure = Figure((width, height), layout="constrained")
    axes = figure.add_subplot()
    scale = Normalize(*limits)
    extent = (0.5, values.shape[1] + 0.5, len(rows) - 0.5, -0.5)
    colour_map = mpl.colormaps[colours].with_extremes(bad=f"{GREY}40")
    image = axes.imshow(
        np.ma.masked_invalid(values), cmap=colour_map, norm=scale, aspect="auto", interpolation="none", extent=extent
    )
    axes.set_title(title, fontsize=TEXT, loc="left")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(labelsize=TEXT if len(rows) <= _MAX_ROWS else TEXT - 1, length=2, width=0.6)
    if columns is None:
        label_epochs(axes)
    else:
        axes.set_xticks(range(1, len(columns) + 1), columns, rotation=90)
    axes.spines[:].set_color(GREY)
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, aspect=max(8, 4 * height))
    bar.ax.tick_params(labelsize=TEXT - 1, length=2, width=0.6)
    bar.outline.set_visible(False)
    if values.shape[1] <= _MAX_COLUMNS and len(rows) <= _MAX_ROWS:
        _write_numbers(axes, values, colour_map, scale)
    return figure


def _write_numbers(axes: Axes, values: np.ndarray, colours: mpl.colors.Colormap, scale: Normalize) -> None:
    for row, column in zip(*np.nonzero(np.isfinite(values))):
        value = values[row, column]
        ink = ink_on(*colours(scale(value))[:3])
        axes.text(column + 1, row, f"{value:.2f}", ha="center", va="center", fontsize=TEXT - 1, color=ink)
