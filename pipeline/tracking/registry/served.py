"""A registered model after it is loaded: draws faces from seeds or latents.

Every model holds a copy of this file and of its network (see code.py). So it needs torch and safetensors, but not
raygan, and holds no pickled code.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import load_file

from raygan.pipeline.models.noise import Purpose, latents

FORMATS = ("png", "array")
BATCH = 256  # images drawn at once


class Served:
    """Draws one face per row of a table.

    A row holds `seed` (and `index`, 0 by default: which of the seed's faces), or `latent`, a list of numbers. A
    conditional model also takes a column of 0 or 1 for each attribute, by its name; attributes that are left out are
    those of a real image.
    """

    def __init__(self, folder: Path) -> None:
        description = json.loads((folder / "generator.json").read_text())
        package = __name__.partition(".")[0]  # that of the copies
        network = importlib.import_module(f"{package}.{description['module']}")
        self._generator = getattr(network, description["class"])(**description["arguments"]).eval()
        self._generator.load_state_dict(load_file(folder / "weights.safetensors"))
        self._dimensions = self._generator.seed.latent
        self._attributes: list[str] = description["attributes"]

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame | np.ndarray:
        """A table with the column `png` (base64), or, with the parameter format="array", uint8 [rows, H, W, 3].

        Raises ValueError for a table with neither seeds nor latents, latents of another length, or another format.
        """
        wanted = (params or {}).get("format", "png")
        if wanted not in FORMATS:
            raise ValueError(f"format: {wanted!r} is not one of {', '.join(FORMATS)}")
        noise = self._latents(table)
        images = self._draw(noise, self._attributes_of(table, noise))
        return images if wanted == "array" else pd.DataFrame({"png": [_png(image) for image in images]})

    def _latents(self, table: pd.DataFrame) -> torch.Tensor:
        if "latent" in table:
            given = torch.tensor(np.stack([np.asarray(row, np.float32) for row in table["latent"]]))
            if given.shape[1] != self._dimensions:
                raise ValueError(f"latent: expected {self._dimensions} numbers a row, got {given.shape[1]}")
            return given
        if "seed" not in table:
            raise ValueError("the table needs a column `seed` or a column `latent`")
        indices = table["index"] if "index" in table else [0] * len(table)
        rows = zip(table["seed"], indices, strict=True)
        return torch.cat([latents(int(s), Purpose.FACES, int(i), 1, self._dimensions) for s, i in rows])

    def _attributes_of(self, table: pd.DataFrame, noise: torch.Tensor) -> torch.Tensor | None:
        """The attributes of every face, uint8 [rows, attributes]; None for a model without any."""
        if not self._attributes:
            return None
        rows = self._generator.seed.attributes_from(noise)
        for column, name in enumerate(self._attributes):
            if name in table:
                wanted = table[name].notna().to_numpy()
                rows[torch.tensor(wanted), column] = torch.tensor(table[name][wanted].to_numpy(np.uint8))
        return rows

    @torch.inference_mode()
    def _draw(self, noise: torch.Tensor, rows: torch.Tensor | None) -> np.ndarray:
        if rows is None:
            images = torch.cat([self._generator(part) for part in noise.split(BATCH)])
        else:
            parts = zip(noise.split(BATCH), rows.split(BATCH), strict=True)
            images = torch.cat([self._generator(part, attributes) for part, attributes in parts])
        levels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous().numpy()


def _png(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _load_pyfunc(folder: str) -> Served:
    """Called by MLflow to load the model from the folder of its data."""
    return Served(Path(folder))
