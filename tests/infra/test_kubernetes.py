import copy
import shlex
from pathlib import Path
from typing import Any

import pytest

from raygan.jobs.cli import app
from tests.infra.commands import parse, raygan_commands
from tests.infra.kubernetes import OVERLAYS, Object, build, cluster_of, containers, errors, pods
from tests.infra.programs import run

ALL = sorted(path.name for path in OVERLAYS.iterdir())
WITH_JOBS = [name for name in ALL if name.endswith("-jobs")]


@pytest.fixture(scope="module")
def objects() -> dict[str, list[Object]]:
    return {name: build(name) for name in ALL}


@pytest.mark.parametrize("overlay", ALL)
def test_every_field_of_every_object_is_one_that_kubernetes_kuberay_or_kueue_knows(
    overlay: str, objects: dict[str, list[Object]]
) -> None:
    assert objects[overlay]
    assert [error for thing in objects[overlay] for error in errors(thing)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "entrypont"), "raygan"),
        (("spec", "backoffLimit"), "three"),
        (("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "containers", 0, "imag"), "raygan"),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0, "template", "spec", "containers"), None),
    ],
)
def test_the_judge_finds_a_misspelt_a_mistyped_and_a_missing_field(
    path: tuple[str | int, ...], value: object, objects: dict[str, list[Object]]
) -> None:
    job: Any = copy.deepcopy(next(thing for thing in objects[WITH_JOBS[0]] if thing["kind"] == "RayJob"))
    parent = job
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    assert list(errors(job))


@pytest.mark.parametrize("overlay", ALL)
def test_no_pod_can_become_root(overlay: str, objects: dict[str, list[Object]]) -> None:
    for pod in (pod for thing in objects[overlay] for pod in pods(thing)):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (container for thing in objects[overlay] for container in containers(thing)):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("overlay", ALL)
def test_ray_asks_for_a_token_and_secrets_are_named_but_never_given(
    overlay: str, objects: dict[str, list[Object]]
) -> None:
    for thing in objects[overlay]:
        assert thing["kind"] != "Secret"
        if cluster := cluster_of(thing):
            assert cluster["authOptions"] == {"mode": "token", "secretName": "ray-token"}
        for container in containers(thing):
            for variable in container.get("env", []):
                secret = any(word in variable["name"] for word in ("PASSWORD", "TOKEN", "KEY"))
                assert not secret or "secretKeyRef" in variable["valueFrom"]


@pytest.mark.parametrize("overlay", ALL)
def test_nothing_is_reachable_from_outside_the_cluster(overlay: str, objects: dict[str, list[Object]]) -> None:
    kinds = {thing["kind"] for thing in objects[overlay]}
    assert not kinds & {"Ingress", "Gateway", "HTTPRoute"}
    for thing in objects[overlay]:
        if thing["kind"] == "Service":
            assert thing["spec"].get("type", "ClusterIP") == "ClusterIP"
    closed = [thing for thing in objects[overlay] if thing["metadata"]["name"] == "deny-ingress"]
    assert [policy["spec"] for policy in closed] == [{"podSelector": {}, "policyTypes": ["Ingress"]}]


@pytest.mark.parametrize("overlay", ALL)
def test_images_are_pinned(overlay: str, objects: dict[str, list[Object]]) -> None:
    for container in (container for thing in objects[overlay] for container in containers(thing)):
        tag = container["image"].rpartition(":")[2]
        assert tag[:1].isdigit() or tag[:1] == "v", container["image"]


@pytest.mark.parametrize("overlay", WITH_JOBS)
@pytest.mark.parametrize("name", ["train", "tune", "doctor"])
def test_the_cluster_of_a_job_holds_the_workers_that_its_command_asks_for(
    overlay: str, name: str, objects: dict[str, list[Object]]
) -> None:
    (job,) = [thing for thing in objects[overlay] if (thing["kind"], thing["metadata"]["name"]) == ("RayJob", name)]
    group = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    resources = group["template"]["spec"]["containers"][0]["resources"]
    arguments = parse(app, shlex.split(raygan_commands(job["spec"]["entrypoint"])[-1])[1:])
    asked: dict[str, Any] = {"workers": "1", "gpu": False, "cpus_per_worker": 1}
    asked |= dict(arguments.get("launch", arguments))
    assert group["minReplicas"] == group["replicas"] == group["maxReplicas"] >= int(asked["workers"])
    assert name == "tune" or int(asked["workers"]) == group["replicas"]  # a trial has its own workers
    assert asked["gpu"] == ("nvidia.com/gpu" in resources["limits"])
    assert asked["cpus_per_worker"] <= int(resources["limits"].get("cpu", resources["requests"]["cpu"]))
    assert name != "train" or arguments["resume"] == "auto"


def test_with_queues_every_job_waits_in_one_and_no_standing_cluster_bypasses_it(
    objects: dict[str, list[Object]],
) -> None:
    queues = {thing["metadata"]["name"] for thing in objects["kueue-jobs"] if thing["kind"] == "LocalQueue"}
    jobs = [thing for thing in objects["kueue-jobs"] if thing["kind"] == "RayJob"]
    assert {job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] for job in jobs} == queues
    assert all(job["spec"]["shutdownAfterJobFinishes"] for job in jobs)
    assert "RayCluster" not in {thing["kind"] for thing in objects["kueue-jobs"]}


@pytest.mark.parametrize("overlay", WITH_JOBS)
def test_the_commands_of_jobs_are_valid_shell(overlay: str, objects: dict[str, list[Object]], tmp_path: Path) -> None:
    for job in (thing for thing in objects[overlay] if thing["kind"] == "RayJob"):
        script = tmp_path / job["metadata"]["name"]
        script.write_text(job["spec"]["entrypoint"])
        run("shellcheck", "--shell=sh", script)
