"""Gauges that Ray's metrics export: a run's trials and best figure, and what a worker's trial does just now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from ray.util.metrics import Gauge

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.results.records import TrialRecord

_STATUSES = ("waiting", "running", "completed", "pruned", "early_stopped", "diverged", "failed")


class RunGauges:
    """`tune_ner_trials` by status and `tune_ner_best_validation_SELECTION_METRIC` of a run; lives in the driver.

    Args:
        run: name of the run, the gauges' tag.
        earlier: the records of an earlier start.
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
        self._best_f1 = 0.0
        for record in earlier:
            self._ended[record.status] += 1
            self._best_f1 = max(self._best_f1, record.best_score or 0.0)
        self._tell()

    def expect(self, trials: int) -> None:
        """So many trials are about to be run."""
        self._waiting += trials
        self._tell()

    def started(self, trial_id: str) -> None:
        """A worker took a trial up, perhaps once more."""
        if trial_id not in self._running:
            self._running.add(trial_id)
            self._waiting = max(0, self._waiting - 1)
        self._tell()

    def measured(self, f1: float) -> None:
        """An epoch was measured on validation."""
        self._best_f1 = max(self._best_f1, f1)
        self._tell()

    def ended(self, record: TrialRecord) -> None:
        """A trial has its record."""
        self._running.discard(record.trial_id)
        self._ended[record.status] += 1
        self._tell()

    def _tell(self) -> None:
        counts = {**self._ended, "waiting": self._waiting, "running": len(self._running)}
        for status in _STATUSES:
            self._trials.set(counts.get(status, 0), {**self._tags, "status": status})
        self._best.set(self._best_f1, self._tags)


class TrialGauges:
    """`tune_ner_tokens_per_second` and `tune_ner_memory_bytes` of the trial that a worker runs.

    Tokens are the subwords of an epoch over its seconds, its evaluation included. Memory is the most that the process
    held at once, of its GPU where it has one (tag `device`: `gpu` or `cpu`).

    Args:
        run: name of the run, the gauges' tag.
    """

    def __init__(self, run: str) -> None:
        self._tokens = Gauge("tune_ner_tokens_per_second", "Subwords trained on a second.", ("run",))
        self._memory = Gauge("tune_ner_memory_bytes", "Most memory that the trial held at once.", ("run", "device"))
        self._tags = {"run": run}
        self._since = time.perf_counter()

    def begin(self) -> None:
        """The trial, or its next epoch, begins now."""
        self._since = time.perf_counter()

    def epoch_ended(self, tokens: int) -> None:
        """An epoch of so many subwords ended just now."""
        import torch

        from tune_ner.training.profiling import peak_memory

        self._tokens.set(tokens / (time.perf_counter() - self._since), self._tags)
        device = "gpu" if torch.cuda.is_available() else "cpu"
        self._memory.set(peak_memory(), {**self._tags, "device": device})

    def end(self) -> None:
        """The trial ended; its worker waits for another."""
        self._tokens.set(0, self._tags)
