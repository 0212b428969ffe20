import json
from typing import Any

import pytest

from tests.golden.__main__ import FILE, in_a_process

RECORDED: dict[str, Any] = json.loads(FILE.read_text())


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return in_a_process()


def test_shards_and_the_order_are_those_that_were_recorded_on_any_processor(found: dict[str, Any]) -> None:
    assert found["anywhere"] == RECORDED["anywhere"]


@pytest.mark.parametrize("name", ["smoke", "celeba64", "article", "conditional", "two workers", "report"])
def test_final_states_curves_and_scores_are_those_that_were_recorded(found: dict[str, Any], name: str) -> None:
    arithmetic = f"torch {found['torch']}, probe {found['probe']}"
    if arithmetic not in RECORDED["arithmetic"]:
        pytest.skip(
            f"nothing is recorded for {arithmetic}: check out what is right, and python -m tests.golden --renew"
        )
    assert found["arithmetic"][name] == RECORDED["arithmetic"][arithmetic][name]
