"""The gazetteer and the scores of baselines."""

from tests.audit.corpora import (
    make_corpus,
    make_split,
    plain_corpus,
    plain_split,
    same_markers,
    sentences_at,
    with_markers,
)
from tune_ner.audit.baselines import Gazetteer, learn_gazetteer, predict_known_types
from tune_ner.audit.check import AuditInput
from tune_ner.audit.marker_baseline import learn_marker_baseline
from tune_ner.data.corpus import Span
from tune_ner.evaluation.span_metrics import exact_f1


def gazetteer_of(*annotated: str) -> Gazetteer:
    corpus = make_corpus(*annotated)
    return learn_gazetteer(corpus.sentences)


def test_longest_entity_is_matched_on_word_boundaries() -> None:
    gazetteer = gazetteer_of("<DISORDER ont>", "<DISORDER ont i halsen>", "<BODY halsen>", "och så vidare")
    assert gazetteer.predict("ont i halsen, ont, halsen, kontant") == (
        Span(0, 12, "DISORDER"),
        Span(14, 17, "DISORDER"),
        Span(19, 25, "BODY"),
    )


def test_entity_at_the_end_may_be_the_start_of_a_longer_one() -> None:
    gazetteer = gazetteer_of("<DISORDER ont i halsen>", "<DISORDER ont>")
    assert gazetteer.predict("mycket ont i") == (Span(7, 10, "DISORDER"),)


def test_ambiguous_entity_gets_its_most_frequent_type() -> None:
    gazetteer = gazetteer_of("<DRUG insulin>", "<BODY insulin>", "<BODY insulin>")
    assert gazetteer.predict("insulin") == (Span(0, 7, "BODY"),)


def test_case_sensitivity_is_chosen_on_train() -> None:
    folded = gazetteer_of(*["<DRUG Alvedon> hjälper", "ta <DRUG alvedon>"] * 10)
    assert folded.predict("ALVEDON") == (Span(0, 7, "DRUG"),)
    kept = gazetteer_of(*["<DRUG Ett> hjälper ett barn och ett djur"] * 20)
    assert kept.predict("Ett ett") == (Span(0, 3, "DRUG"),)


def test_mostly_unlabelled_words_are_excluded() -> None:
    gazetteer = gazetteer_of(*["<DRUG medel> och medel eller medel, så <DRUG salva>"] * 20)
    assert gazetteer.predict("medel eller salva") == (Span(12, 17, "DRUG"),)


def test_baselines_are_scored_by_exact_match() -> None:
    corpus = make_corpus("Ta <DRUG salva>.", "Ta <DRUG salva>.", "Ta <DRUG salva> mot <DISORDER klåda>.")
    data = AuditInput(corpus, make_split(1, 1, 1))
    scores = data.baselines["gazetteer"]
    assert scores["validation"].f1 == 1.0
    assert (scores["test"].precision, scores["test"].recall) == (1.0, 0.5)
    assert data.best_baseline_counts() == ((2, 1, 0, 1),)


def test_empty_train_predicts_nothing() -> None:
    assert learn_gazetteer([]).predict("text") == ()


def test_known_entities_improve_the_types_of_ambiguous_markers() -> None:
    corpus = with_markers(plain_corpus(), same_markers("_", "_"))
    train, test = sentences_at(corpus, plain_split().train), sentences_at(corpus, plain_split().test)
    markers = learn_marker_baseline(train)
    predict = predict_known_types(markers, learn_gazetteer(train))
    gold = [sentence.spans for sentence in test]
    by_markers = exact_f1(gold, [markers.predict(sentence.text) for sentence in test])
    assert exact_f1(gold, [tuple(predict(sentence.text)) for sentence in test]) > by_markers + 0.1
