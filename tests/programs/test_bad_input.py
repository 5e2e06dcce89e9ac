"""What a program says of itself, and where an error came from."""

from __future__ import annotations

import pytest

from tests.programs.conftest import Program


def test_help_is_help(program: Program) -> None:
    outcome = program("train", "--help")
    assert outcome.code == 0
    assert "docs/train.md explains every flag" in outcome.out
    assert "the trunk is\n    frozen" in outcome.out  # the text of a link


def test_traceback_shows_where(program: Program) -> None:
    with pytest.raises(ValueError, match="Did you mean 'fashion_mnist'"):
        program("train", "--dataset=fashion_mnits", "--traceback")
