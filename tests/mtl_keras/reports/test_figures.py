"""Figures show the numbers they are given."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mtl_keras.reports.bars import gain_bars, grouped_bars
from mtl_keras.reports.curves import curves_figure, sparkline
from mtl_keras.reports.heat_map import heat_map_figure
from mtl_keras.reports.style import PHONE, ink_on, line_style


def test_curves_have_the_values_and_epochs_begin_with_1() -> None:
    panels = {"loss": {"training": [3.0, 2.0, 1.0], "validation": [3.5, math.nan, 1.5]}}
    (axes,) = curves_figure(panels, best=2).axes
    training, validation, best = axes.lines
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(training.get_ydata(), [3, 2, 1])
    np.testing.assert_array_equal(validation.get_ydata(), [3.5, math.nan, 1.5])
    assert list(best.get_xdata()) == [3, 3]
    assert training.get_linestyle() != validation.get_linestyle()
    assert validation.get_marker() not in ("None", None)  # its points have no line between them
    with pytest.raises(ValueError, match="panels"):
        curves_figure({})


def test_a_name_looks_the_same_in_all_panels() -> None:
    a, b = [1.0, 2.0], [2.0, 1.0]
    first, second = curves_figure({"loss": {"a": a, "b": b}, "accuracy": {"b": b}}).axes
    assert first.lines[1].get_color() == second.lines[0].get_color() != first.lines[0].get_color()
    small = sparkline({"a": a, "b": b}, best=1)
    assert [line.get_color() for line in small.artists[:2]] == [line.get_color() for line in first.lines]
    rising, falling = (line.get_ydata() for line in small.artists[:2])
    assert rising[0] == falling[1] < rising[1] == falling[0]
    assert small.artists[2].get_xdata()[0] == small.artists[0].get_xdata()[1]


def test_many_series_differ_without_colours_and_without_markers() -> None:
    styles = [line_style(index) for index in range(42)]
    assert len({(style["linestyle"], style["marker"]) for style in styles}) == len(styles)
    assert len({(style["linestyle"], style["color"]) for style in styles}) == len(styles)


def test_a_heat_map_has_a_row_a_task() -> None:
    values = np.array([[0.0, 0.5, 1.0], [0.25, np.nan, 0.75]])
    figure = heat_map_figure(values, ["a", "b"], None, "share")
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), values)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert sorted(text.get_text() for text in axes.texts) == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    assert axes.texts[0].get_color() != axes.texts[2].get_color()  # dark and light cells
    with pytest.raises(ValueError, match=r"2 names.*Received: shape \(1, 3\)"):
        heat_map_figure(values[:1], ["a", "b"], None, "share")


def test_many_tasks_are_all_named_and_long_runs_fit_a_phone() -> None:
    names = [f"task {number}" for number in range(41)]
    figure = heat_map_figure(np.zeros((41, 500)), names, None, "share")
    assert figure.get_figwidth() == PHONE
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names
    square = heat_map_figure(np.zeros((41, 41)), names, names, "conflict")
    assert [label.get_text() for label in square.axes[0].get_xticklabels()] == names


def test_gains_have_bars_whiskers_and_a_sign() -> None:
    nan = math.nan
    gains = np.array([[2.0, 1.0, 3.0], [-1.0, -2.0, -0.5], [0.5, nan, nan], [nan, nan, nan]]).T
    verdicts = ["better", "worse", "no clear difference", "not known"]
    (axes,) = gain_bars(["a", "b", "c", "d"], gains, verdicts, "gain").axes
    np.testing.assert_array_equal([patch.get_width() for patch in axes.patches], [2.0, -1.0, 0.5, nan])
    assert [text.get_text() for text in axes.texts] == ["▲", "▼", "●", "●"]
    whiskers = [path.vertices[:, 0].tolist() for lines in axes.collections for path in lines.get_paths()]
    assert [ends for ends in whiskers if ends and np.isfinite(ends).all()] == [[1, 3], [-2, -0.5]]


def test_bars_of_several_methods_do_not_overlap() -> None:
    sides = {name: np.array([[0.5, 0.7], [0.1, math.nan]]) for name in ("shared", "alone", "equal")}
    (axes,) = grouped_bars(["a", "b"], sides, "accuracy").axes
    spans = sorted((patch.get_y(), patch.get_y() + patch.get_height()) for patch in axes.patches)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    assert len({patch.get_hatch() for patch in axes.patches}) == 3
    assert all(patch.get_hatchcolor() != patch.get_facecolor() for patch in axes.patches)


def test_ink_contrasts_with_its_ground() -> None:
    assert ink_on(1, 1, 1) != ink_on(0, 0, 0)
    assert ink_on(1, 0.9, 0.3) == ink_on(1, 1, 1)
