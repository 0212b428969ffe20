"""Links between the pages lead somewhere, and the index of the decisions is complete."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def anchors(page: Path) -> set[str]:
    """Those of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    if page.name in ("CHANGELOG.md", "extending.md"):  # which name files of version 0.1, and files that a reader writes
        return
    paths = re.findall(r"`((?:sharding|pipeline|jobs|tests|benchmarks|src|docs)/[\w./-]*)`", page.read_text())
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_index_lists_every_decision_once_by_its_title() -> None:
    listed = re.findall(
        r"^\| \[(.*)\]\((\S+\.md)\) \| \d{4}-\d\d-\d\d \| \S", (DECISIONS / "README.md").read_text(), re.M
    )
    pages = {
        page.name: page.read_text().partition("\n")[0] for page in DECISIONS.glob("*.md") if page.name != "README.md"
    }
    assert {name: f"# {title}" for title, name in listed} == pages
    assert len(listed) == len(pages)
