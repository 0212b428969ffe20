"""Judges Kubernetes objects without a cluster, strictly: what an object does not know is an error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.infra.programs import INFRA, run

OVERLAYS = INFRA / "k8s" / "overlays"
_SCHEMAS = Path(__file__).parent / "schemas"

Object = dict[str, Any]


def build(overlay: str) -> list[Object]:
    """What `kubectl apply -k` would send."""
    return list(yaml.safe_load_all(run("kubectl", "kustomize", OVERLAYS / overlay)))


def cluster_of(thing: Object) -> Object | None:
    """The Ray cluster that an object is or brings along."""
    spec = thing.get("spec", {})
    return {"RayCluster": spec, "RayJob": spec.get("rayClusterSpec")}.get(thing["kind"])


def pods(thing: Object) -> list[Object]:
    """The pod specifications of an object."""
    if cluster := cluster_of(thing):
        return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    template = thing.get("spec", {}).get("template")
    return [template["spec"]] if template else []


def containers(thing: Object) -> list[Object]:
    """All containers of all pods of an object."""
    return [container for pod in pods(thing) for container in pod["containers"] + pod.get("initContainers", [])]


def errors(thing: Object) -> Iterator[str]:
    """What is wrong with an object, if anything."""
    schema = _SCHEMAS / f"{thing['kind']}.json"
    if not schema.exists():
        yield from _core_errors(thing)
        return
    for error in _Validator(json.loads(schema.read_text())).iter_errors(thing):
        yield f"{thing['kind']} {error.json_path}: {error.message[:200]}"


def _core_errors(thing: Object) -> Iterator[str]:
    try:
        kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as e:
        yield f"{thing['kind']} {e.path}: {e.message[:200]}"


def _pod_template(validator: Any, keyword: Any, template: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
    for message in _core_errors(whole):
        yield jsonschema.ValidationError(message)


_Validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"podTemplate": _pod_template})
