"""What is said of annotation in the text."""

import pytest

from tests.audit.corpora import (
    BRACKETS,
    a_corpus,
    part_of,
    plain_corpus,
    plain_split,
    same_marks,
    with_marks,
)
from tune_ner.audit.baselines import learn_gazetteer, score_on, score_parts
from tune_ner.audit.checks.boundary_markers import learn_cues
from tune_ner.audit.checks.markup_leakage import (
    boundary_figures,
    describe,
    kind_of,
    markup_findings,
    with_types_of_forms,
)
from tune_ner.audit.findings import Finding
from tune_ner.audit.marker_baseline import learn_rule
from tune_ner.data.corpus import Corpus


def findings_of(corpus: Corpus) -> list[Finding]:
    train, test = part_of(corpus, plain_split().train), part_of(corpus, plain_split().test)
    rule = learn_rule(train, corpus.entity_types)
    predict = with_types_of_forms(rule, learn_gazetteer(train, corpus.entity_types))
    return markup_findings(rule, score_parts(corpus, plain_split(), predict), test, "made.txt")


def test_plain_text_is_left_alone() -> None:
    assert findings_of(plain_corpus()) == []


def test_brackets_are_an_error_with_the_remedy_as_a_command() -> None:
    (finding,) = findings_of(with_marks(plain_corpus(), BRACKETS, inside=True))
    assert (finding.kind, finding.severity) == ("markup_rule", "error")
    assert finding.title == "a rule without a model reaches F1 1.00 on the test part (brackets around entities)"
    assert finding.count == finding.of == sum(len(s.spans) for s in part_of(plain_corpus(), plain_split().test))
    assert "`--data made.txt --markup strip`" in finding.remedy
    assert finding.figures["start_coverage"] == finding.figures["end_precision"] == 1.0
    assert len(finding.examples) == 5
    assert all(example.place.startswith("synthetic:") and "»" in example.text for example in finding.examples)


def test_marks_without_types_are_an_error_for_the_boundaries() -> None:
    (finding,) = findings_of(with_marks(plain_corpus(), same_marks("**", "**")))
    assert finding.severity == "error"
    assert "but for their types (`**` around entities)" in finding.title
    assert finding.figures["test_f1_without_types"] == 1.0
    assert "--markup strip" not in finding.remedy


def test_marks_of_one_type_only_are_an_error_for_it() -> None:
    findings = findings_of(with_marks(plain_corpus(), {"DRUG": ("[", "]")}))
    assert (findings[0].kind, findings[0].severity) == ("markup_rule", "error")
    assert "F1 1.00 on the test part's DRUG" in findings[0].title
    drugs = sum(s.label == "DRUG" for x in part_of(plain_corpus(), plain_split().test) for s in x.spans)
    assert findings[0].count == drugs
    assert all(example.text.endswith("DRUG") for example in findings[0].examples)


def test_a_space_left_before_punctuation_is_a_warning_with_its_coverage() -> None:
    corpus = with_marks(plain_corpus(), {}, moved_space=True)
    (finding,) = findings_of(corpus)
    # this text's commas stand behind entities anyway, so that their spacing tells nothing more
    spaced = sum(
        s.text[span.end : span.end + 1] == " " and s.text[span.end + 1] in ".?"
        for s in part_of(corpus, plain_split().test)
        for span in s.spans
    )
    assert (finding.kind, finding.severity, finding.count) == ("markup_boundary", "warning", spaced)
    assert finding.title.startswith("a space before punctuation marks")
    assert finding.figures["precision"] == 1.0
    assert finding.figures["coverage"] == spaced / finding.of


def test_a_mark_before_every_entity_is_an_error_even_if_it_does_not_tell_the_end() -> None:
    findings = findings_of(with_marks(plain_corpus(), same_marks("^", "")))
    assert [finding.severity for finding in findings] == ["error"]


def test_the_type_of_a_known_form_mends_marks_without_types() -> None:
    corpus = with_marks(plain_corpus(), same_marks("_", "_"))
    train, test = part_of(corpus, plain_split().train), part_of(corpus, plain_split().test)
    rule, gazetteer = learn_rule(train, corpus.entity_types), learn_gazetteer(train, corpus.entity_types)
    mended = score_on(test, with_types_of_forms(rule, gazetteer), corpus.entity_types).f1
    assert mended > score_on(test, rule.predict, corpus.entity_types).f1 + 0.1


def test_boundary_figures_count_places_and_entities() -> None:
    corpus = a_corpus(*("Ta #<DRUG salva> nu och <DRUG kräm> sedan." for _ in range(10)))
    cues = learn_cues(corpus.sentences, "start")
    more = a_corpus("Ta #<DRUG salva> nu och <DRUG kräm> #sedan.")
    figures = boundary_figures(cues, "start", more.sentences)
    assert (figures.predicted, figures.hits, figures.covered, figures.entities) == (2, 1, 1, 2)
    assert (figures.precision, figures.coverage) == (0.5, 0.5)
    nothing = boundary_figures(cues, "start", [])
    assert (nothing.precision, nothing.coverage) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("opening", "closing", "kind", "words"),
    [
        ("[", "]", "brackets", "brackets around entities"),
        ("<b>", "</b>", "tags", "`<b>` before and `</b>` after entities"),
        ("#", "", "characters", "`#` before entities"),
        ("", "§", "characters", "`§` after entities"),
        ("  ", "", "spacing", "the white space '  ' before entities"),
    ],
)
def test_cues_in_words(opening: str, closing: str, kind: str, words: str) -> None:
    corpus = a_corpus(*(f"Ta {opening}<DRUG salva{i}>{closing} varje dag nu." for i in range(20)))
    starts, ends = learn_cues(corpus.sentences, "start"), learn_cues(corpus.sentences, "end")
    assert {kind_of(cue) for cue in (*starts, *ends)} == {kind}
    assert describe(starts, ends).replace("'   '", "'  '") == words
