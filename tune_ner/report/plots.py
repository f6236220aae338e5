"""The charts of the report for notebooks, as Altair charts."""

from __future__ import annotations

from typing import Literal

from tune_ner.errors import RunFolderError
from tune_ner.report import charts, learning_curves
from tune_ner.report.confusion_matrix import confusion_matrix_chart
from tune_ner.report.parallel_coordinates import parallel_coordinates_chart
from tune_ner.report.vega import AnyChart, Chart
from tune_ner.results.run_results import Results


class Plots:
    """Charts of a run. Each method returns an Altair chart, which a notebook shows.

    A method raises RunFolderError if the run has no data for its chart, such as completed trials.
    """

    def __init__(self, results: Results) -> None:
        self._results = results

    def leaderboard(self) -> AnyChart:
        """Validation and test span F1 of the best configurations, with 95 % intervals."""
        return self._shown("leaderboard", charts.leaderboard_chart(self._results))

    def learning_curves(self, of: Literal["score", "loss"] = "score") -> AnyChart:
        """Validation score or validation loss by epoch, for the best trials."""
        drawn = learning_curves.learning_curve_charts(self._results)
        by_name = dict(zip(("score", "loss"), drawn, strict=False))
        if of not in ("score", "loss"):
            raise ValueError(f"learning_curves({of!r}): expected 'score' or 'loss'")
        return self._shown("learning curves", by_name.get(of))

    def entity_types(self) -> AnyChart:
        """Test span F1 of each entity type, for the best configurations."""
        return self._shown("entity types", charts.entity_types_chart(self._results))

    def seen_entities(self) -> AnyChart:
        """Recall of the test entities that occur in train, and of the others."""
        return self._shown("seen entities", charts.seen_entities_chart(self._results))

    def effects(self) -> AnyChart:
        """Differences between the values of each hyperparameter, with 95 % intervals."""
        return self._shown("effects", charts.effects_chart(self._results))

    def parallel_coordinates(self) -> AnyChart:
        """Each completed trial as a line through its hyperparameters to its score; drag to select trials."""
        return self._shown("parallel coordinates", parallel_coordinates_chart(self._results))

    def confusion_matrix(self, split: Literal["validation", "test"] = "test") -> AnyChart:
        """Types of gold spans and of the predicted spans that overlap them, for the best configuration."""
        if split not in ("validation", "test"):
            raise ValueError(f"confusion_matrix({split!r}): expected 'validation' or 'test'")
        return self._shown("confusion matrix", confusion_matrix_chart(self._results, split))

    def _shown(self, name: str, chart: Chart | None) -> AnyChart:
        if chart is None:
            raise RunFolderError(f"{self._results.run_dir.location}: no trial has the data of the chart {name!r}")
        return chart.altair()
