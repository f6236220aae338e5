"""The Optuna study of a search: what it may try, what it has tried, and the storage that outlives the process."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import StudyError
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.schedulers import FAILED
from tune_ner.utils.redaction import redact

SAMPLERS = ("tpe", "random")

_SPACE = "tune_ner:space"
_RUN = "tune_ner:run"
_MOST_REPEATS = 200


class Study:
    """An Optuna study over a search space.

    Args:
        experiment: what is searched.
        storage: a database URL as SQLAlchemy has it, for instance `sqlite:///study.db`.
        name: the study's name in that storage; it is made unless it is there.
        run: whose trials are asked for here; others may share the study.

    Raises:
        StudyError: the storage cannot be opened, or the study is of another space.
    """

    def __init__(self, experiment: Experiment, storage: str, name: str, run: str) -> None:
        self._experiment = experiment
        self.name = name
        self._run = run
        self.axes = experiment.space.search_distributions
        self.selection_metric = experiment.space.selection_metric
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        try:
            self.storage = optuna.storages.RDBStorage(storage)
            self.study = optuna.create_study(
                storage=self.storage, study_name=name, direction="maximize", load_if_exists=True
            )
        # Whatever the database's driver raises, and its absence.
        except Exception as error:
            reason = str(error).splitlines()[0][:300]
            raise StudyError(
                f"study storage {redact(storage)}: cannot be opened: {redact(reason)}; expected "
                "a database URL such as sqlite:///study.db, with a folder that is there"
            ) from error
        self._claim()

    def _claim(self) -> None:
        """Write down what the study is over, or refuse one over something else."""
        mine = _described(self._experiment)
        known = self.study.user_attrs.get(_SPACE)
        if known is None and not self.study.get_trials(deepcopy=False):
            self.study.set_user_attr(_SPACE, mine)
            for point in self._experiment.space.expand_initial_points():
                self.study.enqueue_trial({name: value for name, value in point.items() if name in self.axes})
            return
        found = known if isinstance(known, Mapping) else {}
        lines = [
            f"  {key}: {found.get(key, 'nothing')} there, {mine.get(key, 'nothing')} here"
            for key in sorted({*found, *mine})
            if found.get(key) != mine.get(key)
        ]
        if lines:
            raise StudyError(
                "\n".join([f"study {self.name!r} is of another search; choose another --name or --storage:", *lines])
            )

    def reconcile(self, records: Sequence[TrialRecord]) -> None:
        """Tell the study how those trials of this run ended that it does not know of, as after a death of the driver or
        when the budget is spent, and have those tried again that did not end.
        """
        known = {record.trial_id: record for record in records}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(_RUN) != self._run:
                continue
            record = known.get(self.config(trial.params).trial_id) if set(trial.params) == set(self.axes) else None
            self.tell(trial, record)
            if record is None and trial.params:
                self.study.enqueue_trial(trial.params)

    def try_again(self, records: Sequence[TrialRecord]) -> None:
        """Try these points before anything else."""
        for record in records:
            self.study.enqueue_trial({name: getattr(record.config, name) for name in self.axes})

    def tell(self, trial: FrozenTrial | optuna.Trial, record: TrialRecord | None) -> None:
        """How a trial ended; None for one of which nothing is left."""
        value = value_of(record) if record else None
        if value is None:
            self.study.tell(trial.number, state=TrialState.FAIL)
        else:
            self.study.tell(trial.number, value)

    def claim_trial(self, trial: optuna.Trial) -> None:
        """Write down that a trial is one of this run."""
        trial.set_user_attr(_RUN, self._run)

    def config(self, params: Mapping[str, Any]) -> TrialConfig:
        """The trial at some values of the searched axes."""
        space = self._experiment.space
        fixed = {name: space.example(name) for name in space.HYPERPARAMETERS if name not in self.axes}
        return self._experiment.trial({**fixed, **params})

    @property
    def tried(self) -> list[FrozenTrial]:
        """The trials that ended with a figure."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def value_of(record: TrialRecord) -> float | None:
    """What a search goes by: the best validation F1 (seqeval's) of a trial's epochs; None for one that failed."""
    return record.best_score


class StudySearch(OptunaSearch):
    """Ray's Optuna search over a study, without a trial that was tried before.

    Args:
        study: the study.
        sampler: one of `SAMPLERS`.
        seed: of the sampler.
        records: the trials that ended so far.
    """

    def __init__(self, study: Study, sampler: str, seed: int, records: Sequence[TrialRecord] = ()) -> None:
        # what was drawn before must not be drawn again by a search that goes on
        drawn = seed + len(study.study.get_trials(deepcopy=False))
        super().__init__(
            space=study.axes,
            metric=f"validation_{study.selection_metric}",
            mode="max",
            sampler=sampler_of(sampler, drawn),
            study_name=study.name,
            storage=study.storage,
        )
        self._of = study
        self._known: dict[str, TrialRecord | None] = {record.trial_id: record for record in records}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """A point that no trial was trained at; there is none where all of a small space are."""
        for _ in range(_MOST_REPEATS):
            params = super().suggest(trial_id)
            config = self._of.config(params or {})
            if config.trial_id not in self._known:
                self._known[config.trial_id] = None
                self._of.claim_trial(self._ot_trials[trial_id])
                return self._of._experiment.point(config)
            self._of.tell(self._ot_trials.pop(trial_id), self._known[config.trial_id])
        return str(Searcher.FINISHED)  # type: ignore[return-value]

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study lies in its storage."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study; one that failed has no figure."""
        failed = result is not None and bool(result.get(FAILED))
        super().on_trial_complete(trial_id, None if failed else result, error or failed)


def sampler_of(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """What draws the points of a search; one of `SAMPLERS`."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _described(experiment: Experiment) -> dict[str, Any]:
    """What two searches must have in common for one to learn from the other, as plain data."""
    space = experiment.space
    content = json.loads(space.model_dump_json(exclude={"initial_points", "seed"}))
    return {**content, "data": experiment.data_fingerprint}
