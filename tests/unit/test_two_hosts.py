"""The example of two hosts: its keepalived and compose files agree with each other and with the service."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from project_manager.config.settings import SETTINGS

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "deploy" / "two-hosts"
PAGE = (CHECKOUT / "docs" / "several-hosts.md").read_text()
HOSTS = ("pm-1", "pm-2")
CONDITION = re.compile(r"^(\s*)@(\S+) ", re.MULTILINE)


class ComposeLoader(yaml.SafeLoader):
    """Loader that knows the tag with which a compose file replaces a list."""


def _sequence(loader: ComposeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


ComposeLoader.add_constructor("!override", _sequence)


def compose(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.load(path.read_text(), ComposeLoader)
    return read


def keepalived_of(host: str) -> str:
    """Return the configuration of one host, without the lines of the other."""
    lines = (FOLDER / "keepalived.conf").read_text().splitlines()
    conditions = [(line, CONDITION.match(line)) for line in lines]
    kept = [line for line, condition in conditions if condition is None or condition[2] == host]
    return CONDITION.sub(r"\1", "\n".join(kept))


def values(host: str, name: str) -> list[str]:
    return re.findall(rf"^\s*{name} (.+)$", keepalived_of(host), re.MULTILINE)


def block(host: str, name: str) -> list[str]:
    found = re.search(rf"{name} {{([^}}]*)}}", keepalived_of(host))
    assert found is not None
    return found[1].split()


def test_each_host_names_itself_and_the_other_one() -> None:
    (own,), (other,) = (values(host, "unicast_src_ip") for host in HOSTS)
    assert own != other
    assert [block(host, "unicast_peer") for host in HOSTS] == [[other], [own]]
    assert block(HOSTS[0], "virtual_ipaddress") == block(HOSTS[1], "virtual_ipaddress")


def test_an_unhealthy_host_has_a_lower_priority_than_the_healthy_one() -> None:
    first, second = (int(*values(host, "priority")) for host in HOSTS)
    (weight,) = {*values(HOSTS[0], "weight"), *values(HOSTS[1], "weight")}
    assert first > second
    assert first + int(weight) < second


@pytest.mark.parametrize("host", HOSTS)
def test_the_check_asks_the_published_port_of_the_load_balancer_for_its_health(host: str) -> None:
    (script,) = values(host, "script")
    assert 'http://127.0.0.1:8080/healthz"' in script
    published = compose(CHECKOUT / "compose.yaml")["services"]["lb"]["ports"]
    assert any("PUBLISH_PORT:-8080}:8080" in port for port in published)


def test_the_services_of_a_host_use_the_server_and_no_file() -> None:
    base, own = compose(CHECKOUT / "compose.yaml"), compose(FOLDER / "compose.hosts.yaml")
    assert own["services"].keys() == {"migrate", "project-manager"} <= base["services"].keys()
    names = {setting.name for setting in SETTINGS} | {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}
    for service in own["services"].values():
        assert service["environment"].keys() <= names
        assert service["environment"]["DATABASE_PATH"] == ""
        (secret,) = service["secrets"]
        assert service["environment"]["DATABASE_URL_FILE"] == f"/run/secrets/{secret}"
        assert secret in own["secrets"]
        assert set(service["networks"]) == {"backend", "database"}
        assert not any("project_data" in volume for volume in service["volumes"])
    assert base["networks"]["backend"]["internal"]
    assert not own["networks"]["database"]


def test_the_page_names_each_file_of_the_example() -> None:
    for path in FOLDER.iterdir():
        assert f"deploy/two-hosts/{path.name}" in PAGE
