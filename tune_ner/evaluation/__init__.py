"""Gold against predictions, and how far the figures can be believed."""

from tune_ner.evaluation.certainty import (
    Difference,
    Interval,
    Spread,
    f1_interval,
    half_width,
    holm,
    indistinguishable,
    paired_difference,
    replicate_spread,
)
from tune_ner.evaluation.figures import Figures, TypeFigures, invalid_transitions, seqeval_figures, strict_figures
from tune_ner.evaluation.resampling import Replicates
from tune_ner.evaluation.spans import SCHEMAS, MatchCounts, SpanScores, score_spans, sentence_counts

__all__ = [
    "SCHEMAS",
    "Difference",
    "Figures",
    "Interval",
    "MatchCounts",
    "Replicates",
    "SpanScores",
    "Spread",
    "TypeFigures",
    "f1_interval",
    "half_width",
    "holm",
    "indistinguishable",
    "invalid_transitions",
    "paired_difference",
    "replicate_spread",
    "score_spans",
    "sentence_counts",
    "seqeval_figures",
    "strict_figures",
]
