"""Metrics of a model on annotated texts, with and without its training texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from tune_ner.data.corpus import Corpus
from tune_ner.evaluation.span_metrics import SpanMetrics, score_spans
from tune_ner.inference.predictor import Predictor


@dataclass(frozen=True)
class CorpusMetrics:
    """Exact-span metrics of a model on a corpus.

    Attributes:
        sentences: number of sentences.
        metrics: metrics on all of them.
        training_sentences: number of those on which the model was trained or selected; None if unknown.
        new_metrics: metrics without them; None if that is all or nothing.
    """

    sentences: int
    metrics: SpanMetrics
    training_sentences: int | None
    new_metrics: SpanMetrics | None

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON-compatible values."""
        return {
            **asdict(self.metrics),
            "training_sentences": self.training_sentences,
            "without_training_sentences": self.new_metrics and asdict(self.new_metrics),
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return tables of the metrics by entity type, by their titles."""
        tables = {"Exact spans": _table(self.metrics)}
        if self.new_metrics:
            tables[f"Without the {self.training_sentences:,} sentences of training"] = _table(self.new_metrics)
        return tables


def score_corpus(predictor: Predictor, corpus: Corpus) -> CorpusMetrics:
    """Predict the entities of a corpus and compare them with its annotation."""
    sentences, hashes = corpus.sentences, predictor.training_text_hashes
    found = predictor.stream(sentence.text for sentence in sentences)
    predicted = [[span.span for span in spans] for spans in found]

    def metrics(indices: list[int]) -> SpanMetrics:
        gold = [sentences[index].spans for index in indices]
        return score_spans(gold, [predicted[index] for index in indices], predictor.entity_types)

    every = list(range(len(sentences)))
    if hashes is None:
        return CorpusMetrics(len(sentences), metrics(every), None, None)
    new = [index for index in every if sentences[index].text not in hashes]
    new_metrics = metrics(new) if 0 < len(new) < len(every) else None
    return CorpusMetrics(len(sentences), metrics(every), len(every) - len(new), new_metrics)


def _table(metrics: SpanMetrics) -> pd.DataFrame:
    rows = [(name, m.precision, m.recall, m.f1, f"{m.support:,}") for name, m in metrics.per_type.items()]
    rows.append(("all", metrics.precision, metrics.recall, metrics.f1, f"{metrics.support:,}"))
    table = pd.DataFrame(rows, columns=["type", "precision", "recall", "F1", "entities"])
    scores = ["precision", "recall", "F1"]
    table[scores] = table[scores].map("{:.3f}".format)
    mean = pd.DataFrame([{"type": "mean of the types", "F1": f"{metrics.macro_f1:.3f}"}])
    return pd.concat([table, mean])
