"""The audit as a whole: on the published corpus in three states, and on corpora that are hardly any."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.corpora import BRACKETS, a_corpus, a_split, plain_corpus, plain_split, with_marks
from tune_ner.audit.audit import audit_corpus
from tune_ner.audit.findings import AuditReport, Finding
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import Split, split_corpus

PAIR = re.compile(r"[(\[{]([^()\[\]{}]+)[)\]}]")


def finding_of(report: AuditReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def half_mended(corpus: Corpus) -> Corpus:
    """Brackets and the spaces within them cut out, and nothing else."""
    return replace(corpus, sentences=tuple(map(_half_mended, corpus.sentences)))


def _half_mended(sentence: Sentence) -> Sentence:
    types = {opening: label for label, (opening, _) in BRACKETS.items()}
    text, spans, done = "", [], 0
    for match in PAIR.finditer(sentence.text):
        text += sentence.text[done : match.start()]
        start, text, done = len(text), text + match[1].strip(), match.end()
        spans.append(Span(start, len(text), types[match[0][0]]))
    return replace(sentence, text=text + sentence.text[done:], spans=tuple(spans))


def test_the_published_text_gives_the_answer_away(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner), "keep")
    report = audit_corpus(corpus, split_corpus(corpus), data_option=str(swedish_medical_ner))
    assert report.verdict.startswith(
        "audit: error: a rule without a model reaches F1 1.00 on the test part (brackets around entities); "
    )
    assert report.baselines["markup rule"]["test"].f1 == report.baselines["markup rule"]["validation"].f1 == 1.0
    merged = finding_of(report, "merged_spans")
    assert (merged.count, merged.figures["annotations_inside"]) == (43, 99.0)
    assert round(finding_of(report, "seen_forms").share, 3) == 0.756
    assert "Memantin »( Ebixa )«" in finding_of(report, "real_brackets").examples[0].text
    assert len(report.contaminated["exact"]) == 6
    assert finding_of(report, "duplicates_train_validation").figures["exact"] == 5.0
    assert report.parts["train"].per_type == {"DISORDER": 385, "DRUG": 288, "BODY": 119}


def test_the_stripped_text_has_no_error(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner), "strip")
    report = audit_corpus(corpus, split_corpus(corpus))
    assert report.worst == "warning"
    assert "markup rule" not in report.baselines
    assert not {"markup_rule", "markup_boundary"} & {finding.kind for finding in report.findings}
    assert 0.6 < report.baselines["gazetteer"]["test"].f1 < 0.9


def test_the_half_mended_text_still_marks_ends(swedish_medical_ner: Path) -> None:
    corpus = half_mended(load_corpus(str(swedish_medical_ner), "keep"))
    assert len([s for x in corpus.sentences for s in x.spans if re.match(" [.,;:!?)]", x.text[s.end :])]) == 401
    report = audit_corpus(corpus, split_corpus(corpus), near_duplicates=False)
    finding = finding_of(report, "markup_boundary")
    assert finding.severity == "warning"
    assert finding.title == "a space before punctuation marks 34 % of the entity ends"
    assert finding.figures["precision"] == 1.0
    assert finding.title in report.verdict


def test_clean_text_has_no_error_and_what_it_lacks_is_said() -> None:
    report = audit_corpus(plain_corpus(), plain_split(), word_tokenizer="punctuation")
    assert report.at_least("error") == ()
    assert set(report.baselines) == {"gazetteer"}
    assert report.data_fingerprint == plain_corpus().fingerprint
    assert report.parts["test"].entities == sum(report.parts["test"].per_type.values())
    assert {finding.kind for finding in report.at_least("warning")} <= {"size", "duplicates_train_test"}


def test_brackets_are_named_first_and_without_near_duplicates_none_are_sought() -> None:
    report = audit_corpus(with_marks(plain_corpus(), BRACKETS), plain_split(), near_duplicates=False)
    assert report.findings[0].kind == "markup_rule"
    assert set(report.contaminated) == {"exact", "normalised"}


WEIRD = Sentence(
    "w", "\ud800 (a\t[b] \u202e", (Span(0, 0, "X"), Span(5, 99, "X"), Span(3, 4, "X"), Span(2, 6, "X")), ""
)


@pytest.mark.parametrize(
    ("corpus", "split"),
    [
        (Corpus("none", (), ()), a_split(0, 0, 0)),
        (a_corpus("Ta <DRUG salva>."), a_split(1, 0, 0)),
        (a_corpus("Ta <DRUG salva>."), a_split(0, 0, 1)),
        (a_corpus(*["Ta <DRUG salva>."] * 9), a_split(3, 3, 3)),
        (a_corpus(*[""] * 9), a_split(3, 3, 3)),
        (a_corpus("Gå hem.", "<DRUG salva>", "Gå ut."), a_split(1, 1, 1)),
        (a_corpus("<DRUG salva>", "Gå hem.", "Gå ut."), a_split(1, 1, 1)),
        (a_corpus(*["(<DRUG salva>)"] * 30), a_split(10, 10, 10)),
        (a_corpus(*["<DRUG (>"] * 30), a_split(10, 10, 10)),
        (Corpus("weird", (WEIRD,) * 30, ("X", "Y")), a_split(10, 10, 10)),
        (Corpus("dashes", (Sentence("d", "-" * 5000, (Span(0, 9, "X"),)),) * 6, ("X",)), a_split(2, 2, 2)),
    ],
    ids=lambda value: value.name if isinstance(value, Corpus) else "",
)
def test_corpora_that_are_hardly_any(corpus: Corpus, split: Split) -> None:
    report = audit_corpus(corpus, split)
    json.dumps(report.as_dict(), allow_nan=False)
    assert report.verdict.startswith("audit: ")
    assert all(finding.count <= max(finding.of, 1) for finding in report.findings if finding.kind != "overlaps")
    no_entity = [split_name for split_name in ("validation", "test") if not report.parts[split_name].entities]
    titles = [finding.title for finding in report.findings if finding.kind == "size"]
    assert [f"the {split_name} part has no entity" in titles for split_name in no_entity] == [True] * len(no_entity)


def test_repeats_are_an_error() -> None:
    report = audit_corpus(a_corpus(*["Ta <DRUG salva>."] * 9), a_split(3, 3, 3))
    assert report.contaminated["exact"] == (6, 7, 8)
    assert {finding.kind for finding in report.at_least("error")} == {"gazetteer", "duplicates_train_test"}
