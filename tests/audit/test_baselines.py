"""The gazetteer."""

from tests.audit.corpora import a_corpus, a_split, part_of, plain_corpus, plain_split
from tune_ner.audit.baselines import Gazetteer, gazetteer_finding, learn_gazetteer, score_on, score_parts
from tune_ner.data.corpus import Corpus, Span
from tune_ner.data.splits import Split


def gazetteer_of(*marked: str) -> Gazetteer:
    corpus = a_corpus(*marked)
    return learn_gazetteer(corpus.sentences, corpus.entity_types)


def test_the_longest_form_is_matched_on_words() -> None:
    gazetteer = gazetteer_of("<DISORDER ont>", "<DISORDER ont i halsen>", "<BODY halsen>", "och så vidare")
    assert gazetteer.predict("ont i halsen, ont, halsen, kontant") == (
        Span(0, 12, "DISORDER"),
        Span(14, 17, "DISORDER"),
        Span(19, 25, "BODY"),
    )


def test_a_form_at_the_end_of_a_text_may_be_the_beginning_of_a_longer_one() -> None:
    gazetteer = gazetteer_of("<DISORDER ont i halsen>", "<DISORDER ont>")
    assert gazetteer.predict("mycket ont i") == (Span(7, 10, "DISORDER"),)


def test_an_ambiguous_form_has_its_most_frequent_type() -> None:
    gazetteer = gazetteer_of("<DRUG insulin>", "<BODY insulin>", "<BODY insulin>")
    assert gazetteer.predict("insulin") == (Span(0, 7, "BODY"),)


def test_capitals_are_chosen_on_train() -> None:
    folded = gazetteer_of(*["<DRUG Alvedon> hjälper", "ta <DRUG alvedon>"] * 10)
    assert folded.predict("ALVEDON") == (Span(0, 7, "DRUG"),)
    kept = gazetteer_of(*["<DRUG Ett> hjälper ett barn och ett djur"] * 20)
    assert kept.predict("Ett ett") == (Span(0, 3, "DRUG"),)


def test_forms_that_are_mostly_plain_text_are_left_out() -> None:
    gazetteer = gazetteer_of(*["<DRUG medel> och medel eller medel, så <DRUG salva>"] * 20)
    assert gazetteer.predict("medel eller salva") == (Span(12, 17, "DRUG"),)


def test_scores_are_those_of_the_exact_match() -> None:
    corpus = a_corpus("Ta <DRUG salva>.", "Ta <DRUG salva>.", "Ta <DRUG salva> mot <DISORDER klåda>.")
    scores = score_parts(corpus, a_split(1, 1, 1), learn_gazetteer(corpus.sentences[:1], corpus.entity_types).predict)
    assert scores["validation"].f1 == 1.0
    assert (scores["test"].precision, scores["test"].recall) == (1.0, 0.5)


def finding_severity(corpus: Corpus, split: Split) -> str | None:
    gazetteer = learn_gazetteer(part_of(corpus, split.train), corpus.entity_types)
    finding = gazetteer_finding(score_parts(corpus, split, gazetteer.predict), gazetteer)
    return finding.severity if finding else None


def test_a_list_that_solves_the_test_part_is_an_error_and_otherwise_a_bar() -> None:
    solved = a_corpus(*["Ta <DRUG salva> nu."] * 20)
    assert finding_severity(solved, a_split(10, 5, 5)) == "error"
    assert finding_severity(plain_corpus(), plain_split()) == "info"


def test_a_test_part_without_entities_has_no_finding() -> None:
    corpus = a_corpus("Ta <DRUG salva>.", "Ta <DRUG salva>.", "Gå hem.")
    assert finding_severity(corpus, a_split(1, 1, 1)) is None


def test_no_train_part_predicts_nothing() -> None:
    assert score_on([], learn_gazetteer([], ()).predict, ()).f1 == 0.0
    assert learn_gazetteer([], ()).predict("text") == ()
