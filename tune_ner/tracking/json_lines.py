"""A run for machines: one JSON object a line, as it happens."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, get_args

from tune_ner.audit.findings import AuditReport
from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.confidence_intervals import Interval
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tracking.display import Display
from tune_ner.tracking.search_plan import SearchPlan
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.resources import TrialResources
from tune_ner.utils.console import discard_output
from tune_ner.utils.redaction import redact

_FINDING_KEYS = ("severity", "title", "count", "total", "suggestion")


class JsonDisplay(Display, RunEvents):
    """Writes an object for everything that happens; `docs/tracking.md` has their keys.

    Each has `event` and `time` (UTC). A number that JSON does not have, such as an infinite loss, is null. Should the
    reader go away, the run goes on without.

    Args:
        stream: where to.
        run: name of the run.
    """

    def __init__(self, stream: IO[str], run: str) -> None:
        self._stream: IO[str] | None = stream
        self._run = run

    def data(self, experiment: Experiment) -> None:
        """`data`: what the corpus holds, part by part."""
        corpus = experiment.corpus
        split = next(iter(experiment.splits.values()))
        parts = {
            split_name: {"sentences": len(split[split_name]), "entities": dict(corpus.entity_counts(split[split_name]))}
            for split_name in SPLIT_NAMES
        }
        self._tell("data", corpus=corpus.name, folds=len(experiment.splits), parts=parts, notes=list(corpus.notes))

    def audit(self, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
        """`audit`, one a fold: summary and findings, and which runs used the test part before."""
        for fold, report in audits.items():
            findings = [{key: getattr(finding, key) for key in _FINDING_KEYS} for finding in report.findings]
            used = [{"run": use.run, "trials": use.trials} for use in uses]
            self._tell(
                "audit",
                fold=fold,
                summary=report.summary,
                severity=report.severity,
                findings=findings,
                test_part_used_by=used,
            )

    def plan(self, experiment: Experiment, resources: TrialResources, scheduler_config: SchedulerConfig) -> None:
        """`plan`: every trial in the order of their start."""
        trials = [{"trial": trial.trial_id, "configuration": trial.model_dump()} for trial in experiment.schedule]
        self._tell("plan", trials=trials, resources=_resources(resources), scheduler=scheduler_config.name)

    def search_plan(self, plan: SearchPlan) -> None:
        """`plan` of a search: how many trials at most, for how long, and what is confirmed."""
        self._tell(
            "plan",
            most_trials=plan.search.trials,
            seconds=plan.search.seconds,
            target_f1=plan.search.target_f1,
            sampler=plan.search.sampler,
            confirm=plan.search.confirm,
            confirm_seeds=plan.search.confirm_seeds,
            resources=_resources(plan.resources),
            scheduler=plan.scheduler_config.name,
        )

    def following(self, experiment: Experiment) -> AbstractContextManager[RunEvents]:
        """This display listens itself."""
        return nullcontext(self)

    def on_run_start(self, start: RunStart) -> None:
        """`run_started`."""
        self._tell(
            "run_started",
            run=self._run,
            trials=start.trials,
            earlier=start.recorded,
            resources=_resources(start.resources),
            dashboard=start.dashboard or None,
        )

    def on_note(self, message: str) -> None:
        """`note`."""
        self._tell("note", message=redact(message))

    def on_confirmation_start(self, trials: int) -> None:
        """`confirming`."""
        self._tell("confirming", trials=trials)

    def on_trial_start(self, trial: TrialConfig) -> None:
        """`trial_started`."""
        self._tell("trial_started", trial=trial.trial_id, configuration=trial.model_dump())

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """`epoch_ended`: seqeval's figures on validation."""
        self._tell(
            "epoch_ended",
            trial=trial.trial_id,
            epochs=trial.epochs,
            **asdict(metrics),
        )

    def on_trial_end(self, record: TrialRecord) -> None:
        """`trial_ended`: F1 of exact spans where the trial finished, seqeval's best epoch where it was searched."""
        metrics = record.result.metrics if record.result else {}
        self._tell(
            "trial_ended",
            trial=record.trial_id,
            status=record.status,
            phase=record.phase,
            configuration=record.config.model_dump(),
            epochs_run=len(record.curve),
            best_epoch=record.result.best_epoch if record.result else None,
            **{f"best_validation_{record.config.selection_metric}": record.best_score},
            **{
                f"{split_name}_{metric}": of_split.score(metric)
                for split_name, of_split in metrics.items()
                for metric in get_args(SelectionMetric)
            },
            seconds=record.seconds,
            error=record.error,
        )

    def ended(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """`run_ended`: the best configuration with its figures and intervals."""
        self._tell(
            "run_ended",
            run=self._run,
            folder=str(results.run_dir.path),
            page=str(page) if isinstance(page, Path) else None,
            trials=trials,
            statuses=dict(Counter(record.status for record in results.records)),
            best=_best(results.entries),
            exit_code=exit_code,
        )

    def _tell(self, event: str, **content: object) -> None:
        if self._stream is None:
            return
        told = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **content}
        try:
            self._stream.write(json.dumps(_finite(told), allow_nan=False) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            discard_output(self._stream)
            self._stream = None


def _best(leaderboard_entries: Sequence[LeaderboardEntry]) -> dict[str, object] | None:
    if not leaderboard_entries:
        return None
    best, *others = leaderboard_entries
    return {
        "configuration": best.ranked.configuration.model_dump(exclude={"seed", "fold"}),
        "trials": [record.trial_id for record in best.records],
        "validation_span_f1": best.validation.estimate,
        "validation_interval": _ends(best.validation),
        "test_span_f1": best.test.estimate,
        "test_interval": _ends(best.test),
        "others": len(others),
        "others_like_best": sum(1 for entry in others if entry.tied),
    }


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _resources(resources: TrialResources) -> dict[str, float]:
    return {"cpus": resources.cpus, "gpus": resources.gpus, "concurrent": resources.concurrent}


def _finite(value: Any) -> Any:
    """Plain data whose numbers JSON has: others become None."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
