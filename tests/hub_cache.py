"""A Hugging Face cache folder filled by hand, so that hub names load without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"


def cached_model(home: Path, name: str, folder: Path) -> None:
    """Put a model folder into the cache under a hub name, in the hub's own layout."""
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    shutil.copytree(folder, repository / "snapshots" / REVISION)


def cached_medical_corpus(home: Path, rows: Sequence[Mapping[str, Any]], work: Path) -> None:
    """Put rows into the cache as `community-datasets/swedish_medical_ner`, configuration `1177`.

    `datasets` finds an Arrow file with its info offline, not a repository in the hub's layout. Both are made by
    its parquet builder, in a process of its own, since it reads its folders from the environment when imported.
    """
    work.mkdir(parents=True, exist_ok=True)
    (work / "rows.json").write_text(json.dumps(list(rows)), encoding="utf-8")
    environment = {**os.environ, "HF_HOME": str(work / "home"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", _PREPARE, str(work)], env=environment, check=True, capture_output=True)
    info_file = next((work / "home").rglob("dataset_info.json"))
    info = json.loads(info_file.read_text(encoding="utf-8"))
    info |= {"config_name": "1177", "dataset_name": "swedish_medical_ner"}
    target = home / "datasets" / "community-datasets___swedish_medical_ner" / "1177" / "0.0.0" / REVISION
    target.mkdir(parents=True)
    (target / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    shutil.copy(next((work / "home").rglob("*-train.arrow")), target / "swedish_medical_ner-train.arrow")


_PREPARE = """
import json, sys
import datasets
from pathlib import Path

work = Path(sys.argv[1])
names = ["Disorder and Finding", "Pharmaceutical Drug", "Body Structure"]
entity = {
    "start": datasets.Value("int32"),
    "end": datasets.Value("int32"),
    "text": datasets.Value("string"),
    "type": datasets.ClassLabel(names=names),
}
features = datasets.Features(
    {"sid": datasets.Value("string"), "sentence": datasets.Value("string"), "entities": datasets.List(entity)}
)
rows = json.loads((work / "rows.json").read_text(encoding="utf-8"))
datasets.Dataset.from_list(rows, features=features).to_parquet(work / "train.parquet")
datasets.load_dataset("parquet", data_files=str(work / "train.parquet"))
"""
