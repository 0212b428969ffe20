"""Packages of a user's own whose names are those of raygan's folders. Importing one of them fails."""

from pathlib import Path

NAMES = ("pipeline", "jobs", "sharding")


def write_packages(folder: Path) -> Path:
    """Leaves them in `folder`, which it returns."""
    for name in NAMES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").write_text(f"raise ImportError('this {name} is the package of a user')\n")
        (folder / name / "config.py").write_text("STEPS = ['load', 'clean', 'plot']\n")
    return folder
