#!/usr/bin/env bash
# Bring the release that is now built or pulled into service while agents work: deploy/upgrade.sh
# Backup, migration, then one instance after the other. Stops at the first step that fails; the instances that serve
# by then go on serving. Run it where compose.yaml is; COMPOSE_FILE and the like are honoured.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
instances() { docker compose ps --quiet --status running project-manager; }

mapfile -t old < <(instances)
count=${#old[@]}
if [ "$count" -eq 0 ]; then
  say "No instance runs: docker compose up -d --wait"
  exit 1
fi

say "Backup"
docker compose run --rm --no-deps migrate project-manager backup "/app/backups/before-upgrade-$(date -u +%Y%m%dT%H%M%SZ).db"
say "Migration"
docker compose run --rm --no-deps migrate

for id in "${old[@]}"; do
  say "Replacing ${id:0:12}"
  if ! docker compose up -d --no-deps --no-recreate --wait --scale "project-manager=$((count + 1))" project-manager; then
    say "The new instance does not become healthy. Its log:"
    mapfile -t now < <(docker compose ps --all --quiet project-manager)
    for new in "${now[@]}"; do
      [[ " ${old[*]} " == *" $new "* ]] && continue
      [ "$(docker inspect --format '{{.State.Health.Status}}' "$new")" = healthy ] && continue
      docker logs --tail 20 "$new" >&2
      docker rm --force "$new" >/dev/null
    done
    exit 1
  fi
  docker stop "$id" >/dev/null
  docker rm "$id" >/dev/null
done
docker compose up -d --no-deps --no-recreate --scale "project-manager=$count" project-manager
say "Done: $count instances of the new release"
