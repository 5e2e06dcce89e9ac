"""Pictures and texts of maps."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from mtl_keras.reports import maps
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import data_uri, stacked
from tests.pixels import LABELS, OUTPUTS, TASKS

OUTPUT = {name: Output.of(task) for name, task in TASKS.items() if task.is_dense}


def colour_of(drawn: Image.Image, row: int, column: int) -> tuple[int, ...]:
    return tuple(np.asarray(drawn.convert("RGB"))[row, column].tolist())


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(colour))


def test_classes_have_their_colours_and_unlabelled_pixels_are_black() -> None:
    output, label = OUTPUT["segments"], OUTPUT["segments"].label_map(LABELS["segments"][0])
    drawn = maps.map_picture(output, label, side=24)
    assert drawn.size == (24, 16)
    for index in (-1, 0, 1, 2):
        row, column = np.argwhere(label == index)[0]
        expected = maps.UNLABELLED if index < 0 else maps.class_colour(index)[0]
        assert colour_of(drawn, 2 * row, 2 * column) == rgb(expected)
    assert [entry.name for entry in maps.legend(output, [label])] == ["wall", "floor", "bed"]
    assert maps.legend(output, [label])[0] == ("wall", "#0072B2", "blue")
    assert maps.legend(OUTPUT["depth"], [label]) == []
    assert len({maps.class_colour(index) for index in range(60)}) == 60


def test_numbers_are_on_a_common_scale() -> None:
    output = OUTPUT["depth"]
    label = output.label_map(LABELS["depth"][1])
    limits = maps.limits_of([label])
    assert limits == (np.nanmin(label), np.nanmax(label))
    drawn = maps.map_picture(output, label, limits=limits, side=12)
    assert colour_of(drawn, 0, 0) == rgb(maps.UNLABELLED)  # NaN
    row, column = np.argwhere(label[..., 0] == limits[1])[0]
    assert colour_of(drawn, row, column) == (253, 231, 37)  # the end of viridis
    beyond = maps.map_picture(output, np.full((8, 12, 1), 99.0), limits=limits, side=12)
    assert colour_of(beyond, 0, 0) == (253, 231, 37)
    assert maps.limits_of([np.full((2, 2), np.nan)]) == (0.0, 1.0)


def test_normals_and_several_channels_are_colours() -> None:
    normals = np.zeros((1, 2, 3), "float32")
    normals[0, 0] = 0, -1, 1
    drawn = maps.map_picture(OUTPUT["normals"], OUTPUT["normals"].label_map(normals), side=2)
    assert colour_of(drawn, 0, 0) == (128, 0, 255)
    assert colour_of(drawn, 0, 1) == rgb(maps.UNLABELLED)
    three = Output("dense_regression", (1, 1, 3))
    assert colour_of(maps.map_picture(three, np.array([[[0.0, 5, 10]]]), limits=(0, 10), side=1), 0, 0) == (0, 128, 255)
    assert maps.map_picture(OUTPUT["flow"], OUTPUT["flow"].label_map(LABELS["flow"][0])).mode == "P"


def test_errors() -> None:
    output = OUTPUT["segments"]
    errors = output.pixel_errors(LABELS["segments"][0], OUTPUTS["segments"][0])
    drawn = maps.error_picture(output, errors, limit=1, side=12)
    for value, colour in ((0, maps.RIGHT), (1, maps.WRONG)):
        row, column = np.argwhere(errors == value)[0]
        assert colour_of(drawn, row, column) == rgb(colour)
    row, column = np.argwhere(np.isnan(errors))[0]
    assert colour_of(drawn, row, column) == rgb(maps.UNLABELLED_ERROR)
    errors = OUTPUT["depth"].pixel_errors(LABELS["depth"][0], OUTPUTS["depth"][0])
    assert np.isnan(errors).sum() == (LABELS["depth"][0] == 0).sum()
    limit = maps.error_limit([errors])
    assert limit == pytest.approx(np.nanquantile(errors, 0.98), rel=0.05)
    assert maps.error_limit([np.full((1, 1), np.nan)]) == 1.0
    assert maps.error_picture(OUTPUT["depth"], errors, limit=limit).size == (128, 85)


def test_a_palette_picture_read_back_has_the_class_indices() -> None:
    classes = OUTPUT["segments"].prediction_map(OUTPUTS["segments"][0])
    file = io.BytesIO()
    maps.palette_picture(classes, 4).save(file, "PNG")
    read = Image.open(file)
    assert read.mode == "P"
    np.testing.assert_array_equal(np.asarray(read), classes)
    assert colour_of(read, 0, 0) == rgb(maps.class_colour(int(classes[0, 0]))[0])
    with pytest.raises(ValueError, match="at most 256"):
        maps.palette_picture(classes, 257)


def test_pictures_with_a_palette_are_stored_without_loss() -> None:
    drawn = maps.map_picture(OUTPUT["segments"], OUTPUT["segments"].label_map(LABELS["segments"][0]))
    assert data_uri(drawn).startswith("data:image/png;base64,")
    assert data_uri(drawn.convert("RGB")).startswith("data:image/jpeg;base64,")
    entries = [maps.ClassColour(f"class {index}", *maps.class_colour(index)) for index in range(9)]
    legend = maps.legend_picture(entries, 200)
    assert legend.width == 200
    assert stacked([drawn, legend]).size == (200, drawn.height + 4 + legend.height)
    assert maps.legend_picture([], 50).width == 50


@pytest.mark.parametrize(
    ("name", "described", "result"),
    [
        ("segments", r"\w+ \d+%, \w+ \d+%, \w+ \d+%, \w+ \d+%", r"mean IoU 0.\d\d of this image"),
        ("edge", r"yes \d+%", r"IoU 0.\d\d of this image"),
        ("depth", r"[\d.]+ to [\d.]+, mean [\d.]+", r"mean error [\d.]+"),
        ("normals", r"mean direction \([-\d.]+, [-\d.]+, [-\d.]+\)", r"mean angle [\d.]+ degrees"),
        ("flow", r"-[\d.]+ to [\d.]+, mean -?[\d.]+", r"mean error [\d.]+"),
    ],
)
def test_texts(name: str, described: str, result: str) -> None:
    output, label, predicted = OUTPUT[name], LABELS[name][3], OUTPUTS[name][3]
    assert re.fullmatch(described, output.describe(predicted))
    assert re.fullmatch(result, output.describe_result(label, predicted))
    # Maps are described as the labels and predictions that they are made of.
    both = output.label_map(label), output.prediction_map(predicted)
    assert output.describe_result(*both) == output.describe_result(label, predicted)
    assert output.describe_label(both[0]) == output.describe_label(label) != "no label"
    assert output.describe_label(LABELS[name][4]) == "no label"
    assert output.describe_result(LABELS[name][4], predicted) in ("no label", "nothing to compare")
    assert output.is_drawn
    assert output.is_dense
    described_again = Output.from_json(
        {"head": output.head, "shape": output.shape, "labels": output.labels, "invalid": output.invalid}
    )
    assert described_again == output
