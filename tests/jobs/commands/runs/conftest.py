from pathlib import Path

import pytest

from raygan.pipeline.config import smoke
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
from raygan.pipeline.training import checkpoint


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of networks that draw 32 pixels; nothing here depends on how well."""
    folder = tmp_path_factory.mktemp("checkpoint")
    taken = checkpoint.snapshot(
        AdversarialObjective(smoke(), 32, DistributedContext()), 16, data="d", identity={}, scores={}
    )
    checkpoint.write(folder, taken)
    return folder
