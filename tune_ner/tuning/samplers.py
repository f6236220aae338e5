"""Samplers: a grid lists its trials; a search asks an Optuna study, whose storage outlives the process."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import StudyError
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import SearchSettings
from tune_ner.tuning.trainable import FAILED, tune_config
from tune_ner.utils.text import redact

# user attributes of a study and of its trials
_SPACE = "tune_ner:space"
_RUN = "tune_ner:run"

_MAX_DUPLICATES = 200
_LOCK_SECONDS = 300


class Sampler(Searcher):
    """Base class of samplers: the source of the trials that Ray Tune runs.

    Ray Tune identifies its trials by keys of its own, which differ from trial ids.
    """

    def next_trial(self, key: str) -> TrialConfig | None:
        """Return the next trial, which Ray Tune runs under `key`; None if there are no more."""
        raise NotImplementedError

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial as Tune's configuration."""
        trial = self.next_trial(trial_id)
        return str(Searcher.FINISHED) if trial is None else tune_config(trial)  # type: ignore[return-value]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ignore the end of a trial."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: runs are resumed from their records."""


class GridSampler(Sampler):
    """Returns the given trials one after another."""

    def __init__(self, trials: Sequence[TrialConfig]) -> None:
        super().__init__()
        self._trials = iter(trials)

    def next_trial(self, key: str) -> TrialConfig | None:
        """Return the next trial of the list."""
        return next(self._trials, None)


class StudySampler(Sampler):
    """Suggests trials from an Optuna study, none of them twice.

    Args:
        experiment: the experiment.
        settings: sampler, its seed, and the name of the study.
        storage: database URL of the study in SQLAlchemy's form, for instance `sqlite:///study.db`.
        run: name of the run; several runs may share a study.

    Attributes:
        study: the study.
        distributions: the hyperparameters that are searched.

    Raises:
        StudyError: the storage cannot be opened, or the study has another search space.
    """

    def __init__(self, experiment: Experiment, settings: SearchSettings, storage: str, run: str) -> None:
        super().__init__()
        self._experiment = experiment
        self._settings = settings
        self._run = run
        self._score = f"validation_{experiment.space.selection_metric}"
        self._asked: dict[str, optuna.Trial] = {}
        self._best: dict[str, float] = {}
        self._known: dict[str, TrialRecord | None] = {}
        self.distributions = experiment.space.search_distributions
        self._storage = storage
        self.study = _open_study(storage, settings.study or run)
        self._check_space()

    def _check_space(self) -> None:
        """Write the search space into a new study; refuse a study with another one."""
        mine = _study_space(self._experiment)
        known = self.study.user_attrs.get(_SPACE)
        if known is None and not self.study.get_trials(deepcopy=False):
            self.study.set_user_attr(_SPACE, mine)
            for point in self._experiment.space.expand_initial_points():
                self._enqueue({name: value for name, value in point.items() if name in self.distributions})
            return
        found = known if isinstance(known, Mapping) else {}
        lines = [
            f"  {key}: {found.get(key, 'nothing')} in the study, {mine.get(key, 'nothing')} here"
            for key in sorted({*found, *mine})
            if found.get(key) != mine.get(key)
        ]
        if lines:
            problem = f"study {self.study.study_name!r} has another search space; choose another --name or --study:"
            raise StudyError("\n".join([problem, *lines]))

    def resume(self, records: Sequence[TrialRecord], repeated: Sequence[TrialRecord] = ()) -> None:
        """Prepare the study for this session.

        Args:
            records: the trials of the search that ended in earlier sessions.
            repeated: trials to suggest again, before new ones.
        """
        self.reconcile(records)
        for record in repeated:
            self._enqueue({name: getattr(record.config, name) for name in self.distributions})
        self._known = {record.trial_id: record for record in records}
        # a resumed search must not draw the same points again
        drawn = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = optuna_sampler(self._settings.sampler, self._settings.sampler_seed + drawn)

    def reconcile(self, records: Sequence[TrialRecord]) -> None:
        """End the trials of this run that are still running in the study, after a crash or at the end of the budget.

        Trials without a record fail and are suggested again.
        """
        known = {record.trial_id: record for record in records}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(_RUN) != self._run:
                continue
            is_complete = set(trial.params) == set(self.distributions)
            record = known.get(self.config(trial.params).trial_id) if is_complete else None
            self._tell(trial, record)
            if record is None and trial.params:
                self._enqueue(trial.params)

    def config(self, params: Mapping[str, Any]) -> TrialConfig:
        """Return the trial with these values of the searched hyperparameters."""
        space = self._experiment.space
        fixed = {name: space.example(name) for name in space.HYPERPARAMETERS if name not in self.distributions}
        return self._experiment.trial({**fixed, **params})

    def next_trial(self, key: str) -> TrialConfig | None:
        """Return a trial that has not been run; None if the sampler finds no new one, as in a small search space."""
        with self._storage_errors():
            for _ in range(_MAX_DUPLICATES):
                asked = self.study.ask(self.distributions)
                trial = self.config(asked.params)
                if trial.trial_id not in self._known:
                    self._known[trial.trial_id] = None
                    self._asked[key] = asked
                    asked.set_user_attr(_RUN, self._run)
                    return trial
                self._tell(asked, self._known[trial.trial_id])
        return None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Add the score of an epoch to the study."""
        if FAILED not in result:  # the report with the record repeats the best epoch
            self._best[trial_id] = max(self._best.get(trial_id, 0.0), result[self._score])
            with self._storage_errors():
                self._asked[trial_id].report(result[self._score], result["epoch"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Add the best score of the trial to the study; a failed trial has none."""
        asked = self._asked.pop(trial_id)
        best = self._best.pop(trial_id, 0.0)
        with self._storage_errors():
            if error or not result or result.get(FAILED):
                self.study.tell(asked, state=TrialState.FAIL)
            else:
                self.study.tell(asked, max(best, result[self._score]))

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except StorageInternalError as error:
            reason = str(error.__cause__ or error).splitlines()[0][:300]
            raise StudyError(
                f"study storage {redact(self._storage)}: {redact(reason)}; a lock of another process is waited for up "
                f"to {_LOCK_SECONDS} s. Trials that ended are recorded: repeat the command with --name {self._run}."
            ) from error

    def _enqueue(self, params: Mapping[str, Any]) -> None:
        self.study.enqueue_trial(dict(params))

    def _tell(self, trial: FrozenTrial | optuna.Trial, record: TrialRecord | None) -> None:
        """Add the best score of a record to the study; fail a trial that has none."""
        score = record.best_score if record else None
        if score is None:
            self.study.tell(trial.number, state=TrialState.FAIL)
        else:
            self.study.tell(trial.number, score)


def optuna_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's sampler of this name, one of `SAMPLERS`."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _open_study(storage: str, name: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    # SQLite waits only five seconds for a lock that another process holds, such as a backup
    waiting = {"connect_args": {"timeout": _LOCK_SECONDS}} if storage.startswith("sqlite") else {}
    try:
        database = optuna.storages.RDBStorage(storage, engine_kwargs=waiting)
        return optuna.create_study(storage=database, study_name=name, direction="maximize", load_if_exists=True)
    # Database drivers raise errors of their own, or are not installed.
    except Exception as error:
        reason = str(error).splitlines()[0][:300]
        raise StudyError(
            f"study storage {redact(storage)}: cannot be opened: {redact(reason)}; expected a database URL such as "
            "sqlite:///study.db, in an existing folder"
        ) from error


def _study_space(experiment: Experiment) -> dict[str, Any]:
    """Return the parts of a search space that searches must share to share a study, as plain data."""
    content = json.loads(experiment.space.model_dump_json(exclude={"initial_points", "seed"}))
    return {**content, "data": experiment.data_fingerprint}
