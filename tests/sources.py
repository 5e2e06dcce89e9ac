"""The project's own Python files, for the tests that read the source."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NOT_SOURCE = {"build", "dist", "runs"}


def python_files(*, tests: bool = False) -> list[Path]:
    """Returns every Python file, relative to the repository's root, without environments and build products.

    Args:
        tests: whether to return the tests too.
    """
    skipped = _NOT_SOURCE if tests else _NOT_SOURCE | {"tests"}
    found = sorted(path for path in ROOT.glob("*.py"))
    for folder in sorted(path for path in ROOT.iterdir() if path.is_dir()):
        environment = (folder / "pyvenv.cfg").exists()
        if not folder.name.startswith(".") and not environment and folder.name not in skipped:
            found += sorted(folder.rglob("*.py"))
    return [path.relative_to(ROOT) for path in found]
