"""Prometheus metrics, exported through Ray: trials and best score of a run, speed and memory of a worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from ray.util.metrics import Gauge

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.results.records import TrialRecord

_STATUSES = ("waiting", "running", "completed", "pruned", "early_stopped", "diverged", "failed")


class RunMetrics:
    """`tune_ner_trials` by status and `tune_ner_best_validation_SELECTION_METRIC` of a run; for the driver.

    Args:
        run: name of the run, the tag of its metrics.
        selection_metric: the run's selection metric.
        earlier: the records of earlier sessions.
    """

    def __init__(self, run: str, selection_metric: SelectionMetric, earlier: Iterable[TrialRecord]) -> None:
        self._trials = Gauge("tune_ner_trials", "Trials of a run by status.", ("run", "status"))
        self._best = Gauge(
            f"tune_ner_best_validation_{selection_metric}",
            f"Best validation {selection_metric} of a run's trials.",
            ("run",),
        )
        self._tags = {"run": run}
        self._ended: Counter[str] = Counter()
        self._running: set[str] = set()
        self._waiting = 0
        self._best_score = 0.0
        for record in earlier:
            self._ended[record.status] += 1
            self._best_score = max(self._best_score, record.best_score or 0.0)
        self._update()

    def trials_scheduled(self, trials: int) -> None:
        """Count trials that are about to be run."""
        self._waiting += trials
        self._update()

    def trial_started(self, trial_id: str) -> None:
        """Count a trial that a worker started; further attempts do not count."""
        if trial_id not in self._running:
            self._running.add(trial_id)
            self._waiting = max(0, self._waiting - 1)
        self._update()

    def epoch_ended(self, score: float) -> None:
        """Update the best score."""
        self._best_score = max(self._best_score, score)
        self._update()

    def trial_ended(self, record: TrialRecord) -> None:
        """Count a trial that has a record."""
        self._running.discard(record.trial_id)
        self._ended[record.status] += 1
        self._update()

    def _update(self) -> None:
        counts = {**self._ended, "waiting": self._waiting, "running": len(self._running)}
        for status in _STATUSES:
            self._trials.set(counts.get(status, 0), {**self._tags, "status": status})
        self._best.set(self._best_score, self._tags)


class TrialMetrics:
    """`tune_ner_tokens_per_second` and `tune_ner_memory_bytes` of a worker's trial.

    Tokens are the subwords of an epoch; its seconds include the evaluation. Memory is the peak of the process, or of
    its GPU if it has one (tag `device`: `gpu` or `cpu`).

    Args:
        run: name of the run, the tag of its metrics.
    """

    def __init__(self, run: str) -> None:
        self._tokens = Gauge("tune_ner_tokens_per_second", "Subwords trained on per second.", ("run",))
        self._memory = Gauge("tune_ner_memory_bytes", "Peak memory of a trial.", ("run", "device"))
        self._tags = {"run": run}
        self._start = time.perf_counter()

    def epoch_started(self) -> None:
        """Start the clock of an epoch."""
        self._start = time.perf_counter()

    def epoch_ended(self, tokens: int) -> None:
        """Update speed and memory after an epoch of `tokens` subwords."""
        import torch

        from tune_ner.training.profiling import peak_memory_bytes

        self._tokens.set(tokens / (time.perf_counter() - self._start), self._tags)
        device = "gpu" if torch.cuda.is_available() else "cpu"
        self._memory.set(peak_memory_bytes(), {**self._tags, "device": device})

    def trial_ended(self) -> None:
        """Set the speed to 0 until the next trial."""
        self._tokens.set(0, self._tags)
