"""Errors of opening, copying and replacing a database. This module loads no SQL, because every command imports it."""

from project_manager.domain.errors import ProjectManagerError


class DatabaseOpenError(ProjectManagerError):
    """Error with one sentence on why the database is not opened. Its contents are unchanged."""


class DatabaseTemporarilyUnavailable(DatabaseOpenError):
    """Refusal because the database cannot be opened at the moment. No check has found a fault in it."""


class UsedByAnotherHost(DatabaseOpenError):
    """Refusal because another machine has the database open, or stopped without closing it."""


class BackupError(Exception):
    """Error with one sentence on why no backup was taken or why a backup is not used.

    The contents of the database are unchanged, except after `RestoreNotVerified`.
    """


class RestoreNotVerified(BackupError):
    """Error after the replacement of the database: the new file could not be verified."""


class TemporaryBackupError(BackupError):
    """Refusal because of the state of the machine, such as a full disk. The database may be intact."""


class DatabaseInUse(TemporaryBackupError):
    """Refusal because a process has the database open."""


class CheckNotPossible(TemporaryBackupError):
    """Refusal because a check of the database could not run. The state of the database is unknown."""


class OtherRelease(CheckNotPossible):
    """Refusal because the schema is of another release. Only that release can check or copy the database."""


class CopyError(BackupError):
    """Error with one sentence on why a database was not copied to another one. Neither of them has changed."""
