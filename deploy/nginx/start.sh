#!/usr/bin/env bash
# Start nginx in the container of the load balancer. DEFAULT_PORT and MCP_PORT are the ports of the instances.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")

port() { # NAME VALUE
  if ! [[ $2 =~ ^[1-9][0-9]{0,4}$ ]]; then
    echo "$1 is '$2', but must be a port from 1 to 65535 behind the load balancer." >&2
    exit 1
  fi
}

DEFAULT_PORT=${DEFAULT_PORT:-8080}
port DEFAULT_PORT "$DEFAULT_PORT"
MCP_PORT=${MCP_PORT:-$((DEFAULT_PORT + 1))}
port MCP_PORT "$MCP_PORT"
echo "'' $DEFAULT_PORT;" > /tmp/api_port.map
echo "'' $MCP_PORT;" > /tmp/mcp_port.map

# After a reload the old workers answer one more request on each idle connection. If they closed it at once, a request
# in transit would be lost. nginx supports this since 1.27.4.
version=$(nginx -v 2>&1)
version=${version##*/}
if [ "$(printf '%s\n' 1.27.4 "${version%% *}" | sort -V | head -n 1)" = 1.27.4 ]; then
  echo "keepalive_min_timeout 75s;" > /tmp/keepalive.conf
fi

exec nginx -c "$here/nginx.conf" -g "daemon off;"
