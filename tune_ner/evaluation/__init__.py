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
from tune_ner.evaluation.spans import (
    ERROR_KINDS,
    SCHEMAS,
    ErrorKind,
    MatchCounts,
    SpanError,
    SpanScores,
    score_spans,
    sentence_counts,
    span_errors,
)

__all__ = [
    "ERROR_KINDS",
    "SCHEMAS",
    "Difference",
    "ErrorKind",
    "Figures",
    "Interval",
    "MatchCounts",
    "Replicates",
    "SpanError",
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
    "span_errors",
    "strict_figures",
]
