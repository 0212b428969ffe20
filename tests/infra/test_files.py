import json
import re
from pathlib import Path

import pytest
import yaml

from tests.infra.compose import SECRETS, services
from tests.infra.programs import INFRA, ROOT, run

YAML_STYLE = """
extends: default
rules:
  line-length: {max: 120, allow-non-breakable-words: true}
  document-start: disable
  comments: {min-spaces-from-content: 1}
  truthy: {check-keys: false}
  braces: {max-spaces-inside: 0}
"""
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.M)


def test_yaml_has_one_style() -> None:
    run("yamllint", "--strict", "-d", YAML_STYLE, *sorted(INFRA.rglob("*.yaml")))


def test_shell_scripts_hold_what_shellcheck_finds() -> None:
    run("shellcheck", *sorted(INFRA.rglob("*.sh")), ROOT / ".ci" / "run")


def test_the_dockerfile_follows_hadolint() -> None:
    run("hadolint", INFRA / "docker" / "Dockerfile")


def test_the_images_pins_are_the_projects() -> None:
    locked = dict(PINNED.findall((ROOT / "requirements.txt").read_text()))
    dockerfile = (INFRA / "docker" / "Dockerfile").read_text()
    for name in ("uv", "mlflow", "boto3", "s3fs"):
        pinned = re.search(rf"\b{name}==([\w.]+)", dockerfile)
        assert pinned is not None
        assert locked.get(name, pinned[1]) == pinned[1], name
    cluster = yaml.safe_load((INFRA / "k8s" / "base" / "raycluster.yaml").read_text().split("\n---\n")[0])
    assert cluster["spec"]["rayVersion"] == locked["ray"]


def test_compose_opens_ports_on_loopback_only_and_runs_nothing_as_root_that_stays() -> None:
    for name, service in services().items():
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name
        assert service.get("user") != "0:0" or name == "volume-owner"
        assert re.search(r":v?\d", service["image"]), name


def test_compose_asks_for_its_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AssertionError, match=re.escape("run ./secrets.sh first")):
        run("docker-compose", "--file", INFRA / "compose" / "compose.yaml", "--env-file", "/dev/null", "config")


def test_secrets_are_drawn_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    script.write_text((INFRA / "compose" / "secrets.sh").read_text())
    run("bash", script)
    first = (tmp_path / ".env").read_text()
    run("bash", script)
    assert (tmp_path / ".env").read_text() == first
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert sorted(line.partition("=")[0] for line in first.splitlines()) == sorted(SECRETS)
    assert len({line.partition("=")[2] for line in first.splitlines()}) == len(SECRETS)


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_rays_launcher_takes_its_files(cloud: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((INFRA / "ray" / f"{cloud}.yaml").read_text()))
    validate_config(config)
    assert "--env=RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}


def test_the_dashboard_asks_for_metrics_that_this_ray_exports() -> None:
    import ray.dashboard.modules.metrics.dashboards as dashboards

    sources = Path(dashboards.__file__).parent.glob("*_panels.py")
    exported = set(re.findall(r"\bray_\w+", "".join(source.read_text() for source in sources)))
    ours = re.findall(r'Gauge\("(\w+)"', (ROOT / "pipeline" / "launch" / "prometheus.py").read_text())
    exported |= {f"ray_{name}" for name in ours}  # tests/cluster scrapes them from a real run
    board = json.loads((INFRA / "observability" / "dashboard.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bray_\w+", target["expr"])
    }
    assert asked
    assert asked <= exported


def test_aws_knows_every_field_of_the_launchers_nodes() -> None:
    session = pytest.importorskip("botocore.session").get_session()
    from botocore.validate import ParamValidator

    accepted = session.get_service_model("ec2").operation_model("RunInstances").input_shape
    config = yaml.safe_load((INFRA / "ray" / "aws.yaml").read_text())
    for node in config["available_node_types"].values():
        report = ParamValidator().validate(node["node_config"] | {"MinCount": 1, "MaxCount": 1}, accepted)
        assert not report.has_errors(), report.generate_report()
        assert set(node["node_config"]) <= set(accepted.members)
