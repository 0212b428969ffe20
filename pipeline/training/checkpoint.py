"""What a checkpoint holds, and the exact way back.

A checkpoint is a folder: `state.pt` (the objective's state: networks, optimizers, averages; read with weights_only)
and `checkpoint.json` (all else, for people too, with the digest of the state). Latents and the order of the images are
functions of the position, so no generator's state has to be kept.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from raygan.pipeline.config import Weights
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.objectives import registry
from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training.header import HEADER, Header, read_header
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder

STATE = "state.pt"


class Snapshot(NamedTuple):
    """The whole state as it was at a position; training may continue while it is written."""

    header: Header
    state: memoryview  # state.pt


def snapshot(
    objective: Objective, position: int, data: str, identity: dict[str, str], scores: dict[str, float]
) -> Snapshot:
    """`data`: the data set's digest. `scores`: of an evaluation at this position, with `identity`."""
    header = Header(
        position=position,
        config=objective.config,
        size=objective.size,
        data=data,
        identity=identity,
        scores=scores,
    )
    return Snapshot(header, packed(objective.state_dict()))


def packed(state: dict[str, Any]) -> memoryview:
    """A state as the bytes of state.pt."""
    packed = io.BytesIO()
    torch.save(state, packed)
    return packed.getbuffer()


def unpacked(state: bytes, device: torch.device) -> dict[str, Any]:
    """The state in such bytes, its tensors on `device`. Nothing in it is executed."""
    found: dict[str, Any] = torch.load(io.BytesIO(state), map_location=device, weights_only=True)
    return found


def write(folder: str | Path | Folder, taken: Snapshot) -> None:
    """Leaves the snapshot in `folder`, the header last: a folder that has one is whole. Raises OSError."""
    folder = _folder(folder)
    folder.remove(
        HEADER
    )  # of a damaged checkpoint of the same position, which would be taken for the header of our state
    folder.write(STATE, taken.state)
    _write_header(folder, taken)


def restore(folder: str | Path | Folder, objective: Objective) -> Header:
    """Puts the state of `folder` into `objective`. Raises RunError if the state is damaged."""
    folder = _folder(folder)
    header = read_header(folder)
    objective.load_state_dict(_state(folder, objective.context.device))
    return header


def load_sampler(
    folder: str | Path | Folder, device: torch.device | None = None, seed: int = 0, weights: Weights = "average"
) -> Sampler:
    """What draws images with the weights of a checkpoint, on the CPU by default."""
    folder = _folder(folder)
    header, device = read_header(folder), device or torch.device("cpu")
    sampler = registry.sampler_from(header.config, header.size, _state(folder, device), device, weights)
    sampler.seed = seed
    return sampler


def rescore(folder: str | Path | Folder, scores: dict[str, float], identity: dict[str, str]) -> None:
    """Puts scores found later into a checkpoint's header. Raises RunError if its state is damaged."""
    folder = _folder(folder)
    state = content(folder)
    header = read_header(folder).model_copy(update={"scores": scores, "identity": identity})
    _write_header(folder, Snapshot(header, memoryview(state)))


def _write_header(folder: Folder, taken: Snapshot) -> None:
    facts = taken.header.model_dump(mode="json", exclude={"sha256"})
    folder.write(HEADER, json.dumps(facts | {"sha256": _digest(facts, taken.state)}, indent=1).encode())


def _state(folder: Folder, device: torch.device) -> dict[str, Any]:
    return unpacked(content(folder), device)


def content(folder: Folder) -> bytes:
    """The bytes of its state, checked."""
    facts = json.loads(folder.read(HEADER))
    try:
        state = folder.read(STATE)
    except FileNotFoundError as e:
        raise RunError(f"{folder / STATE}: it is missing; use an earlier checkpoint") from e
    if _digest(facts, state) != facts["sha256"]:
        raise RunError(f"{folder / STATE}: damaged (SHA-256 differs from {HEADER}'s); use an earlier checkpoint")
    return state


def _digest(facts: dict[str, Any], state: bytes | memoryview) -> str:
    """The SHA-256 of the state and of what the header says of it, so that neither can change without the other."""
    covered = {name: fact for name, fact in facts.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(covered, sort_keys=True).encode())
    digest.update(state)
    return digest.hexdigest()


def _folder(where: str | Path | Folder) -> Folder:
    return where if isinstance(where, Folder) else Folder(str(where))
