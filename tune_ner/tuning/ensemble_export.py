"""Export of an ensemble: the trials of the best configurations are trained again, and their models written together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from tune_ner.errors import ModelError, RunFolderError
from tune_ner.inference.ensemble_dir import write_ensemble_file
from tune_ner.inference.model_dir import new_model_folder
from tune_ner.results.best_model import ModelFiles, write_model_files
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.training.model_export import InferenceConfig
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import RunOptions
from tune_ner.tuning.ray_session import cluster_machine, ray_session
from tune_ner.tuning.resources import Machine
from tune_ner.tuning.trainable import retrain
from tune_ner.tuning.tuner import allocate
from tune_ner.utils.text import plural

Note = Callable[[str], None]


def export_ensemble(
    run_dir: RunDir,
    records: Sequence[TrialRecord],
    experiment: Experiment,
    target: Path,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    note: Note = lambda _: None,
) -> Path:
    """Write the models of several trials into a new folder that `Predictor` loads as one.

    A run keeps the weights of its best trial only, so the other trials are trained again under Ray, with the seeds and
    settings of their records. Where the hardware differs, so can the metrics; a note lists the differences.

    Args:
        run_dir: the run folder.
        records: the completed trials, two or more.
        experiment: the experiment of the run.
        target: the new folder.
        options: resources of each trial, cluster, and number of retries.
        note: called with what the user should know.

    Returns:
        The target.

    Raises:
        ModelError: the target exists or cannot be written, or a trial failed.
        RunFolderError: the data or an encoder has changed since the run.
        ResourceError: the requested resources are not available, or the cluster cannot be reached.
    """
    _check_unchanged(run_dir, records, experiment)
    names = {record.trial_id: f"{number}-{record.trial_id}" for number, record in enumerate(records, start=1)}
    with new_model_folder(target) as work:
        missing = []
        for record in records:
            if run_dir.models.exported == record.trial_id:
                unneeded = shutil.ignore_patterns("README.md")
                shutil.copytree(run_dir.models.best, work / names[record.trial_id], ignore=unneeded)
            else:
                missing.append(record)
        if missing:
            trials = plural(len(missing), "trial")
            note(f"training {trials} again, because a run keeps the weights of its best trial only")
        for record, files in _retrained(missing, experiment, options):
            folder = work / names[record.trial_id]
            write_model_files(folder, files)
            settings = InferenceConfig.read(folder)
            if settings and settings.retraining_differences:
                differences = "; ".join(settings.retraining_differences)
                note(f"retraining {record.config.title} gave other metrics: {differences}")
        write_ensemble_file(work, list(names.values()))
    return target


def _check_unchanged(run_dir: RunDir, records: Sequence[TrialRecord], experiment: Experiment) -> None:
    for record in records:
        trial, encoder = record.config, experiment.encoders.get(record.config.model)
        found = "data" if trial.data_fingerprint != experiment.data_fingerprint else ""
        if encoder is None or encoder.fingerprint != trial.model_fingerprint:
            found = f"encoder {trial.model}"
        if found:
            raise RunFolderError(
                f"{run_dir.path}: the {found} differs from that of the run, so its trials cannot be trained again; "
                "restore it"
            )


def _retrained(
    records: Sequence[TrialRecord], experiment: Experiment, options: RunOptions
) -> Iterator[tuple[TrialRecord, ModelFiles]]:
    """Yield the model of each trial as soon as it is trained."""
    if not records:
        return
    machine = None if options.address else Machine.local()
    with ray_session(options.address, machine, dashboard=False):
        _ = experiment.tokenized  # computed once, for all workers
        reference = ray.put(experiment)
        resources = allocate(experiment, reference, options, machine or cluster_machine(), len(records))
        retries = options.failures.max_failures
        task = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=retries)(retrain)
        pending: Mapping[Any, TrialRecord] = {task.remote(record, [reference]): record for record in records}
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            try:
                yield pending[done], ray.get(done)
            except ray.exceptions.RayError as error:
                cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
                problem = str(cause).strip()[:500]
                raise ModelError(f"{pending[done].config.title}: cannot be trained again: {problem}") from error
            pending = {reference: record for reference, record in pending.items() if reference != done}
