import torch

from pipeline.averaging import recalibrate
from pipeline.faces import BATCH, Faces, grid
from pipeline.networks.dcgan import Generator


def faces(seed: int = 0) -> Faces:
    torch.manual_seed(0)
    generator = Generator(32, latent=5, width=4, normalisation="batch")
    recalibrate(generator, 5, torch.device("cpu"))
    return Faces(generator, 5, torch.device("cpu"), seed)


def test_a_face_depends_on_its_index_alone() -> None:
    whole = faces().draw(0, BATCH + 10)
    assert whole.dtype == torch.uint8
    assert whole.shape == (BATCH + 10, 3, 32, 32)
    # One image may be convolved by another kernel than many, which can move a value across a rounding edge.
    difference = (faces().draw(BATCH - 5, 9).int() - whole[BATCH - 5 : BATCH + 4].int()).abs()
    assert difference.max() <= 1


def test_another_seed_draws_other_faces() -> None:
    assert not torch.equal(faces(1).draw(0, 2), faces(0).draw(0, 2))


def test_a_grid_lays_images_out_in_rows() -> None:
    images = torch.stack([torch.full((3, 4, 4), 10 * i, dtype=torch.uint8) for i in range(5)])
    sheet = grid(images, columns=3, gap=1)
    assert sheet.shape == (2 * 5 + 1, 3 * 5 + 1, 3)
    assert [int(sheet[2, 2 + 5 * i, 0]) for i in range(3)] == [0, 10, 20]
    assert [int(sheet[7, 2 + 5 * i, 0]) for i in range(3)] == [30, 40, 255]
