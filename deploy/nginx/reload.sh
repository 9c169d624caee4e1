#!/usr/bin/env bash
# Load a changed configuration or certificate without an interruption: docker compose exec -T lb bash /lb/reload.sh
# An invalid configuration changes nothing. Requests in flight end on the old workers.
set -euo pipefail

nginx -t -q -c "$(dirname "${BASH_SOURCE[0]}")/nginx.conf"
kill -HUP 1
echo "The load balancer reloads its configuration." >&2
