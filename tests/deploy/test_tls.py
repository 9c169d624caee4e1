"""The nginx of deploy/tls, run on the host in front of the published ports, as documented."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.stack import CHECKOUT, Stack, docker, run, wait_until

NAME = "project-manager-test-nginx"
CONFIGURATION = CHECKOUT / "deploy" / "tls" / "nginx-tls.conf"
AROUND_IT = "pid /tmp/nginx.pid;\nevents {}\nhttp {\n  access_log off;\n  include /etc/nginx/tls.conf;\n}\n"
KEYS = "/etc/ssl/pm.example.com"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Create a certificate for localhost and its key in one folder, under the names of the configuration."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    made = tmp_path / "fullchain.pem"
    run("openssl", *words.split(), "-keyout", str(tmp_path / "privkey.pem"), "-out", str(made))
    return made


@pytest.fixture
def nginx(stack: Stack, certificate: Path, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "nginx.conf").write_text(AROUND_IT)
    mounts = [f"{tmp_path}/nginx.conf:/etc/nginx/nginx.conf:ro", f"{CONFIGURATION}:/etc/nginx/tls.conf:ro"]
    mounts.append(f"{tmp_path}:{KEYS}:ro")
    volumes = [word for mount in mounts for word in ("--volume", mount)]
    command = ("nginx:stable", "nginx", "-g", "daemon off;")
    docker("run", "--detach", "--name", NAME, "--network", "host", *volumes, *command)
    yield
    docker("rm", "--force", NAME)


def test_everything_works_through_the_nginx_that_ends_tls(nginx: None, certificate: Path) -> None:
    def listens() -> bool:
        done = run("openssl", "s_client", "-connect", "localhost:443", stdin="", check=False)
        return done.returncode == 0

    wait_until("nginx listens", listens, 10)
    script = (sys.executable, "deploy/verify-deployment.py")
    said = run(*script, "--url", "https://localhost", "--ca-file", str(certificate), check=False)
    assert said.returncode == 0, said.stdout + said.stderr + docker("logs", NAME)
