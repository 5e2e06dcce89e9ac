"""Reports on comparisons: an HTML page, a JSON file and printed tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from experiments.config import FEW_STEPS
from experiments.files import write_json, write_text
from experiments.judging import RULES
from experiments.method_comparison import MethodComparison, compare_groups, compare_methods, method_folders
from experiments.method_table import MethodTable, group_notes, group_verdicts, method_table
from experiments.plan import is_comparison
from experiments.report.comparison import (
    against_baseline,
    all_methods,
    cost_rows,
    metric_bars,
    seed_rows,
    validation_curves,
)
from experiments.report.configuration import configuration, differing_settings
from experiments.report.results import SYNTHETIC, few_steps, small_test_split
from experiments.run_report import TEMPLATES
from experiments.run_results import Method, read_methods
from experiments.tables import print_comparison, print_group_verdicts, print_method_table
from mtl_keras.reports.page import environment


def report_comparison(
    folders: Sequence[Path],
    tasks: Sequence[str] | None = None,
    judge_at: str | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Compares the first of several methods with the others, prints it, and writes it into the first folder.

    The files are `comparison.json` and `comparison.html`, or `comparison-<tasks>` if only some tasks are compared.

    Args:
        folders: as for `method_folders`.
        tasks: which tasks to compare; by default all that both sides have.
        judge_at: the rule by which to judge, as for `compare_methods`.
        quiet: whether to print nothing.

    Raises:
        ValueError: as `method_folders` and `compare_methods` do.
        OSError: if a file cannot be written.
    """
    methods = read_methods(method_folders(folders))
    comparisons = compare_methods(methods, tasks, judge_at)
    groups = compare_groups(methods, tasks, judge_at)
    table = method_table(methods, comparisons)
    name = "-".join(["comparison", *(tasks or ())])
    target, page_file = (folders[0] / f"{name}{suffix}" for suffix in (".json", ".html"))
    verb = "Replaced" if target.exists() else "Written to"
    write_json(target, [comparison.to_json() for comparison in (*comparisons, *groups)])
    write_text(page_file, comparison_page(methods, comparisons, table, groups))
    if quiet:
        return
    for comparison in (*comparisons, *groups):
        print_comparison(comparison)
    if groups:
        print_group_verdicts(group_notes(methods), group_verdicts(methods, (*comparisons, *groups)))
    if table is not None:
        print_method_table(table)
    print(f"{verb} {target}")
    print(f"Report: {page_file}")


def comparison_page(
    methods: Sequence[Method],
    comparisons: Sequence[MethodComparison],
    table: MethodTable | None,
    groups: Sequence[MethodComparison] = (),
) -> str:
    """Returns an HTML page on a comparison.

    Args:
        methods: the method, then the baselines.
        comparisons: the method against each of the baselines, in the same order.
        table: all methods; `None` if they have no task or seed in common.
        groups: baselines that have groups against the others, from `compare_groups`.
    """
    names = [method.name for method in methods]
    # Figures of several comparisons need unique names.
    against = {f"against-{number}": against_baseline(each) for number, each in enumerate((*comparisons, *groups), 1)}
    seeds, values = seed_rows(methods, comparisons)
    judge_at = comparisons[0].judge_at
    return (
        environment(TEMPLATES)
        .get_template("comparison.html")
        .render(
            title=f"{names[0]} against {', '.join(names[1:])}",
            sections={
                **{anchor: _heading(each, names[0]) for anchor, each in against.items()},
                "methods": "All methods",
                "curves": "Learning curves",
                "cost": "Cost",
                "configuration": "Configuration",
            },
            names=names,
            config=methods[0].config,
            synthetic=methods[0].synthetic,
            judging=f"{RULES[judge_at]} (--judge_at {judge_at})",
            warnings=list(_warnings(methods, comparisons)),
            against=against,
            table=all_methods(table),
            verdicts=group_verdicts(methods, (*comparisons, *groups)),
            group_notes=group_notes(methods),
            methods=metric_bars(comparisons),
            seed_header=["task", "method", *(f"seed {seed}" for seed in seeds)],
            seed_rows=values,
            curves=validation_curves(methods, comparisons),
            cost_rows=cost_rows(comparisons),
            differing_settings=differing_settings(methods),
            configuration=configuration(methods[0].config),
        )
    )


def _heading(against: Mapping[str, Any], first: str) -> str:
    prefix = "Against" if against["method"] == first else f"{against['method']} against"
    return f"{prefix} {against['baseline']}"


def _warnings(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> Iterator[tuple[str, str]]:
    if any(method.synthetic for method in methods):
        yield SYNTHETIC
    seeds = min(len(comparison.seeds) for comparison in comparisons)
    if seeds < 2:
        folder = methods[0].folder.parent
        advice = "Train with more seeds."
        if is_comparison(folder):
            more = ",".join(str(max(comparisons[0].seeds) + number) for number in (1, 2))
            command = ["python", "train.py", "--resume", "--run_dir", str(folder), "--seeds", more]
            advice = Markup("To add seeds: <code>{}</code>").format(shlex.join(command))
        yield "One seed", Markup("there is no interval, so no verdict is known. {}").format(advice)
    yield from small_test_split(methods[0].config)
    steps = min(run.cost.steps for method in methods for run in method.runs)
    if steps < FEW_STEPS:
        yield few_steps(steps)
    many = max(comparisons, key=lambda comparison: comparison.first.expected_by_chance).first
    if len(many.tasks) > 4 and seeds > 1:
        yield "Many verdicts", f"each one is for its task only. {many.chance_note()}"
