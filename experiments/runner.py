"""`run`: trains a `RunConfig`, and writes a run directory and its report."""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

import data
from data.dataset import find_example_names
from experiments.affinity_record import AffinityWriter
from experiments.building import (
    build_model,
    check_task_names,
    freezing_callbacks,
    learning_rate_callbacks,
    make_scheduler,
    open_dataset,
    set_precision,
    with_network,
)
from experiments.checkpoints import Checkpoint, Checkpoints
from experiments.config import RunConfig
from experiments.epoch_record import EpochRecord
from experiments.evaluation import Evaluation, evaluate_outputs, predict_split, primary_metric
from experiments.files import write_history, write_json
from experiments.gradient_record import GradientWriter
from experiments.hparams import write_hparams
from experiments.judging import best_weights_callbacks, forget_best_weights, judge
from experiments.lock import locked
from experiments.nonfinite_report import save_nonfinite_report
from experiments.own_data import check_same_data, data_summary, with_own_data
from experiments.predictions import save_examples, save_predictions
from experiments.recorder import Recorder
from experiments.run_directory import RunDirectory
from experiments.sharing_record import SharingWriter
from experiments.workers import Workers, connect_workers
from models import saved
from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import (
    GradientMonitor,
    NonFiniteLoss,
    PredictionImages,
    Progress,
    SharingMonitor,
    StopOnNonFinite,
    TaskAffinity,
    TensorBoard,
)
from mtl_keras.callbacks.sharing_layers import has_sharing_layers
from mtl_keras.export import export, parity

_PROFILED_STEPS = (10, 20)
"""First and last training step that the setting `profile` traces."""
_TENSORBOARD_IMAGES = 4
"""Number of validation images shown in TensorBoard with their predictions."""
_PARITY_IMAGES = 16
"""Number of test images on which an exported model is compared with the original."""


def run(
    config: RunConfig,
    directory: RunDirectory,
    *,
    resume: bool = False,
    judge_at: str | None = None,
    dataset: data.AnyDataset | None = None,
) -> Evaluation:
    """Trains one run, evaluates it on the test split, exports it, and writes its report.

    A run of a comparison has no separate report.

    Args:
        config: the settings.
        directory: where all files of the run are written; with `resume`, the directory of the run to resume.
        resume: whether to resume from the last checkpoint in `directory`, or to start if there is none.
        judge_at: for a comparison, the rule (from `experiments.judging.RULES`) of additional evaluations.
        dataset: a dataset made in Python; by default the one that `config` names. When resuming, build it the same way
            as in the first run.

    Returns:
        The evaluation of the best model on the test split, as in `metrics.json`.

    Raises:
        ValueError: for settings that do not fit each other or the data, or if another process uses `directory`. A
            directory that this call made is removed in this case.
        NonFiniteLoss: if the loss of a task becomes NaN or infinite; diagnostics are saved in `directory`.
        data.DataUnavailable: if the dataset is not found.
        distribution.WorkerLost: if another worker ends.
    """
    workers = connect_workers(config.distribute)
    config = config if dataset is None else with_own_data(config)
    config.check()
    if not workers.is_chief:
        with tempfile.TemporaryDirectory() as scratch:
            scratch_directory = RunDirectory(Path(scratch, "run"))
            return _run(config, scratch_directory, workers, judge_at, directory.checkpoints, dataset)
    if not resume:
        directory.check_new()
    fresh = not directory.path.exists()
    with locked(directory.path):
        if not resume:
            directory.check_new()  # again, with the lock: another process may have used it
        try:
            # Written before anything else: a run that is killed from here on can be resumed.
            if not directory.started:
                directory.create(config)
            directory.remove_unfinished()
            evaluation = _run(config, directory, workers, judge_at, directory.checkpoints, dataset)
        except Exception as error:
            # Keep the directory if the disk becomes full or unavailable during training.
            is_disk_failure = isinstance(error, OSError) and directory.history_file.exists()
            if fresh and not (is_disk_failure or directory.checkpoints or directory.nonfinite.exists()):
                directory.remove()
            raise
        if judge_at is None:
            from experiments.run_report import run_report  # the figures need matplotlib, training does not

            run_report(directory)
        return evaluation


def _run(
    config: RunConfig,
    directory: RunDirectory,
    workers: Workers,
    judge_at: str | None,
    checkpoints: Checkpoints,
    own_dataset: data.AnyDataset | None,
) -> Evaluation:
    """Trains, evaluates and exports in one of the worker processes.

    Every worker reads the chief's `checkpoints`. Only the chief's `directory` is kept; the other workers write the same
    files to a temporary one.
    """
    keras.utils.set_random_seed(config.seed)
    set_precision(config.mixed_precision)
    dataset = open_dataset(config) if own_dataset is None else own_dataset
    config = with_network(config, dataset)
    if own_dataset is not None or data.names_files(config.dataset):
        check_same_data(directory, dataset)
        check_task_names(config, dataset.tasks.names)
    if workers.is_chief and config.verbose and data.names_files(config.dataset):
        print(data_summary(dataset, config))
    with workers.detect_lost_workers():
        recorder = _train(config, directory, dataset, workers, checkpoints.last(set_aside=workers.is_chief), judge_at)
    best = saved.load_keras_file(directory.best_model)
    batches = dataset.batches("test", config.batch_size)
    outputs = predict_split(best.predict_on_batch, batches, dataset.tasks)
    evaluation = evaluate_outputs(outputs, dataset.tasks)
    names = find_example_names(dataset, "test")
    save_predictions(directory.predictions_file, outputs, dataset.tasks, names)
    if has_images(dataset):
        save_examples(directory.examples_file, outputs, dataset.tasks, batches, names, best.predict_on_batch)
    _export(config, directory, best, dataset)
    if judge_at:
        judge(judge_at, directory, dataset, config.batch_size, best, recorder)
    primary = {name: primary_metric(task) for name, task in dataset.tasks.items()}
    metrics = {
        "split": "test",
        "best_epoch": recorder.best_epoch,
        "primary": {name: metric._asdict() for name, metric in primary.items()},
        **evaluation.to_json(),
        "cost": {"parameters": best.count_params(), **recorder.cost()},
    }
    write_hparams(directory.tensorboard, config, evaluation, primary, recorder.best_epoch or 0, recorder.best)
    # Written last: a run with this file is finished.
    write_json(directory.metrics_file, metrics)
    forget_best_weights(directory)
    with workers.detect_lost_workers():
        workers.wait()
    return evaluation


def _train(
    config: RunConfig,
    directory: RunDirectory,
    dataset: data.AnyDataset,
    workers: Workers,
    checkpoint: Checkpoint | None,
    judge_at: str | None,
) -> Recorder:
    """Trains from the start, or from a checkpoint if there is one; returns the recorder of the history."""
    with workers.scope():
        model = saved.load_keras_file(checkpoint.model) if checkpoint else build_model(config, dataset)
    epoch, step = (checkpoint.epoch, checkpoint.step) if checkpoint else (0, 0)
    if epoch > config.epochs:
        raise ValueError(f"The run has {epoch} epochs already. Received: epochs={config.epochs}")
    batches = workers.part_of(training_batches(config, dataset, epoch, step, workers.shard))
    validation = workers.part_of(dataset.batches("validation", config.batch_size, shard=workers.shard))
    # After `batches`, which may have loaded the labels that are counted here.
    scheduler = make_scheduler(config, dataset)
    monitors: list[keras.callbacks.Callback] = []
    records: list[EpochRecord] = []
    if config.monitor_gradients:
        monitors.append(gradients := GradientMonitor(config.monitor_gradients, directory.tensorboard))
        records.append(GradientWriter(directory.gradients_file, gradients))
    if config.task_affinity:
        monitors.append(affinity := TaskAffinity(config.task_affinity, log_dir=directory.tensorboard))
        records.append(AffinityWriter(directory.affinity_file, affinity))
    if workers.is_chief and has_sharing_layers(model):
        sample = dataset.batches("validation", config.batch_size)
        monitors.append(sharing := SharingMonitor(sample, directory.tensorboard))
        records.append(SharingWriter(directory.sharing_file, sharing))
    skipped = {split: dataset.skipped(split).count for split in ("train", "validation")}
    if any(skipped.values()) and workers.is_chief:
        print(f"warning: examples that cannot be read are skipped: {skipped}", file=sys.stderr)
    recorder = Recorder(directory, scheduler, config.early_stopping, config.checkpoint_every, records)
    if checkpoint:
        model.resume_training(checkpoint.arrays, step)
        recorder.set_state(checkpoint.state, step)
    directory.create(config, dataset.description())
    write_history(directory.history_file, recorder.history)
    if epoch >= config.epochs or recorder.finished:
        return recorder
    directory.remove_results()
    steps = dataset.steps("train", config.batch_size)
    try:
        model.fit(
            batches,
            steps_per_epoch=steps,
            validation_data=validation,
            initial_epoch=epoch,
            epochs=config.epochs,
            verbose=0,
            shuffle=False,  # `batches` shuffles reproducibly in each epoch
            callbacks=[
                *([scheduler] if scheduler else []),
                *freezing_callbacks(config, model),
                *learning_rate_callbacks(config),
                StopOnNonFinite(),
                *monitors,
                # Before the recorder: a run resumed from its checkpoint does not log the epoch again.
                TensorBoard(str(directory.tensorboard), profile_batch=_PROFILED_STEPS if config.profile else 0),
                *(_prediction_images(config, directory, dataset) if workers.is_chief and has_images(dataset) else []),
                *best_weights_callbacks(judge_at, directory, dataset, recorder),
                recorder,
                *(_progress(config) if workers.is_chief else []),
            ],
        )
    except NonFiniteLoss as error:
        if workers.is_chief:
            epoch, step = divmod(error.step, steps)
            batches = training_batches(config, dataset, epoch, step)
            save_nonfinite_report(directory.nonfinite, error, model, epoch, step, batches)
            error.add_note(f"A report and the batch are in {directory.nonfinite}")
        raise
    return recorder


def _prediction_images(
    config: RunConfig, directory: RunDirectory, dataset: data.AnyDataset
) -> list[keras.callbacks.Callback]:
    images, labels = next(iter(dataset.batches("validation", _TENSORBOARD_IMAGES)))
    every_n_epochs = math.ceil(config.epochs / 10)  # at most ten times per run: each time adds images to the log
    return [PredictionImages(directory.tensorboard, images, labels, dataset.tasks, every_n_epochs)]


def _progress(config: RunConfig) -> list[keras.callbacks.Callback]:
    if not config.verbose:
        return []
    return [Progress() if config.verbose == 1 else Progress(live=False)]


def has_images(dataset: data.AnyDataset) -> bool:
    """Returns whether the inputs are images (height, width, channels), and not the rows of a table (features,)."""
    return len(dataset.image_shape) == 3


def training_batches(
    config: RunConfig, dataset: data.AnyDataset, epoch: int, step: int, shard: tuple[int, int] = (0, 1)
) -> tf.data.Dataset:
    """Returns the training batches of a run, an endless dataset in a reproducible order.

    Args:
        config: the settings of the run.
        dataset: its data.
        epoch: the epoch of the first batch, from 0.
        step: the step of the first batch, counted from the start of `epoch`; it may lie in a later epoch.
        shard: `(worker, number of workers)`: the worker whose part of each batch is returned.
    """
    ended, step = divmod(step, dataset.steps("train", config.batch_size))
    return dataset.batches(
        "train",
        config.batch_size,
        shuffle=True,
        seed=config.seed,
        first_epoch=epoch + ended,
        first_step=step,
        augment=config.augment,
        shard=shard,
    )


def _export(config: RunConfig, directory: RunDirectory, model: MultiTaskModel, dataset: data.AnyDataset) -> None:
    """Writes the requested formats, and compares their predictions with those of the model on a few test examples."""
    images, _ = next(iter(dataset.batches("test", min(_PARITY_IMAGES, config.batch_size))))
    class_names = {name: task.labels for name, task in dataset.tasks.items() if task.labels}
    heads = {name: task.head for name, task in dataset.tasks.items() if task.is_dense} or None
    for name in config.export:
        path = directory.exported_model(name)
        if name == "saved_model":
            encoder = getattr(dataset, "features", None)
            decode = dataset.decode if has_images(dataset) else None
            export(model, path, decode=decode, encode=encoder, class_names=class_names, heads=heads)
        else:
            export(model, path, name)
        parity(model, path, images.numpy())
