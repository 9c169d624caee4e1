import ast
import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project_manager import __version__
from tests.architecture.tree import CHECKOUT, files, name_of, nodes

SETUP = configparser.ConfigParser()
SETUP.read(CHECKOUT / "setup.cfg")

IMPORTED_AS = {"prometheus-client": "prometheus_client", "python-json-logger": "pythonjsonlogger", "pyyaml": "yaml"}
PINNED = [*files("requirements/*.txt"), CHECKOUT / "tests" / "conformance" / "frameworks.txt"]
JAVASCRIPT = "scripts/javascript"
MIGRATIONS = ("baseline", "versions")
RUN_BY_UVICORN = {"httptools", "uvloop", "websockets"}
POSTGRESQL = "project_manager/store/postgres/"
IMPORT_WITHOUT_DRIVER = """
import importlib, sys
sys.modules["psycopg"] = None  # an import of it fails, as if it were not installed
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def names(requirements: str) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements.splitlines())
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


def imported(*patterns: str) -> set[str]:
    modules = set()
    for path in files(*patterns):
        for node in nodes(path):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    return modules - set(sys.stdlib_module_names) - {"project_manager", "tests"}


def test_the_wheel_holds_every_package_and_the_migrations() -> None:
    folders = {path.parent for path in files("project_manager/*.py")}
    packages = {name_of(folder).replace("/", ".") for folder in folders}
    migrations = {"project_manager._migrations", *(f"project_manager._migrations.{name}" for name in MIGRATIONS)}
    assert set(SETUP["options"]["packages"].split()) == packages | migrations


def test_the_wheel_holds_every_file_that_is_not_code() -> None:
    others = {name_of(path) for path in files("project_manager") if path.suffix != ".py"}
    static = {name for name in others if name.startswith("project_manager/web/static/")}
    assert others == static | {"project_manager/py.typed"}
    assert SETUP["options.package_data"]["project_manager"] == "py.typed"
    assert SETUP["options.package_data"]["project_manager.web"] == "static/**"
    assert SETUP["options.package_data"]["project_manager._migrations"] == "script.py.mako"
    assert SETUP["options.package_data"]["project_manager._migrations.baseline"] == "*.sql"
    besides = {name_of(path) for path in files("migrations") if path.suffix != ".py"}
    baseline = {f"migrations/baseline/{database}.sql" for database in ("postgresql", "sqlite")}
    assert besides == {"migrations/script.py.mako", *baseline}


def test_the_licence_names_the_licences_of_vendored_packages_and_has_their_texts() -> None:
    vendor = CHECKOUT / "project_manager" / "web" / "static" / "vendor"
    packages = json.loads((vendor / "vendored.json").read_text())["packages"]
    expression = set(SETUP["metadata"]["license_expression"].split(" AND "))
    assert expression == {"MIT"} | {package["license"] for package in packages.values()}
    texts = {path.name for pattern in SETUP["metadata"]["license_files"].split() for path in CHECKOUT.glob(pattern)}
    assert texts == {"LICENSE"} | {f"{name}.LICENSE.txt" for name in packages}
    assert expression == set(
        re.findall(r'image.licenses="([^"]+)"', (CHECKOUT / "Dockerfile").read_text())[0].split(" AND ")
    )


def test_the_distribution_has_its_own_name_and_the_pages_use_it() -> None:
    name = SETUP["metadata"]["name"]
    assert name == "project-manager-queue"
    for page in ("README.md", "docs/package.md"):
        assert name in (CHECKOUT / page).read_text()


def test_the_page_of_the_package_index_has_no_relative_links() -> None:
    page = (CHECKOUT / SETUP["metadata"]["long_description"].removeprefix("file: ")).read_text()
    assert [link for link in re.findall(r"\]\(([^)]+)\)", page) if not link.startswith("https://")] == []


def test_every_supported_python_is_named_and_the_image_has_one_of_them() -> None:
    named = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])
    assert named == [f"3.{minor}" for minor in range(11, 11 + len(named))]
    assert SETUP["options"]["python_requires"] == f">={named[0]}"
    [image] = re.findall(r"^ARG PYTHON_IMAGE=python:([\d.]+)", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    assert image in named


def test_imports_of_the_package_are_its_requirements() -> None:
    extra = SETUP["options.extras_require"]["postgresql"]
    requirements = names(SETUP["options"]["install_requires"]) | names(extra)
    required = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in requirements}
    assert imported("project_manager/*.py", "migrations/*.py") | RUN_BY_UVICORN == required


@pytest.mark.slow
def test_without_the_driver_of_postgresql_every_module_but_those_of_postgresql_can_be_imported() -> None:
    paths = [name_of(path) for path in files("project_manager/*.py")]
    others = [path for path in paths if not path.startswith(POSTGRESQL) and not path.endswith("__main__.py")]
    modules = [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in others]
    command = [sys.executable, "-c", IMPORT_WITHOUT_DRIVER, *modules]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_imports_of_the_tests_are_requirements_of_the_tests() -> None:
    extras = SETUP["options.extras_require"]
    requirements = "\n".join([SETUP["options"]["install_requires"], *extras.values()])
    known = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names(requirements)}
    assert imported("tests/*.py") <= known


@pytest.mark.parametrize("file", PINNED, ids=name_of)
def test_a_pin_is_one_exact_version_with_hashes_and_without_a_source(file: Path) -> None:
    comment, *lines = file.read_text().splitlines()
    assert comment.startswith("# ")
    pins = "\n".join(lines).replace(" \\\n    --hash", " --hash").splitlines()
    assert pins
    for pin in pins:
        assert re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+", pin), pin
    assert len({pin.partition("==")[0] for pin in pins}) == len(pins)


def test_packages_of_the_dashboard_checks_are_locked_with_hashes_and_without_a_source() -> None:
    declared = json.loads((CHECKOUT / JAVASCRIPT / "package.json").read_text())
    assert declared["private"]
    wanted = declared["devDependencies"] | declared["optionalDependencies"]
    assert {name: version for name, version in wanted.items() if not re.fullmatch(r"[\d.]+", version)} == {}
    locked = json.loads((CHECKOUT / JAVASCRIPT / "package-lock.json").read_text())["packages"]
    packages = {path: entry for path, entry in locked.items() if path}
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert [path for path, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
    assert [path for path, entry in packages.items() if "resolved" in entry] == []


def test_types_of_vendored_libraries_are_of_the_vendored_versions() -> None:
    vendor = CHECKOUT / "project_manager" / "web" / "static" / "vendor"
    vendored = json.loads((vendor / "vendored.json").read_text())["packages"]
    wanted = json.loads((CHECKOUT / JAVASCRIPT / "package.json").read_text())["devDependencies"]
    declarations = {path.name.split(".")[0] for path in files(f"{JAVASCRIPT}/types/vendor/*.d.ts")}
    assert declarations == {path.stem for path in vendor.glob("*.js")}
    typed = vendored.keys() & wanted.keys()
    assert typed == {"htm", "markdown-it", "preact"}
    assert {name: wanted[name] for name in typed} == {name: vendored[name]["version"] for name in typed}


def test_every_requirement_is_pinned_and_the_tests_run_on_the_shipped_versions() -> None:
    image, dev = (
        set(re.findall(r"^[a-z0-9-]+==[^ ]+", (CHECKOUT / "requirements" / file).read_text(), re.MULTILINE))
        for file in ("image.txt", "dev.txt")
    )
    extras = SETUP["options.extras_require"]
    assert names(SETUP["options"]["install_requires"]) | names(extras["postgresql"]) <= names("\n".join(image))
    assert names(extras["test"]) | names(extras["dev"]) <= names("\n".join(dev))
    assert image <= dev


def test_the_changelog_has_a_section_for_this_version() -> None:
    headings = re.findall(r"^## \[?([^\]\s]+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__


def test_migrations_are_numbered_in_one_line() -> None:
    versions = [path for path in files("migrations/versions/*.py") if path.name != "__init__.py"]
    numbers = sorted(path.name[:4] for path in versions)
    first = 18
    assert numbers == [f"{number:04d}" for number in range(first, first + len(versions))]
    assert versions != []


@pytest.mark.parametrize(
    "path", files(":(glob)scripts/*", f"{JAVASCRIPT}/check", f"{JAVASCRIPT}/setup", ".ci/run"), ids=name_of
)
def test_a_script_is_executable_and_has_a_description(path: Path) -> None:
    first, second = path.read_text().splitlines()[:2]
    assert path.stat().st_mode & 0o111
    assert first.startswith("#!/usr/bin/env ")
    assert second.startswith(("# ", '"""'))


@pytest.mark.parametrize("path", files("deploy/systemd/*.service"), ids=name_of)
def test_a_system_call_that_a_unit_forbids_fails_and_ends_no_process(path: Path) -> None:
    """Run a program that changes the owner of files. Where chown is refused, it continues."""
    settings = path.read_text().splitlines()
    assert "SystemCallFilter=~@privileged @resources" in settings
    assert "SystemCallErrorNumber=EPERM" in settings
