#!/usr/bin/env bash
# Take a backup if this server is the primary, else exit with status 3: backup-here.sh [full|diff|incr]
set -euo pipefail

[ "$(psql --no-psqlrc --tuples-only --no-align --dbname postgres --command 'SELECT pg_is_in_recovery()')" = f ] || exit 3
[ -e /var/lib/pgbackrest/archive/main/archive.info ] || pgbackrest --stanza=main stanza-create
exec pgbackrest --stanza=main --type="${1:-diff}" backup
