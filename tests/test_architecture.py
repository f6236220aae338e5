"""Import rules of the package: each folder imports only from those before it in LAYERS."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tune_ner

PACKAGE = Path(tune_ner.__file__).parent
LAYERS = [
    *("errors", "utils", "data", "tagging", "evaluation", "audit", "config", "training", "inference", "results"),
    *("tuning", "report", "tracking", "cluster", "api", "cli", "grid", "search"),
]
USE_RAY = ("tuning", "cluster")
# in this order, none of the layers imports these libraries, not even through those before it
WITHOUT = {
    "data": ["torch", "transformers", "tokenizers", "ray"],
    "tagging": ["torch", "transformers", "ray"],
    "evaluation": ["torch", "transformers", "ray"],
    "audit": ["torch", "ray"],
    "config": ["torch", "ray"],
    "results": ["torch", "ray"],
    "tracking": ["torch", "ray"],
    "report": ["torch", "ray"],
    "training": ["ray"],
    "inference": ["ray"],
}
IMPORT_ALL = """
import importlib, json, pkgutil, sys
found = {}
for layer, names in json.loads(sys.argv[1]).items():
    package = importlib.import_module(f"tune_ner.{layer}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    found[layer] = [name for name in names if name in sys.modules]
print(json.dumps(found))
"""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if layer_of(path) in LAYERS)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports are not used"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_from_lower_layers(path: Path) -> None:
    place = LAYERS.index(layer_of(path))
    targets = {name.split(".")[1] for name in imported(path) if name.startswith("tune_ner.")}
    later = {target for target in targets if target in LAYERS and LAYERS.index(target) > place}
    assert not later


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_tuning_and_cluster_import_ray(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path)}
    assert "ray" not in names or layer_of(path) in USE_RAY


def test_every_module_belongs_to_a_layer() -> None:
    found = {layer_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert found == set(LAYERS)


@pytest.mark.slow
def test_layers_import_without_heavy_libraries() -> None:
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(WITHOUT)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert json.loads(outcome.stdout) == {layer: [] for layer in WITHOUT}


def test_every_public_name_can_be_imported() -> None:
    for name in tune_ner.__all__:
        assert getattr(tune_ner, name) is not None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_module_or_name_is_imported(path: Path) -> None:
    private = [name for name in imported(path) for part in name.split(".") if part.startswith("_") and part[1] != "_"]
    # titles of Ray's workers can be changed by Ray alone
    expected = ["ray._raylet", "ray._raylet.setproctitle"] if path.name == "trainable.py" else []
    assert sorted(private) == expected


def test_no_private_attribute_of_another_object_is_read() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) not in ("self", "cls")
    ]
    assert found == []
