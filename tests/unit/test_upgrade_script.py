"""The steps of deploy/upgrade.sh, with a Docker client that only answers questions."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "deploy" / "upgrade.sh"
DOCKER = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in
  "compose ps --all --quiet project-manager") echo instance-1; echo instance-2 ;;
  "inspect --format {{.State.Status}}"*) echo running ;;
  "exec instance-1 alembic heads") echo "0014 (head)" ;;
  "exec instance-2 alembic heads") echo "0015 (head)" ;;
  *" migrate --check "*) echo "check"; exit "$CHECK" ;;
  *" backup "*) exit 1 ;;
esac
"""
BACKUP = "compose run --rm --no-deps migrate project-manager backup /app/backups/"


def calls(folder: Path, check: int) -> tuple[list[str], str]:
    """Run the script up to its backup. Return the calls of Docker and the messages."""
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls"), "CHECK": str(check)}
    done = subprocess.run(["bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    return (folder / "calls").read_text().splitlines(), done.stderr


def test_the_upgrade_stops_before_its_first_change_when_a_running_release_does_not_run_on_the_new_schema(
    tmp_path: Path,
) -> None:
    made, said = calls(tmp_path, check=1)
    assert made[-1] == ("compose run --rm --no-deps -T migrate project-manager migrate --check 0014 --check 0015")
    assert said.endswith(
        "Nothing was changed, and the instances continue. Upgrade with an interruption:\n"
        "docker compose stop project-manager backup\n"
        "docker compose run --rm --no-deps migrate project-manager backup /app/backups/before-upgrade.db\n"
        "docker compose up -d --wait\n"
    )
    assert not any(call.startswith(BACKUP) for call in made)


def test_the_upgrade_continues_with_a_backup_when_the_running_releases_run_on_the_new_schema(tmp_path: Path) -> None:
    made, _ = calls(tmp_path, check=0)
    assert made[-1].startswith(BACKUP)
