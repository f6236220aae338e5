"""Who keeps the weights of the trial that leads a run: of all others the weights never leave their worker.

A trial that ends asks whether it leads the ranking now; only then are its files sent, from whichever node it ran on,
and written beside the records. At the end of the run the winner's become `best/`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_ner.errors import TuneNerError
from tune_ner.results.best_model import BestModelDir, ModelFiles
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.selection import Candidate, winner
from tune_ner.training.model_settings import ModelSettings
from tune_ner.tuning.events import RunEvents

if TYPE_CHECKING:
    from tune_ner.training.model_export import TrainedModel

TrainAgain = Callable[[TrialRecord], ModelFiles]


class BestModelStore:
    """Knows the ranking so far, and writes the model of the trial that leads it; a Ray actor on the driver's node.

    Args:
        run: the run folder.
        candidates: the trials of an earlier start.
    """

    def __init__(self, run: Path, candidates: Iterable[Candidate]) -> None:
        self._models = BestModelDir(run)
        self._candidates = {candidate.trial_id: candidate for candidate in candidates}
        self._problems: dict[str, str] = {}

    def leads(self, candidate: Candidate) -> bool:
        """Whether a trial that ended would be the winner if the run ended now."""
        self._candidates[candidate.trial_id] = candidate
        leader = winner(self._candidates.values())
        return leader is not None and leader.trial_id == candidate.trial_id

    def keep(self, candidate: Candidate, files: ModelFiles) -> None:
        """Write a trial's model, unless another took the lead meanwhile."""
        if not self.leads(candidate):
            return
        try:
            self._models.keep(candidate.trial_id, files)
        except OSError as error:
            self.failed(candidate.trial_id, str(error.strerror or error))

    def failed(self, trial_id: str, problem: str) -> None:
        """A trial's model could not be brought here."""
        self._problems[trial_id] = problem

    def problem(self, trial_id: str) -> str:
        """Why a trial's model is not here; empty where nothing went wrong."""
        return self._problems.get(trial_id, "")


def start_keeper(folder: RunDir) -> Any:
    """A keeper for a run, on this node, since it has the run folder."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(BestModelStore).options(num_cpus=0, scheduling_strategy=here)
    return actor.remote(folder.path.absolute(), _candidates(folder.records()))


def offer(keeper: Any, record: TrialRecord, model: TrainedModel) -> None:
    """Hand a trial's model to the keeper if the trial leads; called in its worker.

    Whatever comes between costs the model and not the trial, which is measured: at the end, the winner is trained once
    more, or the reason told.
    """
    try:
        candidate = Candidate.of(record)
        if ray.get(keeper.leads.remote(candidate)):
            ray.get(keeper.keep.remote(candidate, model_files(model)))
    # torch and transformers raise RuntimeError, ValueError and their own; beyond here it would fail the trial
    except Exception as error:  # noqa: BLE001
        with suppress(ray.exceptions.RayError):
            ray.get(keeper.failed.remote(record.trial_id, str(error).strip() or type(error).__name__))


def model_files(model: TrainedModel, trained_again: tuple[str, ...] | None = None) -> ModelFiles:
    """The files of a model folder, as they are sent; see `TrainedModel.save`."""
    with tempfile.TemporaryDirectory(prefix="tune-ner-model-") as folder:
        model.save(Path(folder), trained_again)
        # arrays, since the object store hands them on without a copy
        return {file.name: np.fromfile(file, np.uint8) for file in sorted(Path(folder).iterdir())}


def lacks_model(folder: RunDir, records: Iterable[TrialRecord]) -> bool:
    """Whether a run whose trials have all ended has a winner that is not the one in its `best/`."""
    best = winner(_candidates(records))
    return best is not None and folder.models.exported != best.trial_id


def export_winner(folder: RunDir, keeper: Any, train_again: TrainAgain, events: RunEvents) -> None:
    """Make the winner's model `best/`.

    Where its weights are not here, the trial is trained once more: means over seeds can turn round at the end, a node
    may be lost, and an earlier start may have run without export. What cannot be done is told, and changes no record.

    Args:
        folder: the run folder.
        keeper: that of the trials that were measured on test; None where this start had none.
        train_again: gives the model of a trial that ended before.
        events: told what happens while it happens.
    """
    records = {record.trial_id: record for record in folder.records()}
    best = winner(_candidates(records.values()))
    models = folder.models
    if best is None or models.exported == best.trial_id:
        models.discard()
        return
    title = best.config.title
    try:
        if models.kept != best.trial_id:
            if problem := _asked(keeper, best.trial_id):
                raise OSError(problem)
            events.noted(f"the weights of {title}, the best by validation, are not here; it is trained once more")
            models.keep(best.trial_id, train_again(records[best.trial_id]))
        models.publish()
        settings = ModelSettings.read(models.best)
    except (OSError, TuneNerError, ray.exceptions.RayError) as error:
        reason = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        events.noted(
            f"{models.best}: the model of {title} is not exported: {str(reason).strip()[:500]}; all records are kept, "
            f"and the same command with --name {folder.name} tries again"
        )
        return
    if settings and settings.trained_again:
        events.noted(f"{title} did not come out as before: {'; '.join(settings.trained_again)}")


def _asked(keeper: Any, trial_id: str) -> str:
    if keeper is None:
        return ""
    with suppress(ray.exceptions.RayError):  # a keeper that died knows no problem
        return str(ray.get(keeper.problem.remote(trial_id)))
    return ""


def _candidates(records: Iterable[TrialRecord]) -> list[Candidate]:
    """Trials that were measured on test: what a search drew is chosen for its figure, and has none there."""
    return [Candidate.of(record) for record in records if record.phase == "final"]
