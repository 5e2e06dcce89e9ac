"""Reports on comparisons: an HTML page, a JSON file and printed tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.comparison import MethodComparison, compare_all, method_folders
from experiments.files import write_json, write_text
from experiments.judging import RULES
from experiments.report.cautions import caution, small_test_split
from experiments.report.configuration import differences_section
from experiments.report.methods import cost_section, curves_section, methods_section
from experiments.report.outcome import outcome_section, verdict
from experiments.report.wording import count
from experiments.run_results import Method, read_methods
from experiments.tables import print_comparison
from mtl_keras.reports.page import Html, page, paragraph


def report_comparison(
    folders: Sequence[Path],
    tasks: Sequence[str] | None = None,
    judge_at: str | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Prints the comparisons of `compare_folders`, and writes them into the first folder as JSON and HTML.

    The files are `comparison.json` and `comparison.html`, or `comparison-<tasks>` if only some tasks are compared.

    Args:
        folders: as for `compare_folders`.
        tasks: which tasks to compare; by default all that both sides have.
        judge_at: the rule by which to judge, as for `compare_folders`.
        quiet: whether to print nothing.

    Raises:
        ValueError: as `compare_folders` does.
        OSError: if a file cannot be written.
    """
    methods = read_methods(method_folders(folders))
    comparisons = compare_all(methods, tasks, judge_at)
    name = "-".join(["comparison", *(tasks or ())])
    target, page_file = (folders[0] / f"{name}{suffix}" for suffix in (".json", ".html"))
    write_json(target, [comparison.to_json() for comparison in comparisons])
    write_text(page_file, comparison_page(methods, comparisons))
    if quiet:
        return
    for comparison in comparisons:
        print_comparison(comparison)
    print(f"Written to {target}")
    print(f"Report: {page_file}")


def comparison_page(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> str:
    """Returns an HTML page on a comparison.

    Args:
        methods: the method, then the baselines.
        comparisons: the method against each of the baselines, in the same order.
    """
    sections = [
        *(outcome_section(comparison, f"against-{number}") for number, comparison in enumerate(comparisons, 1)),
        methods_section(comparisons),
        curves_section(methods, comparisons),
        cost_section(comparisons),
        differences_section({method.name: method.config for method in methods}),
    ]
    title = f"{methods[0].name} against {', '.join(method.name for method in methods[1:])}"
    return page(title, _lead(methods, comparisons), sections)


def _lead(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> Html:
    config = methods[0].config
    what = [
        f"{config.get('dataset')}{' (drawn images)' if methods[0].synthetic else ''}",
        f"model {config.get('model')}",
        f"{methods[0].name}: schedule {config.get('schedule')}, weighting {config.get('weighting')}",
        f"{config.get('epochs')} epochs",
    ]
    rule = f"{RULES[comparisons[0].judge_at]} (--judge_at {comparisons[0].judge_at})"
    body = [
        paragraph(" · ".join(what), "note"),
        paragraph(rule),
        *map(verdict, comparisons),
        *_warnings(methods, comparisons),
    ]
    return Html("".join(body))


def _warnings(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> Iterator[Html]:
    if any(method.synthetic for method in methods):
        yield caution("Drawn images", "the data are synthetic. These numbers say nothing about the real dataset.")
    seeds = min(len(comparison.seeds) for comparison in comparisons)
    if seeds < 2:
        yield caution("One seed", "there is no interval, so no verdict is known. Add seeds with --seeds.")
    yield from small_test_split(methods[0].config)
    tasks = max(len(comparison.tasks) for comparison in comparisons)
    if tasks > 4 and seeds > 1:
        share = 1 - comparisons[0].delta_m.confidence
        yield caution(
            "Many verdicts",
            f"each one is for its task only. Of {count(tasks, 'task')} without any difference, about "
            f"{share * tasks:.0f} would be called better or worse by chance.",
        )
