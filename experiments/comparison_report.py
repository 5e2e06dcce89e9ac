"""`comparison_report`: writes an HTML page from the outcomes of a comparison and the records of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.files import write_text
from experiments.report.cautions import caution, small_test_split
from experiments.report.configuration import differences_section
from experiments.report.method import Method, read_method
from experiments.report.methods import cost_section, curves_section, methods_section
from experiments.report.outcome import Outcome, outcome_section, verdict
from experiments.report.wording import count
from mtl_keras.reports.page import Html, page, paragraph


def comparison_report(folders: Sequence[Path], outcomes: Sequence[Outcome], file: Path) -> None:
    """Writes a page on a comparison from the runs' files, without their data.

    Args:
        folders: the folder of the method, then those of the baselines.
        outcomes: the method against each of the baselines, in the same order, as in `comparison.json`.
        file: the file to write.

    Raises:
        ValueError: if a run's file is damaged, naming the file.
        OSError: if the page cannot be written.
    """
    names = [outcomes[0]["method"], *(outcome["baseline"] for outcome in outcomes)]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    methods = [read_method(name, folder) for name, folder in zip(names, folders)]
    # Figures of several outcomes need unique names.
    named = [{**outcome, "method": names[0], "baseline": name} for outcome, name in zip(outcomes, names[1:])]
    sections = [
        *(outcome_section(outcome, f"against-{number}") for number, outcome in enumerate(named, 1)),
        methods_section(named),
        curves_section(methods, named),
        cost_section(named),
        differences_section({method.name: method.config for method in methods}),
    ]
    title = f"{names[0]} against {', '.join(names[1:])}"
    write_text(file, page(title, _lead(methods, named), sections))


def _lead(methods: Sequence[Method], outcomes: Sequence[Outcome]) -> Html:
    config = methods[0].config
    what = [
        f"{config.get('dataset')}{' (drawn images)' if methods[0].synthetic else ''}",
        f"model {config.get('model')}",
        f"{methods[0].name}: schedule {config.get('schedule')}, weighting {config.get('weighting')}",
        f"{config.get('epochs')} epochs",
    ]
    body = [paragraph(" · ".join(what), "note"), *map(verdict, outcomes), *_warnings(methods, outcomes)]
    return Html("".join(body))


def _warnings(methods: Sequence[Method], outcomes: Sequence[Outcome]) -> Iterator[Html]:
    if any(method.synthetic for method in methods):
        yield caution("Drawn images", "the data are synthetic. These numbers say nothing about the real dataset.")
    seeds = min(len(outcome["seeds"]) for outcome in outcomes)
    if seeds < 2:
        yield caution("One seed", "there is no interval, so no verdict is known. Add seeds with --seeds.")
    yield from small_test_split(methods[0].config)
    tasks = max(len(outcome["tasks"]) for outcome in outcomes)
    if tasks > 4 and seeds > 1:
        share = 1 - outcomes[0]["delta_m"]["confidence"]
        yield caution(
            "Many verdicts",
            f"each one is for its task only. Of {count(tasks, 'task')} without any difference, about "
            f"{share * tasks:.0f} would be called better or worse by chance.",
        )
