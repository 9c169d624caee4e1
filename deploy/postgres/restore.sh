#!/usr/bin/env bash
# Restore the database from the archive into the empty data folder of this server, as of RESTORE_TARGET.
# Patroni runs this instead of initdb when RESTORE_TARGET is set. docs/postgresql.md has the whole procedure.
set -euo pipefail

if [ "$RESTORE_TARGET" = latest ]; then
  exec pgbackrest --stanza=main restore
fi
exec pgbackrest --stanza=main --type=time --target="$RESTORE_TARGET" --target-action=promote restore
