"""Data sets of the hub: row shapes, splits, and behaviour without a network."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from tune_ner.data.corpus import BODY, DISORDER, DRUG, Sentence, Span
from tune_ner.data.formats.hub import read_hub
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

NAME = "community-datasets/swedish_medical_ner"

ENTITY = {
    "start": datasets.Value("int32"),
    "end": datasets.Value("int32"),
    "text": datasets.Value("string"),
    "type": datasets.ClassLabel(names=["Disorder and Finding", "Pharmaceutical Drug", "Body Structure"]),
}
FEATURES = datasets.Features(
    {
        "sid": datasets.Value("string"),
        "sentence": datasets.Value("string"),
        "entities": {key: datasets.List(value) for key, value in ENTITY.items()},
    }
)
ROWS: list[dict[str, Any]] = [
    {
        "sid": "1177_0",
        "sentence": "Memantin ( Ebixa ) ger { huvudet } vila .",
        "entities": {"start": [9, 23], "end": [18, 34], "text": ["Ebixa", "huvudet"], "type": [0, 2]},
    },
    {
        "sid": "1177_1",
        "sentence": "Ring 1177.",
        "entities": {"start": [999], "end": [999], "text": [""], "type": [None]},
    },
]
SENTENCES = [
    ("1177_0", "Memantin ( Ebixa ) ger { huvudet } vila .", (Span(9, 18, DISORDER), Span(23, 34, BODY))),
    ("1177_1", "Ring 1177.", ()),
]


def as_published(sentence: Sentence) -> tuple[str, str, tuple[Span, ...]]:
    return sentence.id, sentence.text, sentence.spans


def medical(rows: list[dict[str, Any]] = ROWS) -> datasets.Dataset:
    return datasets.Dataset.from_list(rows, features=FEATURES)


Publish = Callable[[dict[str, datasets.Dataset]], list[tuple[Any, ...]]]


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Return a function that puts splits on the hub and returns the list of later calls of `load_dataset`."""

    def publish_splits(splits: dict[str, datasets.Dataset]) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []

        def load_dataset(*asked: Any) -> datasets.DatasetDict:
            calls.append(asked)
            return datasets.DatasetDict(splits)

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return calls

    return publish_splits


def test_a_single_train_split_is_an_unsplit_corpus(publish: Publish) -> None:
    calls = publish({"train": medical()})
    found, notes = read_hub(NAME, "1177")
    assert calls == [(NAME, "1177")]
    assert [split_name for split_name, _ in found] == [None, None]
    assert [as_published(sentence) for _, sentence in found] == SENTENCES
    assert [sentence.source for _, sentence in found] == [f"{NAME}:train[0]", f"{NAME}:train[1]"]
    assert notes == ("read as rows of `sentence` and `entities`",)


@pytest.mark.parametrize("validation", ["validation", "dev"])
def test_published_splits_are_kept(publish: Publish, validation: str) -> None:
    publish({"test": medical(ROWS[:1]), validation: medical(ROWS[:1]), "train": medical()})
    corpus = load_corpus(f"hub:{NAME}")
    assert corpus.splits == {"train": (2, 3), "validation": (1,), "test": (0,)}
    assert corpus.entity_types == (DISORDER, BODY)


def test_sentences_without_ids_are_numbered_by_configuration_and_split(publish: Publish) -> None:
    rows = datasets.Dataset.from_list([{"text": "Astma", "spans": [{"start": 0, "end": 5, "label": "DISORDER"}]}])
    publish({"train": rows, "test": rows})
    assert [sentence.id for _, sentence in read_hub(NAME, "wiki")[0]] == ["wiki_train_0", "wiki_test_0"]
    assert [sentence.id for _, sentence in read_hub("owner/short", None)[0]] == ["short_train_0", "short_test_0"]


def test_tags_are_named_by_the_class_names_and_noted_once(publish: Publish) -> None:
    tags = datasets.ClassLabel(names=["O", "B-gene", "I-gene"])
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(tags)})
    rows = datasets.Dataset.from_list([{"tokens": ["BRCA", "1", "finns"], "ner_tags": [1, 2, 0]}], features=features)
    publish({"train": rows, "validation": rows})
    found, notes = read_hub("owner/genes", None)
    assert [(sentence.text, sentence.spans) for _, sentence in found] == [("BRCA 1 finns", (Span(0, 6, "gene"),))] * 2
    assert notes == ("read as rows of `tokens` and `ner_tags` (BIO)",)


def test_other_splits_are_ignored_with_a_note(publish: Publish) -> None:
    publish({"train": medical(), "val": medical(), "unlabelled": medical()})
    sentences, notes = read_hub(NAME, "1177")
    assert {split_name for split_name, _ in sentences} == {"train", "validation"}
    assert any("'unlabelled'" in note for note in notes)


def test_a_data_set_without_known_splits_is_refused(publish: Publish) -> None:
    publish({"extra": medical(), "unlabelled": medical()})
    with pytest.raises(DataError, match="extra, unlabelled; expected train, validation or test") as caught:
        read_hub(NAME, "1177")
    assert str(caught.value).startswith(f"{NAME}: ")


def test_an_invalid_row_is_named_with_split_and_number(publish: Publish) -> None:
    publish({"train": datasets.Dataset.from_list([{"text": "a", "spans": []}, {"text": None, "spans": []}])})
    with pytest.raises(DataError) as caught:
        read_hub(NAME, None)
    assert str(caught.value) == f"{NAME}:train[1]: `text` is NoneType, expected a string"


def test_rows_of_another_shape_are_refused_with_their_columns(publish: Publish) -> None:
    publish({"train": datasets.Dataset.from_list([{"review": "a", "stars": 1}])})
    with pytest.raises(DataError, match=r"train\[0\]: found the keys review, stars; expected a text with spans"):
        read_hub(NAME, None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ConnectionError("No route\nto the hub"), "No route"), (RuntimeError(), "RuntimeError"), (KeyError("x"), "'x'")],
)
@pytest.mark.parametrize(("config", "called"), [("1177", f"{NAME} (1177)"), (None, NAME)])
def test_an_unreachable_hub_is_reported_with_alternatives(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str, config: str | None, called: str
) -> None:
    def load_dataset(*_: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError) as caught:
        read_hub(NAME, config)
    first, rest = str(caught.value).split("\n")
    assert first == f"hub data set {called} cannot be loaded: {reason}"
    assert "`--data FILE`" in rest
    assert "`demo`" in rest
    assert caught.value.__cause__ is error


def prepare_cache(home: Path, work: Path) -> None:
    """Create the data set in the cache of `datasets`, as if it had been downloaded."""
    medical().to_parquet(str(work / "rows.parquet"))
    datasets.load_dataset("parquet", data_files=str(work / "rows.parquet"), cache_dir=str(work / "cache"))
    (arrow,) = (work / "cache").rglob("*-train.arrow")
    info = json.loads((arrow.parent / "dataset_info.json").read_text(encoding="utf-8"))
    info |= {"config_name": "1177", "dataset_name": "swedish_medical_ner"}
    folder = home / "datasets" / "community-datasets___swedish_medical_ner" / "1177" / "0.0.0" / ("a" * 40)
    folder.mkdir(parents=True)
    shutil.copy(arrow, folder / "swedish_medical_ner-train.arrow")
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")


READ_OFFLINE = f"""
import json
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError
try:
    corpus = load_corpus("hub:{NAME}:1177")
    print(json.dumps([[s.id, s.text, [[p.start, p.end, p.label] for p in s.spans]] for s in corpus.sentences]))
except DataError as error:
    print(json.dumps(str(error)))
"""


def read_offline(home: Path) -> Any:
    """Return what a new process without a network reads from the cache in `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = kept | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", READ_OFFLINE], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_cached_data_set_is_read_without_a_network(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare_cache(home, tmp_path)
    assert read_offline(home) == [
        [name, text, [[span.start, span.end, span.label] for span in spans]] for name, text, spans in SENTENCES
    ]


def test_without_network_and_cache_alternatives_are_reported(tmp_path: Path) -> None:
    message = read_offline(tmp_path)
    assert message.startswith(f"hub data set {NAME} (1177) cannot be loaded: ")
    assert "`--data FILE`" in message
    assert "`demo`" in message


def test_a_drug_keeps_its_type_through_the_class_names_of_the_hub(publish: Publish) -> None:
    row = {
        "sid": "0",
        "sentence": "[Alvedon]",
        "entities": {"start": [0], "end": [9], "text": ["Alvedon"], "type": [1]},
    }
    publish({"train": medical([row])})
    assert load_corpus(f"hub:{NAME}:lt", markup="strip").sentences[0] == Sentence(
        "0", "Alvedon", (Span(0, 7, DRUG),), f"{NAME}:train[0]"
    )
