"""The arrows of the house: each folder imports only from those before it on the road."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tune_ner

PACKAGE = Path(tune_ner.__file__).parent
ROAD = [
    *("errors", "masking", "streams", "data", "tagging", "evaluation", "audit", "training", "runs", "predict"),
    *("tuning", "reporting", "commands", "audit_command", "report_command", "predict_command"),
    *("grid", "search", "submit"),
]
WITHOUT = {
    "data": ["torch", "transformers", "tokenizers", "ray"],
    "tagging": ["torch", "transformers", "ray"],
    "evaluation": ["torch", "transformers", "ray"],
    "audit": ["torch", "ray"],
    "training": ["ray"],
    "runs": ["torch", "ray"],
    "reporting": ["torch", "ray"],
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] in stages())


def stages() -> set[str]:
    return {*ROAD, *(f"{stage}.py" for stage in ROAD)}


def stage_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import hides where an arrow goes"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_arrow_runs_upward(path: Path) -> None:
    place = ROAD.index(stage_of(path))
    targets = {name.split(".")[1] for name in imported(path) if name.startswith("tune_ner.")}
    later = {target for target in targets if target in ROAD and ROAD.index(target) > place}
    assert not later


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_tuning_imports_ray(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path)}
    assert "ray" not in names or stage_of(path) == "tuning"


def test_every_module_stands_on_the_road() -> None:
    found = {stage_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert found == set(ROAD)


@pytest.mark.parametrize("stage", WITHOUT)
def test_a_stage_loads_without_what_it_must_not_know(stage: str) -> None:
    check = f"import sys, tune_ner.{stage}; print(*[m for m in {WITHOUT[stage]!r} if m in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == []


def test_every_public_name_can_be_imported() -> None:
    for name in tune_ner.__all__:
        assert getattr(tune_ner, name) is not None
