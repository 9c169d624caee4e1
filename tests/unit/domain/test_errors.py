import pytest

from project_manager.domain import errors, service_errors
from project_manager.domain.errors import ProjectManagerError
from project_manager.web.errors import STATUS, status_of


def leaves(kind: type[ProjectManagerError] = ProjectManagerError) -> list[type[ProjectManagerError]]:
    below = kind.__subclasses__()
    return [kind] if not below else [leaf for child in below for leaf in leaves(child)]


ALL = [error for error in leaves() if error.__module__ in (errors.__name__, service_errors.__name__)]


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_only_an_internal_error_has_a_server_error_status(error: type[ProjectManagerError]) -> None:
    assert any(base in STATUS for base in error.__mro__)
    assert (status_of(error) == 500) is issubclass(error, service_errors.Internal)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_error_is_listed_in_the_docstring_of_the_module(error: type[ProjectManagerError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")


def test_the_kinds_have_the_statuses_of_the_contract() -> None:
    assert {kind.__name__: status for kind, status in STATUS.items()} == {
        "Malformed": 400,
        "Unauthorized": 401,
        "Forbidden": 403,
        "NotFound": 404,
        "MethodNotAllowed": 405,
        "Conflict": 409,
        "RequestTimeout": 408,
        "PreconditionFailed": 412,
        "TooLarge": 413,
        "HeadersTooLarge": 431,
        "Invalid": 422,
        "RateLimited": 429,
        "Internal": 500,
        "Unavailable": 503,
        "StorageFull": 507,
    }


def test_a_given_hint_replaces_the_default_one() -> None:
    assert errors.LockHeld("held").hint == errors.LockHeld.default_hint
    assert errors.LockHeld("held", hint="wait").hint == "wait"
