#!/usr/bin/env bash
# Archive a file of the write-ahead log, or fetch one from the archive: pgbackrest-wal.sh push PATH, or get NAME PATH
# Before the first backup, there is no archive. pgBackRest requires its own name in the archive_command.
set -euo pipefail

action=$1
shift
if [ ! -e /var/lib/pgbackrest/archive/main/archive.info ]; then
  [ "$action" = push ]
  exit
fi
exec pgbackrest --stanza=main "archive-$action" "$@"
