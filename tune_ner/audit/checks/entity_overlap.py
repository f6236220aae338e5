"""Checks of how much the test split can be answered from the entities of train."""

from collections.abc import Iterator

from tune_ner.audit.baselines import TRIVIAL_F1
from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Finding, percent, ratio, span_examples
from tune_ner.data.corpus import valid_spans
from tune_ner.evaluation.seen_entities import normalize_entity, seen_entities
from tune_ner.utils.text import plural


class GazetteerScore(Check):
    """Score of a list of the train entities on the test split, as a baseline for models."""

    name = "gazetteer"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        validation, test = data.baselines["gazetteer"].values()
        if not test.support:
            return
        found, is_trivial = round(test.recall * test.support), test.f1 >= TRIVIAL_F1
        case = "ignoring case" if data.gazetteer.matcher.fold_case else "respecting case"
        suggestion = f"Compare models with this baseline: F1 {test.f1:.2f} without any training."
        if is_trivial:
            suggestion = (
                "Use a test split with other entities: `--split grouped` keeps similar sentences together, and more "
                "varied text helps more."
            )
        yield Finding(
            kind=self.name,
            severity="error" if is_trivial else "info",
            title=f"a gazetteer of the train entities reaches F1 {test.f1:.2f} on the test split",
            count=found,
            total=test.support,
            effect=(
                f"Looking up the {len(data.gazetteer.types):,} distinct entities of train ({case}) finds {found:,} of "
                f"{test.support:,} test entities ({percent(test.recall)}) with precision {test.precision:.2f}."
            ),
            suggestion=suggestion,
            values={
                "entities": len(data.gazetteer.types),
                "validation_f1": validation.f1,
                "test_f1": test.f1,
                "test_precision": test.precision,
                "test_recall": test.recall,
            },
        )


class EntityOverlap(Check):
    """Test entities that also occur in train, ignoring case and spacing."""

    name = "entity_overlap"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        train = seen_entities(data.corpus, data.split)
        entities = [(sentence, span) for sentence in data.sentences_of("test") for span in valid_spans(sentence)]
        if not entities:
            return
        unseen = [(sentence, span) for sentence, span in entities if not train.is_seen(span, sentence.text)]
        distinct = {normalize_entity(span.text_in(sentence.text)) for sentence, span in entities}
        share = ratio(len(entities) - len(unseen), len(entities))
        share_of_distinct = ratio(len(distinct & train.texts), len(distinct))
        measured = "recognition of known entities" if share >= 0.5 else "generalization"
        yield Finding(
            kind=self.name,
            severity="info",
            title=f"{percent(share)} of test entities also occur in train",
            count=len(entities) - len(unseen),
            total=len(entities),
            effect=(
                f"Counted once each, {percent(share_of_distinct)} of test entities occur in train. The overall score "
                f"mostly measures {measured}; {plural(len(unseen), 'unseen entity', 'unseen entities')} can show how "
                "a model handles new ones."
            ),
            suggestion="Report the scores of seen and unseen entities separately.",
            examples=span_examples(unseen),
            values={"share": share, "share_of_distinct": share_of_distinct, "unseen": len(unseen)},
        )
