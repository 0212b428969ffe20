"""Whatever instant a process dies at, the run ends as if it had never died (docs/recovery.md has the longer table)."""

import random
from pathlib import Path

import torch

from pipeline.config import smoke
from tests.faults.kills import final_state, run_with_kills

KILLS = 10


def test_ten_kills_at_random_instants_change_no_bit_of_the_end(shards: Path, tmp_path: Path) -> None:
    config = smoke().model_copy(update={"images": 1024})
    whole = run_with_kills(config, str(shards), tmp_path / "whole", random.Random(), most=0, life=0)
    assert whole.kills == 0
    kills = 0
    for attempt in range(KILLS):  # a run may end before it is killed as often as is asked
        killed = run_with_kills(
            config, str(shards), tmp_path / str(attempt), random.Random(attempt), KILLS - kills, life=1.5
        )
        torch.testing.assert_close(
            final_state(tmp_path / str(attempt)), final_state(tmp_path / "whole"), rtol=0, atol=0
        )
        kills += killed.kills
        if kills == KILLS:
            break
    assert kills == KILLS
