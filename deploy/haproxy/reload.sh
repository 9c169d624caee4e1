#!/usr/bin/env bash
# Load a changed configuration or certificate without an interruption: docker compose exec -T lb bash /lb/reload.sh
# An invalid configuration changes nothing. Requests in flight end on the old worker.
set -euo pipefail

bash "$(dirname "${BASH_SOURCE[0]}")/start.sh" --check
master=
for child in $(< /proc/1/task/1/children); do
  [ "$(< "/proc/$child/comm")" = haproxy ] && master=$child
done
workers=/proc/$master/task/$master/children
before=" $(< "$workers") "
kill -USR2 1
for _ in {1..100}; do
  for worker in $(< "$workers"); do
    if [[ $before != *" $worker "* ]]; then
      echo "The load balancer has loaded its configuration." >&2
      exit
    fi
  done
  sleep 0.1
done
echo "The load balancer still runs its former configuration. See its log: docker compose logs lb" >&2
exit 1
