"""docs/architecture.md names every file of the packages, and none that does not exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("sharding", "pipeline", "jobs")


def listed() -> list[str]:
    """The paths in the tables: the folder of a heading, and the file at the start of each row below it."""
    found = []
    for section in re.split(r"^### ", PAGE, flags=re.M)[1:]:
        folder = section.partition("\n")[0].strip()
        found += [folder + name for name in re.findall(r"^\| `(\S+\.py)` \| \S", section, re.M)]
    return found


def test_the_page_lists_exactly_the_files_that_exist() -> None:
    files = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    expected = {path.as_posix() for path in files if path.name != "__init__.py"}
    paths = listed()
    assert expected - set(paths) == set(), "add a line to docs/architecture.md"
    assert set(paths) - expected == set(), "remove the line from docs/architecture.md"
    assert len(paths) == len(set(paths))


def test_every_path_in_the_text_exists() -> None:
    paths = re.findall(rf"`((?:{'|'.join(PACKAGES)}|src)/[\w./]*)`", PAGE)
    assert len(paths) > 40
    assert [path for path in paths if not (ROOT / path).exists()] == []
