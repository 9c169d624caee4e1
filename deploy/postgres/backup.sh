#!/usr/bin/env bash
# Back up the database of compose.postgres.yaml on its primary: deploy/postgres/backup.sh [full|diff|incr]
# The first call creates the repository and takes a full backup. From then on, the server archives its write-ahead log.
# The default is a differential backup. Run it in the folder of compose.postgres.yaml, for example from cron.
set -euo pipefail

compose=(docker compose -f compose.postgres.yaml)
for server in postgres1 postgres2; do
  status=0
  "${compose[@]}" exec -T "$server" bash /opt/cluster/backup-here.sh "${1:-diff}" || status=$?
  [ "$status" -ne 0 ] || { echo "Backup taken on $server." >&2; exit 0; }
  [ "$status" -eq 3 ] || echo "No backup on $server, status $status." >&2
done
echo "No backup was taken: there is no primary. See: ${compose[*]} exec postgres1 patronictl list" >&2
exit 1
