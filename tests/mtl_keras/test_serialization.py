from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_keras.checks import unknown_value
from mtl_keras.serialization import Registry, Spec, parse_spec, snake_case


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("dst", Spec("dst")),
        (" dst() ", Spec("dst")),
        ("dst(0.3, 'x', floor=-1)", Spec("dst", (0.3, "x"), {"floor": -1})),
        ("join([cosine(1), off], at=(3, 5))", Spec("join", ([Spec("cosine", (1,)), Spec("off")],), {"at": [3, 5]})),
        ("w({'a': None, 'b': half})", Spec("w", ({"a": None, "b": Spec("half")},))),
    ],
)
def test_parse(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "1", "'dst'", "dst(", "dst)", "a.b", "a.b()", "a()()", "a(*b)", "a(**b)", "a(x=1, x=2)", "a; b", "lambda: a",
     "a(b for b in c)", "a({[]: 1})", "a({1, []})", "a({**b})", "a(f'{b}')", "(" * 500 + "a" + ")" * 500, "a\0",
     "a(b + 1)", "a[0]", "not a", "a(x := 1)", "a(" + "-" * 20000 + "1)"],
)  # fmt: skip
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Cannot read the specification") as caught:
        parse_spec(text)
    assert repr(text) in str(caught.value)


literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["floor", "every", "x"]), literals))
def test_literals_survive(kwargs: dict[str, Any]) -> None:
    assert parse_spec(f"dst({', '.join(f'{key}={value!r}' for key, value in kwargs.items())})").kwargs == kwargs


def test_nothing_is_executed() -> None:
    assert parse_spec("exit(1)") == Spec("exit", (1,))
    assert parse_spec("__import__('os')") == Spec("__import__", ("os",))
    with pytest.raises(ValueError, match="Cannot read"):
        parse_spec("__import__('os').abort()")


REGISTRY: Registry[Any] = Registry("schedule")


@REGISTRY.register
@dataclass
class RandomDrop:
    p: float
    inner: Any = None


@REGISTRY.register
def always() -> str:
    return "always"


def test_get() -> None:
    assert REGISTRY.names == ["always", "random_drop"]
    assert "random_drop" in REGISTRY
    assert REGISTRY.get("random_drop(0.5, inner=always)") == RandomDrop(0.5, "always")
    assert REGISTRY.get("random_drop(0.5, inner=[always, {'a': always}])").inner == ["always", {"a": "always"}]
    assert REGISTRY.get({"name": "random_drop", "config": {"p": 0.1}}) == RandomDrop(0.1)
    ready = RandomDrop(1.0)
    assert REGISTRY.get(ready) is ready


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("random_dorp(1)", "Unknown schedule. Did you mean 'random_drop'. Received: 'random_dorp'. Choices: always, "),
        ("zzz", "Unknown schedule. Received: 'zzz'"),
        ("random_drop(q=1)", r"Unknown argument of schedule 'random_drop'.*Received: 'q'"),
        ("random_drop(", "Cannot read the schedule. Expected: name.*Received: 'random_drop\\('. Choices: always"),
        ("random_drop()", "missing a required argument: 'p'"),
        ("always(1)", "too many positional arguments"),
        ("random_drop(1, inner=zzz)", "Unknown schedule"),
        ({"name": "always", "cfg": {}}, "'name' and 'config'"),
        ({"config": {}}, "'name' and 'config'"),
    ],
)
def test_unknown_names_and_arguments_are_refused(identifier: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        REGISTRY.get(identifier)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="'always' is registered already"):
        REGISTRY.register(always)


def test_a_package_is_imported_when_the_registry_is_first_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "__init__.py").write_text(
        "from mtl_keras.serialization import Registry\nSHAPES = Registry('shape', package='shapes')\n"
    )
    (tmp_path / "shapes" / "cube.py").write_text(
        "from shapes import SHAPES\n@SHAPES.register\ndef cube():\n    return 6\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    shapes = importlib.import_module("shapes").SHAPES
    assert "shapes.cube" not in sys.modules
    with pytest.raises(ValueError, match="'cube' is registered already"):
        shapes.register(type("Cube", (), {}))
    assert shapes.get("cube") == 6


def test_snake_case() -> None:
    assert [snake_case(n) for n in ("RandomDrop", "DST", "dst", "Top2Tasks")] == [
        "random_drop", "dst", "dst", "top2_tasks",
    ]  # fmt: skip


def test_the_error_for_an_unknown_value_names_the_closest_one() -> None:
    assert str(unknown_value("flag", "colour", ["color", "size"])) == (
        "Unknown flag. Did you mean 'color'? Received: 'colour'. Choices: color, size"
    )
    assert "Did you mean 'validation'?" in str(unknown_value("split", "val", ["train", "validation"]))
