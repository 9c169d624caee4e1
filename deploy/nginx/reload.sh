#!/usr/bin/env bash
# Load the changed configuration or certificate without a gap: docker compose exec -T lb bash /lb/reload.sh
# A configuration that is not valid changes nothing. Requests in flight end on the former workers.
set -euo pipefail

nginx -t -q -c "$(dirname "${BASH_SOURCE[0]}")/nginx.conf"
kill -HUP 1
echo "The load balancer loads its configuration." >&2
