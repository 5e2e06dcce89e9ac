"""`run_report`: writes an HTML page from the records of a run."""

from __future__ import annotations

from pathlib import Path

from experiments.files import write_text
from experiments.predictions import read_arrays
from experiments.report.affinity import affinity
from experiments.report.configuration import configuration, cost_tables, task_rows
from experiments.report.predictions import examples, predictions
from experiments.report.results import results, warnings_about
from experiments.report.sharing import sharing
from experiments.report.training import MAX_FIGURES, curves, gradients, schedule, weights
from experiments.run_directory import RunDirectory
from experiments.run_flags import train_command
from experiments.run_results import read_run
from mtl_keras.reports.page import environment

TEMPLATES = Path(__file__).with_name("report") / "templates"


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
    saved = read_arrays(directory.predictions_file), read_arrays(directory.examples_file)
    predicted, shown = (arrays if run.outputs else None for arrays in saved)
    shared, affinities = sharing(run), affinity(run)
    sections = {
        "results": "Results",
        "curves": "Learning curves",
        "schedule": "Schedule",
        "weights": "Task weights",
        "gradients": "Gradient conflicts",
        **({"affinity": "Affinity"} if affinities else {}),
        **({"sharing": "Sharing"} if shared else {}),
        **({"predictions": "Predictions"} if predicted else {}),
        **({"examples": "Examples"} if shown else {}),
        "cost": "Cost",
        "configuration": "Configuration",
    }
    page = environment(TEMPLATES).get_template("run.html")
    source = page.render(
        title=f"Run {run.name}",
        sections=sections,
        run=run,
        many=len(run.tasks) > MAX_FIGURES,
        warnings=list(warnings_about(run)),
        # Before the results, which use the same file: its errors name it.
        predictions=predictions(predicted, run.outputs) if predicted else None,
        results=results(run, predicted),
        curves=curves(run),
        schedule=schedule(run),
        weights=weights(run),
        gradients=gradients(run),
        affinity=affinities,
        sharing=shared,
        examples=examples(shown, run.outputs) if shown else None,
        cost=cost_tables(run),
        task_rows=task_rows(run),
        configuration=configuration(run.config),
        command=train_command(run.config),
    )
    write_text(directory.report_file, source)
    return directory.report_file
