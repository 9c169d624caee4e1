#!/usr/bin/env bash
# Restore the database from the archive into the empty data folder of this server, as of RESTORE_TARGET on RESTORE_TIMELINE.
# Patroni runs this instead of initdb when RESTORE_TARGET is set. docs/postgresql.md has the whole procedure.
set -euo pipefail

options=(--target-timeline="${RESTORE_TIMELINE:-latest}")
[ "$RESTORE_TARGET" = latest ] || options+=(--type=time --target="$RESTORE_TARGET" --target-action=promote)
exec pgbackrest --stanza=main "${options[@]}" restore
