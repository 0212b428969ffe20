#!/usr/bin/env bash
# Draws the secrets of compose.yaml into .env, which git ignores and only you may read. Keeps what is there: a database
# does not take a new password by itself.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
touch .env
for name in RAY_AUTH_TOKEN POSTGRES_PASSWORD S3_ACCESS_KEY S3_SECRET_KEY GRAFANA_PASSWORD; do
    grep -q "^$name=" .env || echo "$name=$(openssl rand -hex 32)" >>.env
done
