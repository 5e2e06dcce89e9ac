"""`run_report`: writes an HTML page from the records of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experiments.files import write_text
from experiments.predictions import read
from experiments.report.configuration import configuration_section
from experiments.report.cost import cost_section
from experiments.report.examples import examples_section
from experiments.report.gradients import gradients_section
from experiments.report.predictions import predictions_section
from experiments.report.training import curves_section, schedule_section, weights_section
from experiments.report.verdict import lead, results_section
from experiments.run_directory import RunDirectory
from experiments.run_results import read_run
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.page import Section, page


def run_report(directory: RunDirectory) -> Path:
    """Writes `report.html` from a run's files, without its data, and returns its path.

    For an unfinished run, the report shows the available results and a warning.

    Args:
        directory: the run.

    Raises:
        ValueError: if there is no run, or one of its files is damaged, naming the file.
        OSError: if the report cannot be written.
    """
    run = read_run(directory.path)
    sections = [
        results_section(run),
        curves_section(run),
        schedule_section(run),
        weights_section(run),
        gradients_section(run),
        *_prediction_sections(directory, run.outputs),
        cost_section(run),
        configuration_section(run.config),
    ]
    write_text(directory.report_file, page(f"Run {run.name}", lead(run), sections))
    return directory.report_file


def _prediction_sections(directory: RunDirectory, outputs: Mapping[str, Output]) -> list[Section]:
    """Returns the sections on the saved predictions for the test split."""
    sections = []
    predictions, examples = read(directory.predictions_file), read(directory.examples_file)
    if predictions and outputs:
        sections.append(predictions_section(predictions, outputs))
    if examples and outputs:
        sections.append(examples_section(examples, outputs))
    return sections
