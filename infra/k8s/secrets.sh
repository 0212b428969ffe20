#!/usr/bin/env bash
# Draws the secrets that the manifests name, straight into the cluster: no file and no command line holds a value.
# Keeps what is there. A cluster with a secret store (External Secrets, Sealed Secrets) makes the same names with that.
set -euo pipefail
namespace=raygan

draw() { # NAME KEY...
    local name=$1
    shift
    if kubectl --namespace "$namespace" get secret "$name" >/dev/null 2>&1; then
        echo "secret $name is there already"
        return
    fi
    for key in "$@"; do echo "$key=$(openssl rand -hex 32)"; done |
        kubectl --namespace "$namespace" create secret generic "$name" --from-env-file=/dev/stdin
}

kubectl create namespace "$namespace" --dry-run=client --output=yaml | kubectl apply --filename=-
draw ray-token auth_token
draw database password
draw object-store AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY # read by the laptop overlay alone
