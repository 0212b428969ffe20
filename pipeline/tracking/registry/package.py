"""The folder of a registered model, in MLflow's layout: the weights and the code that draws, without raygan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.pipeline.tracking.client import redact
from raygan.pipeline.tracking.registry.code import write_package

if TYPE_CHECKING:
    from torch import nn

SERVED = "raygan.pipeline.tracking.registry.served"
NEEDS = ("mlflow", "numpy", "pandas", "pillow", "safetensors", "torch")


def save_generator(
    folder: Path,
    generator: nn.Module,
    arguments: Mapping[str, Any],
    card: str,
    attributes: Sequence[str] = (),
    model: Any = None,
) -> None:
    """Writes weights.safetensors, generator.json, README.md (`card`) and the code to `folder`, which must not exist.

    `arguments` are those of the generator's class, `attributes` the names of those that it is conditioned on, `model`
    the mlflow.models.Model to describe it in. Raises RunError when the code of its class cannot be copied.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, DataType
    from safetensors.torch import save_file

    columns = [
        ColSpec("long", "seed", required=False),
        ColSpec("long", "index", required=False),
        ColSpec(Array(DataType.double), "latent", required=False),
        *(ColSpec("long", name, required=False) for name in attributes),
    ]
    signature = ModelSignature(
        Schema(columns), Schema([ColSpec("string", "png")]), ParamSchema([ParamSpec("format", "string", "png")])
    )
    network = type(generator)
    with tempfile.TemporaryDirectory() as scratch:
        code, data = write_package(Path(scratch), [SERVED, network.__module__]), Path(scratch) / "generator"
        (code / "__init__.py").write_text(f"from {code.name}.{SERVED} import _load_pyfunc\n")
        data.mkdir()
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}, data / "weights.safetensors"
        )
        description = {
            "module": network.__module__,
            "class": network.__name__,
            "arguments": dict(arguments),
            "attributes": [*attributes],
        }
        (data / "generator.json").write_text(json.dumps(description, indent=1))
        (data / "README.md").write_text(redact(card))
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=code.name,
            data_path=str(data),
            code_paths=[str(code)],
            signature=signature,
            input_example=_example(),
            pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in NEEDS],
            mlflow_model=model,
        )


def _example() -> Any:
    import pandas as pd

    return pd.DataFrame({"seed": [0, 0], "index": [0, 1]})
