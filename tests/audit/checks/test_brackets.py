"""Ordinary brackets that were read as annotation, and unpaired brackets."""

import pytest

from tests.audit.corpora import make_corpus, run
from tune_ner.audit.checks.brackets import Footnotes, LiteralBrackets, UnpairedBrackets


@pytest.mark.parametrize("annotated", ["Memantin <DISORDER ( Ebixa )> ger.", "Memantin ( <DISORDER Ebixa> ) ger."])
def test_name_in_brackets_after_a_name_is_found(annotated: str) -> None:
    (finding,) = run(LiteralBrackets(), make_corpus(annotated))
    assert (finding.severity, finding.count) == ("info", 1)
    assert run(LiteralBrackets(), make_corpus(annotated, *["Ta <DRUG salva>."] * 3)) == []


@pytest.mark.parametrize(
    "annotated", ["Man får <DISORDER ( feber )> nu.", "Ta <DRUG Ebixa>.", "<DISORDER (Feber)> nu."]
)
def test_other_entities_are_not_literal_brackets(annotated: str) -> None:
    assert run(LiteralBrackets(), make_corpus(annotated)) == []


def test_unpaired_and_empty_brackets_are_found() -> None:
    marked = "Ont (<DISORDER nu>)."
    (finding,) = run(UnpairedBrackets(), make_corpus("Ont ( nu.", marked, "Ont [] nu."))
    assert (finding.severity, finding.count, finding.total) == ("warning", 2, 3)
    assert run(UnpairedBrackets(), make_corpus(marked)) == []


def test_brackets_of_a_text_without_bracket_markup_are_not_checked() -> None:
    corpus = make_corpus("a ) <DRUG salva> :-(", "Det <DRUG gel> :)")
    assert [finding for check in (UnpairedBrackets(), Footnotes()) for finding in run(check, corpus)] == []


def test_numbers_in_brackets_are_footnotes() -> None:
    corpus = make_corpus("Ta [<DRUG salva>].", "Ta det.[<DRUG 7>]", "Ta det.[<DRUG 12>]", "Ont i {<BODY magen>}.")
    (finding,) = run(Footnotes(), corpus)
    assert (finding.severity, finding.count, finding.total) == ("warning", 2, 3)
    assert finding.title == "67 % of DRUG entities are numbers, such as footnotes"
