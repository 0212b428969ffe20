import torch

from raygan.pipeline.evaluation.sampler import BATCH, Sampler, grid
from raygan.pipeline.models.dcgan import Generator
from raygan.pipeline.models.ema import recalibrate


def faces(seed: int = 0) -> Sampler:
    torch.manual_seed(0)
    generator = Generator(32, latent=5, width=4, normalisation="batch")
    recalibrate(generator, 5, torch.device("cpu"))
    return Sampler(generator, 5, torch.device("cpu"), seed)


def test_a_face_depends_on_its_index_alone() -> None:
    whole = faces().draw(0, BATCH + 10)
    assert whole.dtype == torch.uint8
    assert whole.shape == (BATCH + 10, 3, 32, 32)
    # One image may be convolved by another kernel than many, which can move a value across a rounding edge.
    difference = (faces().draw(BATCH - 5, 9).int() - whole[BATCH - 5 : BATCH + 4].int()).abs()
    assert difference.max() <= 1


def test_another_seed_draws_other_faces() -> None:
    assert not torch.equal(faces(1).draw(0, 2), faces(0).draw(0, 2))


def test_between_two_faces_lie_faces_of_latents_as_long_as_theirs() -> None:
    drawn = faces()
    way = drawn.interpolation(2, 5, 7)
    assert (way[[0, -1]].int() - drawn.draw(0, 6)[[2, 5]].int()).abs().max() <= 1
    steps = (way[1:].int() - way[:-1].int()).abs().float().mean(dim=(1, 2, 3))
    assert steps.max() < 3 * steps.min()
    lengths: list[float] = []
    drawn.network.register_forward_pre_hook(lambda _, inputs: lengths.extend(inputs[0].norm(dim=1).tolist()))
    drawn.interpolation(2, 5, 7)
    assert lengths == sorted(lengths) or lengths == sorted(lengths, reverse=True)


def test_interpolations_pass_the_first_faces() -> None:
    drawn = faces()
    sheet = drawn.interpolations(3, 5)
    assert sheet.shape == (3 * 34 + 2, 5 * 34 + 2, 3)
    for row in range(3):
        top = 2 + 34 * row
        corner = sheet[top : top + 32, 2:34].permute(2, 0, 1)
        assert (corner.int() - drawn.draw(row, 1)[0].int()).abs().max() <= 1


def test_a_grid_lays_images_out_in_rows() -> None:
    images = torch.stack([torch.full((3, 4, 4), 10 * i, dtype=torch.uint8) for i in range(5)])
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (2 * 5 + 1, 3 * 5 + 1, 3)
    assert [int(sheet[2, 2 + 5 * i, 0]) for i in range(3)] == [0, 10, 20]
    assert [int(sheet[7, 2 + 5 * i, 0]) for i in range(3)] == [30, 40, 255]
