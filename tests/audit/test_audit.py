"""The audit as a whole: on the published corpus in three states, and on degenerate corpora."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import tune_ner
from tests.audit.corpora import BRACKETS, corpus_of, make_corpus, make_split, plain_corpus, plain_split, with_markers
from tests.snapshot import assert_snapshot
from tune_ner.audit.audit import CHECKS, audit
from tune_ner.audit.findings import AuditReport, Finding
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import Split

PAIR = re.compile(r"[(\[{]([^()\[\]{}]+)[)\]}]")


def finding_of(report: AuditReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def without_brackets(corpus: Corpus) -> Corpus:
    """Return the corpus with brackets and the spaces inside them removed, but not the space after them."""
    return replace(corpus, sentences=tuple(map(_without_brackets, corpus.sentences)))


def _without_brackets(sentence: Sentence) -> Sentence:
    types = {opening: label for label, (opening, _) in BRACKETS.items()}
    text, spans, done = "", [], 0
    for match in PAIR.finditer(sentence.text):
        text += sentence.text[done : match.start()]
        start, text, done = len(text), text + match[1].strip(), match.end()
        spans.append(Span(start, len(text), types[match[0][0]]))
    return replace(sentence, text=text + sentence.text[done:], spans=tuple(spans))


def test_brackets_of_the_published_text_are_an_error(swedish_medical_ner: Path) -> None:
    report = audit(load_corpus(str(swedish_medical_ner), "keep"))
    assert report.findings[0].kind == "marker_baseline"
    markers = report.baselines["boundary_markers"]
    assert markers["test"].f1 == markers["validation"].f1 == 1.0
    merged = finding_of(report, "merged_spans")
    assert (merged.count, merged.values["annotations_inside"]) == (43, 99)
    assert round(finding_of(report, "entity_overlap").values["share"], 3) == 0.756
    assert "Memantin »( Ebixa )«" in finding_of(report, "literal_brackets").examples[0].text
    assert len(report.test_sentences_in_train["exact"]) == 6
    assert finding_of(report, "duplicates_train_validation").values["exact"] == 5
    assert report.splits["train"].per_type == {"DISORDER": 385, "DRUG": 288, "BODY": 119}


def test_stripped_text_has_no_error(swedish_medical_ner: Path) -> None:
    report = audit(load_corpus(str(swedish_medical_ner), "strip"))
    assert report.severity == "warning"
    assert set(report.baselines) == {"gazetteer", "crf"}
    assert not {"marker_baseline", "boundary_markers"} & {finding.kind for finding in report.findings}
    assert 0.6 < report.baselines["gazetteer"]["test"].f1 < 0.9


def test_space_left_by_removed_brackets_is_a_warning(swedish_medical_ner: Path) -> None:
    corpus = without_brackets(load_corpus(str(swedish_medical_ner), "keep"))
    assert len([s for x in corpus.sentences for s in x.spans if re.match(" [.,;:!?)]", x.text[s.end :])]) == 401
    finding = finding_of(audit(corpus, near_duplicates=False), "boundary_markers")
    assert finding.severity == "warning"
    assert finding.values["precision"] == 1.0
    assert round(finding.values["coverage"], 2) == 0.34


def test_plain_text_has_no_error() -> None:
    report = audit(plain_corpus(), plain_split(), word_tokenizer="punctuation")
    assert report.at_least("error") == ()
    assert set(report.baselines) == {"gazetteer", "crf"}
    assert report.data_fingerprint == plain_corpus().fingerprint
    assert report.splits["test"].entities == sum(report.splits["test"].per_type.values())
    assert {finding.kind for finding in report.at_least("warning")} <= {"sample_size", "duplicates_train_test"}


def test_default_split_is_the_published_or_random_one() -> None:
    assert audit(plain_corpus(), near_duplicates=False) == audit(plain_corpus(), plain_split(), near_duplicates=False)
    ends: dict[SplitName, tuple[int, int]] = {"train": (0, 300), "validation": (300, 350), "test": (350, 400)}
    splits = {name: tuple(range(first, last)) for name, (first, last) in ends.items()}
    published = replace(plain_corpus(), splits=splits)
    assert [size.sentences for size in audit(published, near_duplicates=False).splits.values()] == [300, 50, 50]


def test_public_name_is_the_function_and_not_the_package() -> None:
    assert tune_ner.audit is audit


def test_near_duplicates_are_optional() -> None:
    report = audit(with_markers(plain_corpus(), BRACKETS), plain_split(), near_duplicates=False)
    assert report.findings[0].kind == "marker_baseline"
    assert set(report.test_sentences_in_train) == {"exact", "normalized"}


def test_duplicates_are_an_error() -> None:
    report = audit(make_corpus(*["Ta <DRUG salva> ."] * 9), make_split(3, 3, 3))
    assert report.test_sentences_in_train["exact"] == (6, 7, 8)
    assert {finding.kind for finding in report.at_least("error")} == {"gazetteer", "duplicates_train_test"}


def test_every_check_has_a_unique_name_and_a_description() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.description.endswith(".") for check in CHECKS)


WEIRD = Sentence(
    "w", "\ud800 (a\t[b] \u202e", (Span(0, 0, "X"), Span(5, 99, "X"), Span(3, 4, "X"), Span(2, 6, "X")), ""
)


@pytest.mark.parametrize(
    ("corpus", "split"),
    [
        (Corpus("empty", (), ()), make_split(0, 0, 0)),
        (make_corpus("Ta <DRUG salva>."), make_split(1, 0, 0)),
        (make_corpus("Ta <DRUG salva>."), make_split(0, 0, 1)),
        (make_corpus(*["Ta <DRUG salva>."] * 9), make_split(3, 3, 3)),
        (make_corpus(*[""] * 9), make_split(3, 3, 3)),
        (make_corpus("Gå hem.", "<DRUG salva>", "Gå ut."), make_split(1, 1, 1)),
        (make_corpus("<DRUG salva>", "Gå hem.", "Gå ut."), make_split(1, 1, 1)),
        (make_corpus(*["(<DRUG salva>)"] * 30), make_split(10, 10, 10)),
        (make_corpus(*["<DRUG (>"] * 30), make_split(10, 10, 10)),
        (Corpus("weird", (WEIRD,) * 30, ("X", "Y")), make_split(10, 10, 10)),
        (Corpus("dashes", (Sentence("d", "-" * 5000, (Span(0, 9, "X"),)),) * 6, ("X",)), make_split(2, 2, 2)),
    ],
    ids=lambda value: value.name if isinstance(value, Corpus) else "",
)
def test_degenerate_corpora(corpus: Corpus, split: Split) -> None:
    report = audit(corpus, split)
    json.dumps(report.as_dict(), allow_nan=False)
    assert report.summary.startswith("audit: ")
    assert "\x1b" not in str(report)
    assert report._repr_html_().count("<details") == len(report.findings)
    assert all(f.count <= max(f.total, 1) for f in report.findings if f.kind != "overlapping_spans")
    without_entities = [name for name in ("validation", "test") if not report.splits[name].entities]
    sizes = [finding.severity for finding in report.findings if finding.kind == "sample_size"]
    assert sizes.count("error") == len(without_entities)


def test_wording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with UPDATE_SNAPSHOTS=1 to accept a new wording."""
    monkeypatch.setenv("COLUMNS", "100")
    marked = with_markers(plain_corpus(), BRACKETS, inside=True)
    marker_report = audit(marked, plain_split(), data_option="corpus.jsonl")
    annotated = [
        *["Ta <DRUG salva> mot <DISORDER klåda> på <BODY armen>."] * 3,
        "Ta <DRUG Salva> mot <DISORDER klåda> på <BODY armen>.",
        "Ta <BODY salva> eller <DRUG salva,> mot ( kl<DISORDER åda> nu.",
        "Ta Memantin <DRUG (Ebixa)> eller salva.",
        "Ont i <BODY armen och benet och armen>.",
    ]
    spans = (Span(0, 11, "DISORDER"), Span(6, 11, "BODY"), Span(9, 99, "BODY"))
    overlapping = Sentence("s22", "Ont i magen.", spans, "made.txt:22")
    faulty = corpus_of(*make_corpus(*annotated * 3).sentences, overlapping)
    faulty_report = audit(faulty, make_split(10, 5, 7), word_tokenizer="whitespace")
    assert_snapshot("audit.txt", f"{marker_report}\n\n{'=' * 100}\n\n{faulty_report}\n")
