"""`python -m benchmarks`: what it runs, and what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import figures
from benchmarks.figures import Figure
from benchmarks.results_page import Benchmark, Run, agree, page, titles

FAST = Figure("step, a / b", 1.01, 0.9, 1.1, "<= 1.03")
WRITES = """
import json, sys
path = sys.argv[sys.argv.index("--json") + 1]
value = float(sys.argv[1])
json.dump([{"what": "x", "value": value, "low": value, "high": value, "target": ""}], open(path, "w"))
"""


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1.0, 0.9, 1.1), (1.1, 1.05, 1.2), True),
        ((1.0, 0.5, 1.05), (1.1, 1.0, 1.2), True),  # the second's spread holds the first's median
        ((1.0, 0.9, 1.06), (1.1, 1.04, 1.2), False),  # spreads overlap, but neither holds the other's median
        ((1.0, 1.0, 1.0), (1.1, 1.1, 1.1), False),
        ((1.0, 1.0, 1.0), (1.009, 1.009, 1.009), True),
    ],
)
def test_runs_agree_within_the_spread(one: tuple[float, ...], other: tuple[float, ...], expected: bool) -> None:
    assert agree(Figure("x", *one), Figure("x", *other)) is expected
    assert agree(Figure("x", *other), Figure("x", *one)) is expected


def test_the_page() -> None:
    again = Figure(FAST.what, 1.2, 1.15, 1.25, FAST.target)
    benchmarks = {
        "quick": Benchmark("python benchmarks/quick.py", [Run((FAST, Figure("y", 2, 1, 3))), Run((again,))]),
        "broken": Benchmark("python benchmarks/broken.py --rounds 1", [Run(error="ValueError: no"), Run((FAST,))]),
    }
    text = page(benchmarks, "2 CPU cores", "2000-01-01", {"results/more.md": "More"})
    assert "- [More](results/more.md)\n" in text
    assert "\n2000-01-01, 2 CPU cores.\nNot measured on a GPU" in text
    assert "0 of 1 figures agree in both runs; 2 of 3 measurements with an aim meet it." in text
    assert text[text.index("## quick") :].splitlines() == [
        "## quick",
        "",
        "`python benchmarks/quick.py`",
        "",
        "| what | run 1 | run 2 | runs agree | aimed at |",
        "|---|---:|---:|---|---|",
        "| step, a / b | 1.01 (0.9 - 1.1) | 1.2 (1.15 - 1.25) | **no**, 18.8% apart | <= 1.03: met, **missed** |",
        "| y | 2 (1 - 3) | - | - | - |",
        "",
        "## broken",
        "",
        "`python benchmarks/broken.py --rounds 1`",
        "",
        "**Run 1 failed**: `ValueError: no`",
        "",
        "| what | run 1 | run 2 | runs agree | aimed at |",
        "|---|---:|---:|---|---|",
        "| step, a / b | 1.01 (0.9 - 1.1) | - | - | <= 1.03: met |",
    ]


def test_further_pages_are_found_by_their_titles(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "more.md").write_text("# What more costs\n\nText\n")
    assert titles(tmp_path / "results") == {"results/more.md": "What more costs"}


def test_benchmarks_run_in_turn_and_a_failure_stops_none(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(WRITES)
    (tmp_path / "bad.py").write_text("raise SystemExit('first line\\nlast line')")
    (tmp_path / "mute.py").write_text("")
    found = program.run_all({"bad": [], "good": ["2.5"], "mute": [], "absent": []}, tmp_path)
    assert [run.figures for run in found["good"].runs] == [(Figure("x", 2.5, 2.5, 2.5),)] * 2
    assert found["good"].command == "python benchmarks/good.py 2.5"
    assert [run.error for run in found["bad"].runs] == ["last line"] * 2
    assert [run.error for run in found["mute"].runs] == ["It wrote no figures."] * 2
    assert found["absent"].runs[0].error == "There is no absent.py."


@pytest.mark.parametrize(("error", "code"), [("", 0), ("ValueError: no", 1)])
def test_the_program(error: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def run(script: Path, arguments: list[str]) -> Run:
        asked.append((script.stem, arguments))
        return Run(error=error) if error else Run((FAST,))

    monkeypatch.setattr(program, "run", run)
    assert program.main(["sharing", "dropping", "--rounds=1", "--output", str(tmp_path / "page.md")]) == code
    assert [name for name, _ in asked] == ["sharing", "dropping"] * 2
    assert all(arguments[-2:] == ["--rounds", "1"] for _, arguments in asked)
    assert "## dropping" in (tmp_path / "page.md").read_text()


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["speling"])
    assert "must be one of steps, executions" in capsys.readouterr().err


def test_what_is_run_exists() -> None:
    assert [name for name in program.QUICK if not (program.HERE / f"{name}.py").is_file()] == []


def test_figures_outlive_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        figures.of_ratio("a / b", {"a": [2.0, 3.0, 8.0], "b": [1.0, 1.0, 2.0]}, "a", "b", ">= 4"),
        figures.of_values("once", [5.0]),
    ]
    figures.report(found, tmp_path / "figures.json")
    assert figures.read(tmp_path / "figures.json") == found
    assert (found[0].value, found[0].low, found[0].high, found[0].met) == (3.0, 2.0, 4.0, False)
    assert capsys.readouterr().out.splitlines()[3:] == [
        "| a / b | 3 | 2 - 4 | >= 4 **missed** |",
        "| once | 5 | 5 - 5 | - |",
    ]
