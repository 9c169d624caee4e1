#!/usr/bin/env bash
# Start haproxy in the container of the load balancer: start.sh [--check]
#   --check   only validate the configuration
# DEFAULT_PORT and MCP_PORT are the ports of the instances. HAPROXY_CONFIGURATION lists the files.
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
export DEFAULT_PORT MCP_PORT

files=()
for file in ${HAPROXY_CONFIGURATION:-"$here/haproxy.cfg"}; do
  files+=(-f "$file")
done
if [ "${1:-}" = --check ]; then
  exec haproxy -c "${files[@]}"
fi

# haproxy waits for all its children before it ends. So sed must be a child of this shell, which forwards the signals.
exec {lines}> >(exec sed -u -E -f "$here/json-lines.sed")
haproxy -W -db "${files[@]}" >&"$lines" 2>&1 {lines}>&- &
haproxy=$!
exec {lines}>&-
trap 'kill -TERM "$haproxy"' TERM INT
trap 'kill -USR2 "$haproxy"' USR2
while :; do
  status=0
  wait "$haproxy" || status=$?
  kill -0 "$haproxy" 2>/dev/null || exit "$status"
done
