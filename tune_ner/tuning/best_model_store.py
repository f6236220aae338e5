"""Storage of the best model of a run: the weights of other trials never leave their worker.

After a trial, its worker asks whether the trial is the best so far. Only then it sends the model's files, from any node
of the cluster, to be written to the run folder. At the end of the run, the best model becomes `best/`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import TuneNerError
from tune_ner.results.best_model import BestModelDir, ModelFiles
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.selection import Candidate, winner
from tune_ner.training.model_export import InferenceConfig
from tune_ner.training.result import TrialResult
from tune_ner.tuning.events import RunEvents

if TYPE_CHECKING:
    from tune_ner.training.trial import AnyModel

Retrain = Callable[[TrialRecord], ModelFiles]
"""Function that trains the trial of a record again and returns its model."""


class BestModelStore:
    """Ranks completed trials and writes the model of the best; a Ray actor on the driver's node.

    Args:
        run: the run folder.
        candidates: the trials of earlier sessions.
    """

    def __init__(self, run: Path, candidates: Iterable[Candidate]) -> None:
        self._models = BestModelDir(run)
        self._candidates = {candidate.trial_id: candidate for candidate in candidates}
        self._problems: dict[str, str] = {}

    def is_best(self, candidate: Candidate) -> bool:
        """Add a completed trial; return whether it is the best so far."""
        self._candidates[candidate.trial_id] = candidate
        best = winner(self._candidates.values())
        return best is not None and best.trial_id == candidate.trial_id

    def keep(self, candidate: Candidate, files: ModelFiles) -> None:
        """Write a trial's model, unless another trial became the best in the meantime."""
        if not self.is_best(candidate):
            return
        try:
            self._models.keep(candidate.trial_id, files)
        except OSError as error:
            self.add_problem(candidate.trial_id, str(error.strerror or error))

    def add_problem(self, trial_id: str, problem: str) -> None:
        """Note why a trial's model could not be stored."""
        self._problems[trial_id] = problem

    def problem(self, trial_id: str) -> str:
        """Return why a trial's model could not be stored; empty if nothing failed."""
        return self._problems.get(trial_id, "")


def start_store(run_dir: RunDir, records: Iterable[TrialRecord]) -> Any:
    """Start the store of a run on this node, which has the run folder; `records` are those of earlier sessions."""
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(BestModelStore).options(num_cpus=0, scheduling_strategy=this_node)
    return actor.remote(run_dir.path.absolute(), _candidates(records))


def offer(store: Any, trial: TrialConfig, result: TrialResult, model: AnyModel) -> None:
    """Send a trial's model to the store if the trial is the best so far; called in its worker.

    An error does not affect the trial, which is measured already: at the end of the run, the best trial is retrained,
    or the error is reported.
    """
    try:
        candidate = Candidate.of_result(trial, result)
        if ray.get(store.is_best.remote(candidate)):
            ray.get(store.keep.remote(candidate, model_files(model)))
    # torch and transformers raise RuntimeError, ValueError and errors of their own
    except Exception as error:  # noqa: BLE001
        with suppress(ray.exceptions.RayError):
            ray.get(store.add_problem.remote(trial.trial_id, str(error).strip() or type(error).__name__))


def model_files(model: AnyModel, retraining_differences: tuple[str, ...] | None = None) -> ModelFiles:
    """Return the files of an exported model; for `retraining_differences` see `TrainedModel.save`."""
    with tempfile.TemporaryDirectory(prefix="tune-ner-model-") as folder:
        model.save(Path(folder), retraining_differences)
        # arrays, since the object store passes them on without a copy
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        return {file.relative_to(folder).as_posix(): np.fromfile(file, np.uint8) for file in files}


def lacks_model(run_dir: RunDir, records: Iterable[TrialRecord]) -> bool:
    """Return whether `best/` lacks the model of the best trial."""
    best = winner(_candidates(records))
    return best is not None and run_dir.models.exported != best.trial_id


def export_best(
    run_dir: RunDir, records: Sequence[TrialRecord], store: Any, retrain: Retrain, events: RunEvents
) -> None:
    """Make the best model `best/`.

    The best trial is retrained if its weights are missing: another configuration may lead after its last seed, a node
    may be lost, or an earlier session may have run without export. Errors are reported and change no record.

    Args:
        run_dir: the run folder.
        records: the records of all trials.
        store: the store; None if no trial was measured on test in this session.
        retrain: trains a trial again.
        events: receives notes.
    """
    best = winner(_candidates(records))
    models = run_dir.models
    if best is None or models.exported == best.trial_id:
        models.discard()
        return
    title = best.config.title
    try:
        if models.kept != best.trial_id:
            if problem := _problem(store, best.trial_id):
                raise OSError(problem)
            events.on_note(f"weights of the best trial {title} are missing; retraining it")
            (record,) = (record for record in records if record.trial_id == best.trial_id)
            models.keep(best.trial_id, retrain(record))
        models.publish()
        settings = InferenceConfig.read(models.best)
    except (OSError, TuneNerError, ray.exceptions.RayError) as error:
        reason = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        events.on_note(
            f"{models.best}: model of {title} not exported: {str(reason).strip()[:500]}; all records are kept. Repeat "
            f"the command with --name {run_dir.name} to export it"
        )
        return
    if settings and settings.retraining_differences:
        events.on_note(f"retraining {title} gave other metrics: {'; '.join(settings.retraining_differences)}")


def _problem(store: Any, trial_id: str) -> str:
    if store is None:
        return ""
    with suppress(ray.exceptions.RayError):  # the store may have died
        return str(ray.get(store.problem.remote(trial_id)))
    return ""


def _candidates(records: Iterable[TrialRecord]) -> list[Candidate]:
    """Return the trials that were measured on test; the scores of a search are maxima of many and too high."""
    return [Candidate.of(record) for record in records if record.phase == "final"]
