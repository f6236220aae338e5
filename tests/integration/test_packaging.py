"""The wheel: built from the checkout and installed where nothing else is."""

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tune_ner
from tests.test_architecture import PACKAGE, imported

ROOT = Path(tune_ner.__file__).parents[1]
CONSTRAINTS = ("-c", str(ROOT / "constraints.txt"))
PART_OF = {"pydantic-core": "pydantic"}  # which pins it
PIP = ("pip", "install", "--quiet", "--disable-pip-version-check")


def run(*command: str, cwd: Path) -> str:
    """What a command prints; it must end well, and knows nothing of this checkout or environment."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    here = {path.relative_to(ROOT) for path in (ROOT / "tune_ner").rglob("*") if path.is_file()}
    expected = {path.as_posix() for path in here if "__pycache__" not in path.parts}
    spaces = {f"tune_ner/search_spaces/{path.name}" for path in (ROOT / "search_spaces").iterdir()}
    assert names == expected | spaces
    assert "tune_ner/py.typed" in names


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(
    "TUNE_NER_CLEAN_INSTALL" not in os.environ, reason="TUNE_NER_CLEAN_INSTALL is not set (it installs a gigabyte)"
)
def test_the_wheel_runs_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"), cwd=tmp_path)
    bin_folder = tmp_path / "venv" / "bin"
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    # first and pinned, for pip to take the build that this machine has
    torch = next(line for line in pins if line.startswith("torch=="))
    run(str(bin_folder / "python"), "-m", *PIP, *CONSTRAINTS, torch, cwd=tmp_path)
    run(str(bin_folder / "python"), "-m", *PIP, *CONSTRAINTS, str(wheel), cwd=tmp_path)

    where = run(str(bin_folder / "python"), "-c", "import tune_ner; print(tune_ner.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path / "venv"))
    run(str(bin_folder / "python"), "-c", "from tune_ner import *", cwd=tmp_path)
    told = run(
        *(str(bin_folder / "tune-ner"), "grid", "demo", "--data", "synthetic:60", "--model", "tiny:1x32"),
        *("--lr", "1e-3", "--scheme", "BIO", "--epochs", "1", "--name", "first", "--no-dashboard"),
        cwd=tmp_path,
    )
    assert "Ranked by validation span F1" in told
    assert (tmp_path / "results" / "first" / "leaderboard.csv").exists()


def test_no_module_needs_a_unix_only_module_at_import() -> None:
    unix_only = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    for path in PACKAGE.rglob("*.py"):
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        modules = {name.name for node in statements if isinstance(node, ast.Import) for name in node.names}
        modules |= {node.module for node in statements if isinstance(node, ast.ImportFrom) and node.module}
        assert not modules & unix_only, path


def test_what_the_package_imports_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {canonicalize_name(Requirement(line).name) for line in (*project["dependencies"], *extras)}
    found = {name.split(".")[0] for path in PACKAGE.rglob("*.py") for name in imported(path)}
    distributions = packages_distributions()
    for module in sorted(found - sys.stdlib_module_names - {"tune_ner"}):
        names = {canonicalize_name(name) for name in distributions.get(module, [module])}
        assert {PART_OF.get(name, name) for name in names} & declared, (
            f"{module} comes from {names}, none of which pyproject.toml declares"
        )
