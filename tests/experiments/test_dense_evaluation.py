"""The evaluation of dense tasks batch by batch, against NumPy on all pixels at once."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score

from experiments.dense_evaluation import _keys, _numbers
from experiments.evaluation import Evaluation, evaluate, evaluate_outputs, predict_split, primary_metric
from mtl_keras import Task, TaskSet
from tests.pixels import COUNT, LABELS, OUTPUTS, TASKS, batches, pixels, predict

Metric = Callable[[np.ndarray, np.ndarray], float]


def iou(true: np.ndarray, scores: np.ndarray) -> float:
    return float(jaccard_score(true[:, 0], scores.argmax(-1), average="macro"))


def mask_iou(true: np.ndarray, scores: np.ndarray) -> float:
    return float(jaccard_score(true[:, 0], scores[:, 0] > 0.5))


def right(true: np.ndarray, scores: np.ndarray) -> float:
    decided = scores[:, 0] > 0.5 if scores.shape[1] == 1 else scores.argmax(-1)
    return float((true[:, 0] == decided).mean())


def cross_entropy(true: np.ndarray, scores: np.ndarray) -> float:
    chosen = np.clip(scores[np.arange(len(true)), true[:, 0]], 1e-7, 1)
    return float(-np.log(chosen).mean())


def binary_cross_entropy(true: np.ndarray, scores: np.ndarray) -> float:
    scores = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-(true * np.log(scores) + (1 - true) * np.log(1 - scores)).mean())


def angles(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((true * predicted).sum(axis=-1), -1, 1)))


def mae(true: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.abs(true - predicted).mean())


def within_factor(factor: float) -> Metric:
    return lambda true, predicted: float((np.maximum(predicted / true, true / predicted) < factor).mean())


def within_angle(degrees: float) -> Metric:
    return lambda true, predicted: float((angles(true, predicted) < degrees).mean())


METRICS: dict[str, dict[str, Metric]] = {
    "segments": {"mean_iou": iou, "pixel_accuracy": right, "loss": cross_entropy},
    "edge": {"mask_iou": mask_iou, "pixel_accuracy": right, "loss": binary_cross_entropy},
    "depth": {
        **{f"within_{1.25**power:.3g}": within_factor(1.25**power) for power in (1, 2, 3)},
        "depth_error": mae,
        "relative_error": lambda g, p: float((np.abs(p - g) / g).mean()),
        "rmse": lambda g, p: float(np.sqrt(np.square(p - g).mean())),
        "loss": mae,
    },
    "normals": {
        **{f"within_{degrees:g}": within_angle(degrees) for degrees in (22.5, 11.25, 30)},
        "angle": lambda g, p: float(angles(g, p).mean()),
        "median_angle": lambda g, p: float(np.sort(angles(g, p))[(len(g) - 1) // 2]),
        "loss": lambda g, p: float((1 - (g * p).sum(axis=-1)).mean()),
    },
    "flow": {"mae": mae, "loss": lambda g, p: float(np.square(g - p).mean())},
}
UP = ("mean_iou", "pixel_accuracy", "mask_iou", "within")


def constants(name: str, true: np.ndarray) -> list[np.ndarray]:
    """Returns the constants written out, each `(channels,)`."""
    if name == "segments":
        shares = np.bincount(true[:, 0], minlength=4) / len(true)
        return [shares, np.eye(4)[shares.argmax()]]
    if name == "edge":
        return [true.mean(axis=0), np.zeros(1), np.ones(1)]
    if name == "normals":
        mean = true.mean(axis=0)
        axes = [*np.eye(3), *-np.eye(3)]
        closest = np.bincount((true @ np.transpose(axes)).argmax(axis=1), minlength=6)
        return [mean / np.linalg.norm(mean), axes[int(closest.argmax())]]
    return [true.mean(axis=0), np.median(true, axis=0)]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate(predict, batches(4), TASKS)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_and_loss_are_those_of_all_labelled_pixels(evaluation: Evaluation, name: str) -> None:
    true, predicted = map(np.concatenate, zip(*pixels(name)))
    scores = evaluation.tasks[name]
    assert list(scores) == list(METRICS[name])
    for metric, function in METRICS[name].items():
        assert scores[metric].value == pytest.approx(function(true, predicted), rel=1e-3, abs=1e-5), metric


@pytest.mark.parametrize("name", METRICS)
def test_baselines_are_those_of_the_best_constant(evaluation: Evaluation, name: str) -> None:
    true = np.concatenate([labels for labels, _ in pixels(name)])
    for metric, function in METRICS[name].items():
        found = [function(true, np.broadcast_to(each, (len(true), len(each)))) for each in constants(name, true)]
        best = max(found) if metric.startswith(UP) else min(found)
        assert evaluation.tasks[name][metric].baseline == pytest.approx(best, rel=2e-3, abs=1e-5), metric


def test_image_level_tasks_beside_them_and_other_batches(evaluation: Evaluation) -> None:
    assert evaluation.tasks["room"]["accuracy"].value == pytest.approx(4 / 5)
    assert list(evaluation.tasks) == list(TASKS)
    alone = evaluate(predict, batches(4), TASKS.subset(["room"]))
    assert alone.tasks["room"] == evaluation.tasks["room"]
    others = evaluate(predict, batches(1), TASKS)
    for task, scores in evaluation.tasks.items():
        for metric, score in scores.items():
            other = others.tasks[task][metric]
            assert (other.value, other.baseline) == pytest.approx((score.value, score.baseline), rel=1e-4)


def test_iou_by_class_is_in_the_record_but_not_among_the_metrics(evaluation: Evaluation) -> None:
    true, predicted = map(np.concatenate, zip(*pixels("segments")))
    expected = jaccard_score(true[:, 0], predicted.argmax(-1), average=None, labels=range(4), zero_division=0)
    assert list(evaluation.iou) == ["segments", "edge"]
    assert list(evaluation.iou["segments"].values()) == pytest.approx(expected.tolist())
    assert list(evaluation.iou["segments"]) == list(TASKS["segments"].labels)
    assert evaluation.iou["edge"]["yes"] == pytest.approx(evaluation.tasks["edge"]["mask_iou"].value)
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation
    assert "iou" not in evaluate(predict, batches(), TASKS.subset(["room"])).to_json()


def test_metrics_of_dense_tasks_have_directions(evaluation: Evaluation) -> None:
    assert evaluation.higher_is_better["segments"] == {"mean_iou": True, "pixel_accuracy": True}
    for task, directions in evaluation.higher_is_better.items():
        assert set(directions) < set(evaluation.tasks[task])


def test_what_is_kept_of_each_example_and_of_the_pixels() -> None:
    outputs = predict_split(predict, batches(4), TASKS)
    assert set(outputs.true) == set(outputs.pred) == {"room"}
    for name, result in outputs.dense.items():
        assert result.losses.shape == result.measures.shape == (COUNT,)
        by_image = [METRICS[name]["loss"](*image) if len(image[0]) else np.nan for image in pixels(name)]
        assert result.losses.tolist() == pytest.approx(by_image, rel=1e-4, nan_ok=True)
    measures = {"segments": iou, "edge": mask_iou, "depth": mae, "flow": mae, "normals": METRICS["normals"]["angle"]}
    for name, function in measures.items():
        by_image = [function(*image) if len(image[0]) else np.nan for image in pixels(name)]
        assert outputs.dense[name].measures.tolist() == pytest.approx(by_image, rel=1e-3, nan_ok=True)
        sign = 1 if name in ("segments", "edge") else -1
        true = np.concatenate([labels for labels, _ in pixels(name)])
        of_constants = [
            [
                function(labels, np.broadcast_to(each, (len(labels), len(each))))
                for labels, _ in pixels(name)
                if len(labels)
            ]
            for each in constants(name, true)
        ]
        best = max(of_constants, key=lambda each: sign * sum(each))
        found = outputs.dense[name].constant_measures
        assert found[np.isfinite(found)].tolist() == pytest.approx(best, rel=2e-3)
    true, predicted = map(np.concatenate, zip(*pixels("segments")))
    counts = confusion_matrix(true[:, 0], predicted.argmax(-1), labels=range(4))
    np.testing.assert_array_equal(outputs.dense["segments"].arrays["confusion"], counts)
    true, predicted = map(np.concatenate, zip(*pixels("depth")))
    depth = outputs.dense["depth"].arrays
    assert depth["count"].sum() == len(true)
    assert depth["bins"][[0, -1]] == pytest.approx([true.min(), true.max()], rel=1e-3)
    near = true < depth["bins"][5]
    assert depth["count"][:5].sum() == near.sum()
    mean = np.nansum(depth["count"][:5] * depth["mean_error"][:5]) / near.sum()
    assert mean == pytest.approx(np.abs(true - predicted)[near].mean(), rel=1e-4)
    true, predicted = map(np.concatenate, zip(*pixels("normals")))
    expected = np.bincount(angles(true, predicted).astype(int), minlength=180)
    assert np.abs(outputs.dense["normals"].arrays["angles"] - expected).sum() <= 2  # of angles that are rounded


def test_labels_in_other_shapes_and_dtypes(evaluation: Evaluation) -> None:
    labels = {
        "segments": LABELS["segments"][..., None].astype("uint8"),
        "edge": np.where(np.isnan(LABELS["edge"]), -1, LABELS["edge"])[..., 0].astype("int32"),
        "depth": LABELS["depth"][..., 0].astype("float64"),
    }
    tasks = TASKS.subset(labels)
    found = evaluate(lambda outputs: outputs, [({name: OUTPUTS[name] for name in labels}, labels)], tasks)
    for name in labels:
        for metric, score in evaluation.tasks[name].items():
            assert found.tasks[name][metric].value == pytest.approx(score.value, rel=1e-4), (name, metric)


def test_a_task_without_labels() -> None:
    tasks = TaskSet([Task.depth("depth")]).at_size(2, 2)
    outputs = predict_split(
        lambda images: {"depth": np.ones((1, 2, 2, 1))},
        [(np.zeros(1), {"depth": np.zeros((1, 2, 2, 1))})],
        tasks,
    )
    scores = evaluate_outputs(outputs, tasks).tasks["depth"]
    assert all(np.isnan([score.value, score.baseline]).all() for score in scores.values())


def test_bins_keep_the_order_and_the_size_of_numbers() -> None:
    values = np.sort(np.concatenate([[0], -np.geomspace(1e-6, 1e6, 500), np.geomspace(1e-6, 1e6, 500)]))
    values = values.astype("float32")
    keys = _keys(values, 20)
    assert (np.diff(keys) >= 0).all()
    np.testing.assert_allclose(_numbers(keys, 20), values, rtol=1 / 4096, atol=1e-38)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("segments", ("mean_iou", True)),
        ("edge", ("mask_iou", True)),
        ("depth", ("within_1.25", True)),
        ("normals", ("within_22.5", True)),
        ("flow", ("mae", False)),
    ],
)
def test_primary_metrics(name: str, expected: tuple[str, bool]) -> None:
    assert primary_metric(TASKS[name]) == expected


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"task 'segments' must be classes from 0 to 3. Received: 9"):
        evaluate(lambda _: OUTPUTS, [(0, {"segments": np.full((6, 8, 12), 9)})], TASKS.subset(["segments"]))
    with pytest.raises(ValueError, match=r"batches must be iterable twice for dense tasks. Received: list_iterator"):
        predict_split(predict, iter([]), TASKS)
    with pytest.raises(ValueError, match="the split is empty"):
        predict_split(predict, [], TASKS)
