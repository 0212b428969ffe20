"""The composition as Docker Compose itself reads it, which needs no engine."""

from typing import Any

import yaml

from tests.infra.programs import INFRA, run

SECRETS = ("RAY_AUTH_TOKEN", "POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "GRAFANA_PASSWORD")


def services() -> dict[str, dict[str, Any]]:
    """Every service by its name, with anchors, variables and secrets filled in."""
    file = INFRA / "compose" / "compose.yaml"
    secrets = dict.fromkeys(SECRETS, "x")
    read = run("docker-compose", "--file", file, "--profile", "metrics", "config", environment=secrets)
    return yaml.safe_load(read)["services"]
