"""Gold against predictions."""

from tune_ner.evaluation.figures import Figures, TypeFigures, seqeval_figures

__all__ = ["Figures", "TypeFigures", "seqeval_figures"]
