"""Tracking of a run by Weights & Biases: one W&B run for each trial, all in the group of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import OutputError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.run_per_trial import RunPerTrialTracker
from tune_ner.tracking.tracker import best_values, epoch_values, finite, reason, trial_values
from tune_ner.training.result import EpochMetrics

_FAILED = 1


class WandbTracker(RunPerTrialTracker):
    """Logs a run to Weights & Biases.

    W&B's own variables hold: WANDB_PROJECT (by default `tune_ner`), WANDB_ENTITY, WANDB_MODE (`offline` writes to the
    run folder).

    Args:
        run_dir, title, note: see `Tracker`.

    Raises:
        OutputError: the client is not installed, or has no API key.
    """

    service = "Weights & Biases"
    name = "wandb"

    def __init__(self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise OutputError("--track wandb: the client is not installed; run pip install wandb") from error
        super().__init__(run_dir, title, note)
        self._client = wandb
        self._runs: dict[str, Any] = {}
        mode = os.environ.get("WANDB_MODE", "online")
        try:
            has_key = mode != "online" or wandb.login(prompt=False, verify=True)
        except Exception as error:  # an invalid key, or one of the client's network errors
            raise OutputError(f"--track wandb: cannot log in: {reason(error)}; run `wandb login`") from error
        if not has_key:
            raise OutputError(
                "--track wandb: no API key; run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline and send "
                "the run later with `wandb sync`"
            )

    def _open(self, title: str, run_id: str, config: Mapping[str, Any]) -> Any:
        return self._client.init(
            project=os.environ.get("WANDB_PROJECT", "tune_ner"),
            group=self._run_dir.name,
            job_type="results" if run_id == "results" else "trial",
            name=title,
            id=f"{self._run_dir.name}-{run_id}",
            config=dict(config),
            resume="allow",
            reinit="create_new",  # trials run at the same time
            dir=str(self._run_dir.path),
            settings=self._client.Settings(
                silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
            ),
        )

    def _start_trial(self, trial: TrialConfig) -> Any:
        if trial.trial_id not in self._runs:  # a retried trial starts again
            config = trial.model_dump(mode="json")
            self._runs[trial.trial_id] = self._open(self._title(trial), trial.trial_id, config)
        return self._runs[trial.trial_id]

    def _log_epoch(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        self._start_trial(trial).log(finite(epoch_values(metrics)), step=metrics.epoch)

    def _close_trial(self, record: TrialRecord) -> None:
        run = self._start_trial(record.config)
        del self._runs[record.trial_id]
        run.summary.update({**finite(trial_values(record)), "status": record.status, "error": record.error})
        run.finish(exit_code=_FAILED if record.status in ("failed", "diverged") else 0)

    def _send_results(self, results: Results, space: dict[str, Any], is_interrupted: bool) -> None:
        for run in self._runs.values():  # of trials that an interrupt ended
            run.finish(exit_code=_FAILED)
        self._runs.clear()
        run = self._open(f"{results.name}: results", "results", space)
        run.summary.update(finite(best_values(results)))
        run.log({"leaderboard": self._client.Table(dataframe=results.leaderboard().astype(str))})
        run.finish(exit_code=_FAILED if is_interrupted else 0)
