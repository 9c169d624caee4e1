"""The Kubernetes example: its settings, ports, probes and users are those of the service and of its image."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from project_manager.config.settings import SETTINGS, Settings, load
from project_manager.web.probes import PROBE_WINDOW_SECONDS

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "deploy" / "kubernetes"
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
VARIANTS = ("postgresql", "sqlite")
STOP_SECONDS = 5
"""Longest time from SIGTERM to the end of a process."""
FAILOVER_SECONDS = 10
"""Time for which requests wait for a lost PostgreSQL server."""

Object = dict[str, Any]
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def objects_of(folder: Path) -> list[Object]:
    """Return the objects that a kustomization names, also those of the folders that it builds on."""
    found: list[Object] = []
    for name in kustomization(folder)["resources"]:
        path = folder / name
        found += objects_of(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    return found


def kustomization(folder: Path) -> Object:
    read: Object = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return read


def named(variant: str, kind: str) -> list[Object]:
    return [found for found in objects_of(FOLDER / variant) if found["kind"] == kind]


def settings_text(variant: str) -> str:
    """Return the settings of a variant as an env file, in which later lines replace earlier ones."""
    base = (FOLDER / "base" / "settings.env").read_text()
    (generator,) = kustomization(FOLDER / variant)["configMapGenerator"]
    return base + "".join(f"{line}\n" for line in generator["literals"])


def settings_of(variant: str, tmp_path: Path, url: str) -> Settings:
    """Return the settings of the pods of a variant, with this content of the mounted secret."""
    file = tmp_path / "settings.env"
    secret = tmp_path / "url"
    secret.write_text(url)
    file.write_text(settings_text(variant).replace("/run/secrets/project-manager/url", str(secret)))
    image = {"DEFAULT_DATABASE_PATH": "/app/data/tasks.db"}
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines() if line and not line.startswith("#"))
    loaded = load({}, image | lines)
    assert loaded.warnings == ()
    return loaded.settings


def pods_of(variant: str) -> dict[str, Object]:
    """Return the templates of pods by the kind of the object that has them."""
    kinds = ("Deployment", "StatefulSet", "Job")
    return {kind: found["spec"]["template"] for kind in kinds for found in named(variant, kind)}


def containers_of(variant: str) -> list[Object]:
    return [container for pod in pods_of(variant).values() for container in pod["spec"]["containers"]]


def server_of(variant: str) -> tuple[Object, Object]:
    """Return the template of the pods of the service, and the container with the service."""
    pods = pods_of(variant)
    pod = pods.get("Deployment") or pods["StatefulSet"]
    (container,) = (found for found in pod["spec"]["containers"] if found["name"] == "project-manager")
    return pod, container


def test_every_file_belongs_to_a_variant() -> None:
    listed = {FOLDER / "base" / "settings.env"} | {path / "kustomization.yaml" for path in FOLDER.iterdir()}
    for folder in FOLDER.iterdir():
        listed |= {folder / name for name in kustomization(folder)["resources"] if name.endswith(".yaml")}
    assert listed == {path for path in FOLDER.rglob("*") if path.is_file()}


@each_variant
def test_the_settings_exist_and_are_valid(variant: str, tmp_path: Path) -> None:
    names = {line.partition("=")[0] for line in settings_text(variant).splitlines() if line and line[0] != "#"}
    known = {setting.name for setting in SETTINGS} | {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}
    assert names - known == set()
    settings = settings_of(variant, tmp_path, "postgresql://pm@db/tasks\n")
    address = {"postgresql": "postgresql://pm@db/tasks", "sqlite": Path("/app/data/tasks.db")}
    assert settings.database_address == address[variant]
    assert settings.auto_migrate == (variant == "sqlite")
    pods = next(found["spec"]["replicas"] for kind in ("Deployment", "StatefulSet") for found in named(variant, kind))
    assert settings.expected_instances == pods


@each_variant
def test_services_lead_to_the_ports_that_the_service_listens_on(variant: str, tmp_path: Path) -> None:
    pod, container = server_of(variant)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = settings_of(variant, tmp_path, "postgresql://pm@db/tasks")
    assert ports == {"api": settings.default_port, "mcp": settings.mcp_port}
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(settings.default_port)
    assert f"EXPOSE {ports['api']} {ports['mcp']}" in DOCKERFILE
    services = named(variant, "Service")
    targets = [port["targetPort"] for service in services for port in service["spec"]["ports"]]
    assert targets == ["api", "mcp"]
    for service in services:
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


@each_variant
def test_probes_ask_addresses_of_the_service(variant: str) -> None:
    _, container = server_of(variant)
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "readiness": "/healthz",
        "liveness": "/livez",
    }
    assert {probe["port"] for probe in probes.values()} == {"api"}


def test_a_pod_stays_in_rotation_while_requests_wait_for_a_failover() -> None:
    probe = server_of("postgresql")[1]["readinessProbe"]
    assert probe["periodSeconds"] * (probe["failureThreshold"] - 1) > FAILOVER_SECONDS


@each_variant
def test_a_pod_has_the_time_to_drain_after_its_connections_have_moved(variant: str) -> None:
    pod, container = server_of(variant)
    command, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert int(pause) > PROBE_WINDOW_SECONDS
    assert pod["spec"]["terminationGracePeriodSeconds"] >= int(pause) + 2 * STOP_SECONDS


def test_an_update_and_a_drain_of_nodes_take_one_instance_at_a_time() -> None:
    (deployment,) = named("postgresql", "Deployment")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    (budget,) = named("postgresql", "PodDisruptionBudget")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}


@each_variant
def test_containers_have_the_user_of_the_image_and_no_rights(variant: str) -> None:
    assert "USER 1000:1000" in DOCKERFILE
    for pod in pods_of(variant).values():
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert not pod["spec"]["automountServiceAccountToken"]
        assert not pod["spec"]["enableServiceLinks"]
    for container in containers_of(variant):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"].keys() == {"requests", "limits"}


@each_variant
def test_containers_mount_what_the_settings_name(variant: str) -> None:
    for pod in pods_of(variant).values():
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        for found in named(variant, "StatefulSet"):
            volumes |= {claim["metadata"]["name"] for claim in found["spec"]["volumeClaimTemplates"]}
        for container in pod["spec"]["containers"]:
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            data = {"postgresql": {"/run/secrets/project-manager"}, "sqlite": {"/app/data", "/app/backups"}}
            assert mounts.keys() == data[variant] | {"/tmp"}
            assert set(mounts.values()) <= volumes
            assert container["envFrom"] == [{"configMapRef": {"name": "project-manager"}}]


def test_only_the_job_migrates_and_it_has_the_url_of_the_owner() -> None:
    keys = {
        kind: volume["secret"]["items"]
        for kind, pod in pods_of("postgresql").items()
        for volume in pod["spec"]["volumes"]
        if "secret" in volume
    }
    assert keys == {"Deployment": [{"key": "url", "path": "url"}], "Job": [{"key": "owner-url", "path": "url"}]}
    (job,) = pods_of("postgresql")["Job"]["spec"]["containers"]
    assert job["command"] == ["project-manager", "migrate"]


def test_sqlite_has_one_pod_at_a_time_with_volumes_that_no_other_pod_can_mount() -> None:
    (found,) = named("sqlite", "StatefulSet")
    assert found["spec"]["replicas"] == 1
    for claim in found["spec"]["volumeClaimTemplates"]:
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


@each_variant
def test_each_container_has_the_image_that_the_kustomization_replaces(variant: str) -> None:
    (image,) = kustomization(FOLDER / variant)["images"]
    assert {container["image"] for container in containers_of(variant)} == {image["name"]}
