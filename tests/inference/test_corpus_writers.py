"""Corpora written in each format and read again."""

import json
import tempfile
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import Corpus, PredictedSpan, Sentence, Span
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import OutputError
from tune_ner.inference.corpus_writers import TargetFormat, write_corpus

FORMATS: tuple[TargetFormat, ...] = get_args(TargetFormat)
ENDINGS = {
    "conll": ".conll",
    "csv": ".csv",
    "pubtator": ".pubtator",
    "label-studio": ".json",
    "spacy": ".json",
    "brat": "",
}
WITH_ANY_SPANS: tuple[TargetFormat, ...] = ("jsonl", "doccano", "label-studio", "prodigy", "spacy", "brat", "pubtator")
WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=5)
LABELS = st.sampled_from(["PER", "Drug", "a-b"])


def ending(to: str) -> str:
    return ENDINGS.get(to, ".jsonl")


def contents(corpus: Corpus) -> list[tuple[str, tuple[Span, ...]]]:
    return [(sentence.text, sentence.spans) for sentence in corpus.sentences]


def a_corpus(*sentences: Sentence, **fields: object) -> Corpus:
    types = tuple(sorted({span.label for sentence in sentences for span in sentence.spans}))
    return Corpus("made", sentences, types, **fields)  # type: ignore[arg-type]


@st.composite
def corpora(draw: st.DrawFn, disjoint: bool) -> Corpus:
    """Draw sentences of words with entities of whole words."""
    sentences = []
    for number in range(draw(st.integers(1, 4))):
        words = ["ord", *draw(st.lists(WORDS, max_size=5))]
        starts = [len("".join(f"{word} " for word in words[:i])) for i in range(len(words))]
        spans: set[Span] = set()
        for _ in range(draw(st.integers(0, 3))):
            first = draw(st.integers(0, len(words) - 1))
            last = draw(st.integers(first, len(words) - 1))
            span = Span(starts[first], starts[last] + len(words[last]), draw(LABELS))
            if not disjoint or all(span.end < s.start or s.end < span.start for s in spans):
                spans.add(span)
        sentences.append(Sentence(f"s{number}", " ".join(words), tuple(sorted(spans))))
    sentences.append(Sentence("last", "Anna ler", (Span(0, 4, "PER"),)))
    return a_corpus(*sentences)


def read_back(corpus: Corpus, to: TargetFormat, suffix: str = "") -> Corpus:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"out{suffix or ending(to)}"
        write_corpus(corpus, target, to, "whitespace")
        return load_corpus(target)


@settings(deadline=None)
@pytest.mark.parametrize("to", WITH_ANY_SPANS)
@given(corpus=corpora(disjoint=False))
def test_offsets_and_overlaps_are_read_back(to: TargetFormat, corpus: Corpus) -> None:
    assert contents(read_back(corpus, to)) == contents(corpus)


@settings(deadline=None)
@pytest.mark.parametrize("to", ["conll", "csv"])
@given(corpus=corpora(disjoint=True))
def test_entities_of_whole_words_are_read_back_from_columns(to: TargetFormat, corpus: Corpus) -> None:
    assert contents(read_back(corpus, to)) == contents(corpus)


@settings(deadline=None)
@given(corpus=corpora(disjoint=True))
def test_entities_of_any_characters_are_read_back_from_docbin(corpus: Corpus) -> None:
    assert contents(read_back(corpus, "spacy", ".spacy")) == contents(corpus)


@given(st.text(st.sampled_from("a \n\t."), min_size=1, max_size=12), st.data())
def test_docbin_keeps_any_spacing(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    spans = (Span(start, end, "PER"),) if text[start:end].strip() == text[start:end] else ()
    corpus = a_corpus(Sentence("a", text, spans), Sentence("last", "Anna", (Span(0, 4, "PER"),)))
    assert contents(read_back(corpus, "spacy", ".spacy")) == contents(corpus)


def test_brat_has_a_file_for_each_document(tmp_path: Path) -> None:
    names = ("p/a", "../../b", "p/a", "q/a", "")
    sentences = [Sentence(str(i), "Anna", (Span(0, 4, "PER"),), group=name) for i, name in enumerate(names)]
    done = write_corpus(a_corpus(*sentences), tmp_path / "out", "brat")
    assert [file.name for file in done.files if file.suffix == ".txt"] == ["a.txt", "a_2.txt", "b.txt", "corpus.txt"]
    assert (tmp_path / "out" / "a.txt").read_text() == "Anna\nAnna\n"
    assert all(file.parent == tmp_path / "out" for file in done.files)
    assert len({sentence.group for sentence in load_corpus(tmp_path / "out").sentences}) == 4


def test_predictions_are_written_as_such(tmp_path: Path) -> None:
    spans = (PredictedSpan(0, 4, "PER", 0.91234, "Anna"), PredictedSpan(5, 8, "X", 0.5, "ler"))
    corpus = a_corpus(Sentence("n.txt:1", "Anna ler", spans, "n.txt:1", "n"), Sentence("n.txt:2", "Hej"))
    write_corpus(corpus, tmp_path / "a.json", "label-studio", is_predicted=True)
    first, second = json.loads((tmp_path / "a.json").read_text())
    assert "annotations" not in first
    assert first["predictions"][0]["score"] == 0.5
    assert first["predictions"][0]["result"][0]["score"] == 0.9123
    assert first["data"] == {"text": "Anna ler", "source": "n.txt:1"}
    assert second["predictions"] == [{"model_version": "tune_ner", "result": []}]
    write_corpus(corpus, tmp_path / "a.jsonl", "prodigy", is_predicted=True)
    row = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])
    assert "answer" not in row
    assert row["spans"][1]["score"] == 0.5


@pytest.mark.parametrize("to", FORMATS)
def test_splits_become_files_or_folders(tmp_path: Path, to: TargetFormat) -> None:
    sentences = [Sentence(name, f"{name} ler", (Span(0, 4, "PER"),)) for name in ("Anna", "Bert", "Cleo")]
    corpus = a_corpus(*sentences, splits={"train": (0,), "validation": (1,), "test": (2,)})
    done = write_corpus(corpus, tmp_path / "out", to)
    assert len(done.files) == (6 if to == "brat" else 3)
    again = load_corpus(tmp_path / "out")
    assert {name: again.sentences[rows[0]].text for name, rows in again.splits.items()} == {
        "train": "Anna ler",
        "validation": "Bert ler",
        "test": "Cleo ler",
    }


@pytest.mark.parametrize(
    ("to", "losses"),
    [
        ("conll", {"sentences whose spacing is not kept": 1, "entities widened to whole words": 1,
                   "overlapping entities left out": 1, "sentences without a word left out": 1}),
        ("brat", {"sentences without text left out": 1, "entities whose type lost its spaces": 1,
                  "sentences whose line breaks and tabs became spaces": 1}),
        ("pubtator", {"sentences whose line breaks and tabs became spaces": 1}),
        ("jsonl", {}),
    ],
)  # fmt: skip
def test_what_a_format_cannot_express_is_counted(tmp_path: Path, to: TargetFormat, losses: dict[str, int]) -> None:
    spans = (Span(0, 2, "A"), Span(5, 13, "A"), Span(9, 13, "B C"))
    corpus = a_corpus(Sentence("a", "Anna\nNew York", spans), Sentence("b", " "))
    done = write_corpus(corpus, tmp_path / f"out{ending(to)}", to, "whitespace")
    assert {what: count for what, count in done.losses.items() if count} == losses
    assert (done.sentences, done.entities) == (2, 3)


def test_nothing_is_overwritten_or_left_half_written(tmp_path: Path) -> None:
    corpus = a_corpus(Sentence("a", "Anna", (Span(0, 4, "PER"),)))
    (tmp_path / "a.jsonl").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_corpus(corpus, tmp_path / "a.jsonl", "jsonl")
    with pytest.raises(OutputError, match=r"ends in \.conll for --to conll"):
        write_corpus(corpus, tmp_path / "b.jsonl", "conll")
    for target, to in (("x/b.jsonl", "jsonl"), ("x/b", "brat")):
        with pytest.raises(OutputError):
            write_corpus(corpus, tmp_path / target, to)  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]
