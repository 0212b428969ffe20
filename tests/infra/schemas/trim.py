"""Cuts a CustomResourceDefinition down to what a test needs: one strict JSON schema per kind, written beside this file.

    python tests/infra/schemas/trim.py CRD.yaml ...

Unknown fields become errors. Descriptions, status and defaults go. A pod template, nine tenths of KubeRay's
definitions, becomes the keyword `podTemplate`, which the test checks against Kubernetes' own schema.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml


def strict(node: Any) -> Any:
    """A CRD's structural schema as a strict Draft 7 one."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    properties = node.get("properties")
    if isinstance(properties, dict) and "containers" in properties.get("spec", {}).get("properties", {}):
        return {"type": "object", "podTemplate": True}
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept = {
        key: strict(value) for key, value in node.items() if not isinstance(value, str) or key in ("type", "pattern")
    }
    if isinstance(properties, dict):
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
        # The API server fills in a default before it looks for what is required.
        kept["required"] = [name for name in node.get("required", []) if "default" not in properties[name]]
    return {key: value for key, value in kept.items() if not key.startswith("x-kubernetes")}


def trim(crd: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind, and the schema of its newest stored version."""
    version = next(version for version in crd["spec"]["versions"] if version["storage"])
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"].pop("status", None)
    schema["properties"]["metadata"] = {"type": "object"}
    schema["properties"]["apiVersion"] = {"const": f"{crd['spec']['group']}/{version['name']}"}
    return crd["spec"]["names"]["kind"], schema


if __name__ == "__main__":
    for name in sys.argv[1:]:
        kind, schema = trim(next(document for document in yaml.safe_load_all(Path(name).read_text()) if document))
        target = Path(__file__).with_name(f"{kind}.json")
        target.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")
        print(f"{target} {target.stat().st_size:,} bytes")
