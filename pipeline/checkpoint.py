"""What a checkpoint holds, and the exact way back.

A checkpoint is a folder: `state.pt` (both networks, both optimizers and the average, read with weights_only) and
`checkpoint.json` (all else, for people too, with the digest of the state). Latents and the order of the images are
functions of the position, so no generator's state has to be kept.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.adversarial import Adversaries
from pipeline.averaging import averaged, recalibrate
from pipeline.config import Config
from pipeline.faces import Faces
from pipeline.networks import dcgan
from pipeline.runs import HEADER
from sharding.errors import RunError, UserError

STATE = "state.pt"


class Header(BaseModel):
    """`checkpoint.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    position: int  # images shown to the discriminator so far
    config: Config
    size: int  # pixels
    data: str  # digest of the data set
    sha256: str  # of state.pt
    identity: dict[str, str]  # of the scores: those of different identities cannot be compared
    scores: dict[str, float]  # of the last evaluation

    def generator_arguments(self) -> dict[str, Any]:
        knobs = self.config.generator
        return {
            "size": self.size,
            "latent": self.config.latent,
            "width": knobs.width,
            "normalisation": knobs.normalisation,
        }


def save(
    folder: Path,
    adversaries: Adversaries,
    position: int,
    data: str,
    identity: dict[str, str],
    scores: dict[str, float],
) -> None:
    """Writes the whole state into the existing `folder`; the header last, so that a folder with one is whole."""
    torch.save(adversaries.state_dict(), folder / STATE)
    header = Header(
        position=position,
        config=adversaries.config,
        size=adversaries.size,
        data=data,
        sha256=_sha256(folder),
        identity=identity,
        scores=scores,
    )
    (folder / HEADER).write_text(header.model_dump_json(indent=1))


def read_header(folder: Path) -> Header:
    """Raises UserError if `folder` holds no checkpoint."""
    try:
        return Header.model_validate_json((folder / HEADER).read_bytes())
    except OSError as e:
        raise UserError(f"{folder}: no checkpoint here ({HEADER} cannot be read: {e.strerror})") from e
    except ValidationError as e:
        problem = e.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(f"{folder / HEADER}: not a checkpoint of this version ({where}: {problem['msg']})") from e


def restore(folder: Path, adversaries: Adversaries) -> Header:
    """Puts the state of `folder` into `adversaries`. Raises RunError if the state is damaged."""
    header = read_header(folder)
    adversaries.load_state_dict(_state(folder, header, adversaries.place.device))
    return header


def load_faces(folder: Path, device: torch.device | None = None, seed: int = 0) -> Faces:
    """The averaged generator of a checkpoint, ready to draw (on the CPU by default)."""
    header, device = read_header(folder), device or torch.device("cpu")
    average = averaged(dcgan.Generator(**header.generator_arguments()), header.config.batch, half_life=0)
    average.load_state_dict(_state(folder, header, device)["average"])
    generator = average.module.to(device).to(memory_format=torch.channels_last)
    recalibrate(generator, header.config.latent, device)
    return Faces(generator, header.config.latent, device, seed)


def _state(folder: Path, header: Header, device: torch.device) -> dict:
    if _sha256(folder) != header.sha256:
        raise RunError(f"{folder / STATE}: damaged (SHA-256 differs from {HEADER}); use an earlier checkpoint")
    return torch.load(folder / STATE, map_location=device, weights_only=True)


def _sha256(folder: Path) -> str:
    try:
        with (folder / STATE).open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise RunError(f"{folder / STATE}: cannot be read ({e.strerror}); use an earlier checkpoint") from e
