"""Prometheus metrics, exported through Ray: trials and best score of a run, speed and memory of a worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from ray.util.metrics import Gauge

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import Status, TrialRecord
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart


class RunMetrics(RunEvents):
    """`tune_ner_trials` by status and `tune_ner_best_validation_SELECTION_METRIC` of a run; for the driver.

    Args:
        run: name of the run, the tag of its metrics.
        selection_metric: the run's selection metric.
        records: the records of earlier sessions.
    """

    def __init__(self, run: str, selection_metric: SelectionMetric, records: Sequence[TrialRecord]) -> None:
        name = f"validation_{selection_metric}"
        self._trials = Gauge("tune_ner_trials", "Trials of a run by status.", ("run", "status"))
        self._best = Gauge(f"tune_ner_best_{name}", f"Best {name} of a run's trials.", ("run",))
        self._run = run
        self._counts: Counter[str] = Counter(record.status for record in records)
        self._best_score = max((record.best_score or 0.0 for record in records), default=0.0)
        self._running: set[str] = set()
        self._waiting = 0

    def on_run_start(self, start: RunStart) -> None:
        """Count the trials that are left."""
        self._waiting = start.trials - start.recorded
        self._update()

    def on_confirmation_start(self, trials: int) -> None:
        """Count the trials that are left."""
        self._waiting = trials
        self._update()

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Count a running trial; further attempts do not count."""
        if trial.trial_id not in self._running:
            self._running.add(trial.trial_id)
            self._waiting = max(0, self._waiting - 1)
        self._update()

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Update the best score."""
        self._best_score = max(self._best_score, metrics.score(trial.selection_metric))
        self._update()

    def on_trial_end(self, record: TrialRecord) -> None:
        """Count a trial that has a record."""
        self._running.discard(record.trial_id)
        self._counts[record.status] += 1
        self._update()

    def _update(self) -> None:
        counts = {**self._counts, "waiting": self._waiting, "running": len(self._running)}
        for status in ("waiting", "running", *get_args(Status)):
            self._trials.set(counts.get(status, 0), {"run": self._run, "status": status})
        self._best.set(self._best_score, {"run": self._run})


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
