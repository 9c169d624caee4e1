import pytest

from project_manager.domain.names import folded, nearest

PRESENT = [
    "Website",
    "Sprint 41",
    "Plan A",
    "Backend EU",
    "Release 1.2",
    "Kundenportal für Händler",
    "import",
    "Docs",
    "Inbox",
]


@pytest.mark.parametrize("name", ["website", " Website ", "WEBSITE", "weBSite"])
def test_case_and_blanks_around_make_no_other_name(name: str) -> None:
    assert folded(name) == folded("Website")


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("Websit", "Website"),
        ("Webiste", "Website"),
        ("web-site", "Website"),
        ("Websites", "Website"),
        ("Kundenportal für Handler", "Kundenportal für Händler"),
        ("sprint41", "Sprint 41"),
        ("Inbux", "Inbox"),
        ("Inobx", "Inbox"),
        ("Inbo", "Inbox"),
        ("Inboxx", "Inbox"),
    ],
)
def test_a_slip_is_known_by_its_letters(slip: str, meant: str) -> None:
    assert nearest(slip, PRESENT) == meant


@pytest.mark.parametrize(
    "name",
    [
        "Sprint 42",
        "Plan B",
        "Backend US",
        "Release 1.3",
        "export",
        "Website 2",
        "Webmail",
        "Website API",
        "Dogs",
        "Index",
    ],
)
def test_names_that_count_or_tell_apart_on_purpose_are_no_slips(name: str) -> None:
    assert nearest(name, PRESENT) is None


def test_the_nearest_of_several_is_named() -> None:
    assert nearest("Websitee", ["Websites", "Website"]) == "Website"


def test_without_others_nothing_is_near() -> None:
    assert nearest("Website", []) is None
