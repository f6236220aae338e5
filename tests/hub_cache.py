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

from tune_ner.data.corpus import MEDICAL_TYPES, Sentence
from tune_ner.data.markup import published_spans
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training.encoders import Encoder, load_model, load_tokenizer

NOTEBOOK_MODELS = ("KB/bert-base-swedish-cased", "google-bert/bert-base-multilingual-cased")
REVISION = "0123456789abcdef0123456789abcdef01234567"


_BRACKETS = {"DISORDER": ("(", ")"), "DRUG": ("[", "]"), "BODY": ("{", "}")}


def notebook_cache(folder: Path) -> Path:
    """A cache with the notebook's data set and both of its models, all of them small, made in an empty folder."""
    home = folder / "home"
    rows: list[dict[str, Any]] = []
    for sentence in synthetic_corpus(120).sentences:
        text = in_brackets(sentence)
        entities = [
            {"start": s.start, "end": s.end, "text": s.text_in(text)[1:-1], "type": MEDICAL_TYPES.index(s.label)}
            for s in published_spans(text)
        ]
        rows.append({"sid": sentence.id, "sentence": text, "entities": entities})
    cached_medical_corpus(home, rows, folder / "work")
    a_model_folder(folder / "model", [row["sentence"] for row in rows])
    for name in NOTEBOOK_MODELS:
        cached_model(home, name, folder / "model")
    return home


def a_model_folder(folder: Path, texts: Sequence[str]) -> None:
    """Make the folder of a small encoder whose vocabulary is that of the texts."""
    tokenizer = load_tokenizer(Encoder("tiny:1x32", "tiny", "1x32", "", ""), texts)
    model = load_model(Encoder("tiny:1x32", "tiny", "1x32", "", ""), ["O"], tokenizer, seed=0)
    model.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def in_brackets(sentence: Sentence) -> str:
    """The sentence's text with the corpus's brackets around its spans."""
    text, position = "", 0
    for span in sentence.spans:
        opening, closing = _BRACKETS[span.label]
        text += f"{sentence.text[position : span.start]}{opening} {span.text_in(sentence.text)} {closing}"
        position = span.end
    return text + sentence.text[position:]


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
    command = [sys.executable, "-X", "faulthandler", "-c", _PREPARE, str(work)]
    outcome = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert outcome.returncode == 0, f"{outcome.returncode}: {outcome.stderr}"
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
