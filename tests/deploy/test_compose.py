from pathlib import Path

import yaml

from tests.deploy.stack import Container, Stack, docker, reach_both_ports, run, wait_until


def status_of(container: Container) -> dict[str, str]:
    """Return the kernel's limits of the application."""
    lines = container.execute("sh", "-c", "cat /proc/$(cat /proc/1/task/1/children | tr -d ' ')/status")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines.splitlines())}


def test_the_application_has_no_capability_and_cannot_get_one(stack: Stack) -> None:
    for container in (*stack.instances, stack.load_balancer):
        status = status_of(container) if container != stack.load_balancer else {}
        host = container.inspect()["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["ReadonlyRootfs"] is True
        if status:
            assert status["Uid"].split()[0] == "1000"
            assert status["NoNewPrivs"] == "1"
            assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0


def test_only_the_volume_and_tmp_can_be_written(stack: Stack) -> None:
    instance = stack.instances[0]
    for path in ("/x", "/app/x", "/app/examples/x", "/opt/venv/x"):
        assert instance.execute("sh", "-c", f"touch {path} 2>/dev/null && echo written || echo refused") == "refused"
    for path in ("/tmp/x", "/app/data/x"):
        assert instance.execute("sh", "-c", f"touch {path} && rm {path} && echo written") == "written"


def test_the_limits_of_an_instance_are_the_documented_ones(stack: Stack) -> None:
    host = stack.instances[0].inspect()["HostConfig"]
    assert host["Memory"] == 512 * 1024 * 1024
    assert host["MemoryReservation"] == 256 * 1024 * 1024
    assert host["NanoCpus"] == 2_000_000_000
    assert host["PidsLimit"] == 200
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "10m"}}


def test_nothing_but_the_load_balancer_is_published_and_that_on_loopback(stack: Stack) -> None:
    for instance in stack.instances:
        assert not any(instance.inspect()["NetworkSettings"]["Ports"].values())
    ports = stack.load_balancer.inspect()["NetworkSettings"]["Ports"]
    assert {name: [binding["HostIp"] for binding in bound] for name, bound in ports.items()} == {
        "8080/tcp": ["127.0.0.1"],
        "8081/tcp": ["127.0.0.1"],
    }


def test_the_address_of_publication_can_be_chosen(stack: Stack) -> None:
    shown = Stack(environment={"PUBLISH_ADDRESS": "192.0.2.7"}).compose("config")
    assert shown.count("host_ip: 192.0.2.7") == 2


def test_the_stack_of_one_of_several_hosts_has_no_volume_and_a_way_to_the_database(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://pm@db1,db2/tasks")
    own = Stack(["deploy/two-hosts/compose.hosts.yaml"], {"DATABASE_URL_SECRET": str(tmp_path / "url")})
    shown = yaml.safe_load(own.compose("config"))
    assert "volumes" not in shown
    assert shown["networks"]["backend"]["internal"]
    assert "internal" not in shown["networks"]["database"]
    for name in ("migrate", "project-manager"):
        assert shown["services"][name]["environment"]["DATABASE_URL_FILE"] == "/run/secrets/database_url"


def test_an_instance_reaches_only_its_network(stack: Stack) -> None:
    network = docker("network", "inspect", "project-manager_backend", "--format", "{{.Internal}}")
    assert network == "true"


def test_the_volume_has_the_name_that_the_documents_use(stack: Stack) -> None:
    assert docker("volume", "ls", "--quiet", "--filter", "name=^project_data$") == "project_data"


def test_all_three_instances_serve_both_ports(stack: Stack) -> None:
    # On a busy machine a check of an instance can time out, which takes it out of the rotation for a second or two.
    wait_until("all instances answer on both ports", lambda: reach_both_ports(3), 20)


def test_an_operator_can_verify_the_whole_stack_from_outside(stack: Stack) -> None:
    done = run("deploy/verify-deployment.sh", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    looked = run("deploy/verify-deployment.sh", "--read-only", "--json")
    assert '"holds": false' not in looked.stdout


def test_verification_names_each_failed_condition(stack: Stack) -> None:
    done = run("deploy/verify-deployment.sh", "--url", "http://127.0.0.1:9", "--timeout", "1", check=False)
    assert done.returncode == 1
    assert "FAIL  health" in done.stdout
