from pathlib import Path

import pytest
import torch

from raygan.pipeline.config import Weights, smoke
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.models.ema import recalibrate
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
from raygan.pipeline.training import checkpoint
from raygan.pipeline.training.header import read_header
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.folder import Folder


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, AdversarialObjective]:
    objective = AdversarialObjective(smoke(), 32, DistributedContext())
    for position in (0, 16):  # the first average is the generator itself
        objective.step(torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8), position)
    taken = checkpoint.snapshot(
        objective, 16, data="d1", identity={"extractor": "randconv"}, scores={"fd_randconv": 2.5}
    )
    checkpoint.write(tmp_path, taken)
    return tmp_path, objective


def test_the_header_says_what_the_state_belongs_to(saved: tuple[Path, AdversarialObjective]) -> None:
    header = read_header(Folder(str(saved[0])))
    assert (header.position, header.data, header.size, header.config) == (16, "d1", 32, smoke())
    assert header.scores == {"fd_randconv": 2.5}


def test_restoring_gives_every_tensor_back(saved: tuple[Path, AdversarialObjective]) -> None:
    folder, before = saved
    after = AdversarialObjective(smoke().model_copy(update={"seed": 9}), 32, DistributedContext())
    checkpoint.restore(folder, after)
    for name, part in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], part, rtol=0, atol=0)


def test_the_generator_alone_draws_what_the_trained_one_or_its_average_draws(
    saved: tuple[Path, AdversarialObjective],
) -> None:
    folder, before = saved
    drawn = {}
    generators: dict[Weights, torch.nn.Module] = {"average": before.average, "last": before.generator}
    for weights, generator in generators.items():
        recalibrate(generator, smoke().latent, torch.device("cpu"))
        expected = Sampler(generator, smoke().latent, torch.device("cpu"), seed=3).draw(0, 4)
        drawn[weights] = checkpoint.load_sampler(folder, seed=3, weights=weights).draw(0, 4)
        assert torch.equal(drawn[weights], expected)
    assert not torch.equal(drawn["average"], drawn["last"])


def test_a_header_that_was_changed_is_refused_although_it_reads_well(saved: tuple[Path, AdversarialObjective]) -> None:
    folder, objective = saved
    path = folder / "checkpoint.json"
    path.write_text(path.read_text().replace('"position": 16', '"position": 17'))
    assert read_header(Folder(str(folder))).position == 17
    with pytest.raises(RunError, match=r"damaged"):
        checkpoint.restore(folder, objective)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_state_is_refused_by_name(saved: tuple[Path, AdversarialObjective], damage: str) -> None:
    folder, objective = saved
    path = folder / checkpoint.STATE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-9])
    with pytest.raises(RunError, match=r"state\.pt: .*; use an earlier checkpoint"):
        checkpoint.restore(folder, objective)


def test_a_folder_without_a_checkpoint_and_one_of_another_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint here"):
        read_header(Folder(str(tmp_path)))
    (tmp_path / "checkpoint.json").write_text('{"format": 7}')
    with pytest.raises(UserError, match="not a checkpoint of this version"):
        read_header(Folder(str(tmp_path)))
