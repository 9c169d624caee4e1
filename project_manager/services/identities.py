"""Use cases of identities: issue agent ids, keep the id of a connection, and find the project of a connection."""

import secrets

from project_manager.domain.errors import ProjectNotFound
from project_manager.domain.limits import ID_DIGITS
from project_manager.services import resolve
from project_manager.store import agents, identities, projects
from project_manager.store.projects import ProjectRow
from project_manager.store.transaction import Tx

_DIGITS = 4
_TRIES = 4
"""Number of random ids to try before the next one has more digits."""


def find(tx: Tx, key: str) -> str | None:
    """Return the agent id that is kept under this key, or None."""
    return identities.find(tx, key)


def issue(tx: Tx, key: str | None, prefix: str) -> str:
    """Return the agent id that is kept under `key`. Without one, issue an id that nothing in the database has."""
    found = None if key is None else identities.find(tx, key)
    if found is not None:
        return found
    agent_id = _unused(tx, prefix)
    agents.add(tx, agent_id)
    if key is not None:
        identities.add(tx, key, agent_id)
    return agent_id


def keep(tx: Tx, key: str, agent_id: str) -> str:
    """Keep an agent id under `key`, unless another one is kept there. Return the kept one."""
    found = identities.find(tx, key)
    if found is None:
        identities.add(tx, key, agent_id)
    return found or agent_id


def project(tx: Tx, text: str) -> ProjectRow:
    """Return the project with this name, else the one with this id. Raises ProjectNotFound."""
    found = resolve.project(tx, text)
    if found is None and text.isascii() and text.isdecimal() and len(text) < ID_DIGITS:
        found = projects.get(tx, int(text))
    if found is None:
        error: ProjectNotFound = resolve.project_not_found(text)
        error.message = f"project `{text}` of this connection not found"
        raise error
    return found


def _unused(tx: Tx, prefix: str) -> str:
    """Return a random id that is not used. After _TRIES used ones, it gets more digits."""
    tries = 0
    while True:
        digits = _DIGITS + tries // _TRIES
        agent_id = f"{prefix}-{secrets.token_hex(digits)[:digits]}"
        if not identities.is_used(tx, agent_id):
            return agent_id
        tries += 1
