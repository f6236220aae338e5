import errno
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from tests.factories import a_config, a_failed_trial, a_record
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.tensorboard import TensorBoardFiles

SEQEVAL = ("seqeval_precision", "seqeval_recall", "seqeval_f1")
SPANS = ("span_precision", "span_recall", "span_f1")


def title(trial: TrialConfig) -> str:
    return trial.titled()


def send(files: TensorBoardFiles, record: TrialRecord) -> None:
    files.on_trial_start(record.config)
    for epoch in record.curve:
        files.on_epoch_end(record.config, epoch)
    files.on_trial_end(record)


def events(folder: Path) -> Iterator[Any]:
    """Read the events of a folder's only file: repeatedly the length, its checksum, an event, and its checksum."""
    (file,) = folder.iterdir()
    content, place = file.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack("<Q", content[place : place + 8])
        yield Event.FromString(content[place + 12 : place + 12 + length])
        place += length + 16


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def hyperparameters(folder: Path) -> set[str]:
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    names: set[str] = set()
    for event in events(folder):
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "hparams":
                data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
                names |= set(data.session_start_info.hparams)
    return names


def test_each_trial_has_a_folder_with_its_curves_and_hyperparameters(tmp_path: Path) -> None:
    files = TensorBoardFiles(tmp_path, title)
    record = a_record((0.25, 0.5), model="KB/some model", epochs=2)
    send(files, record)
    (folder,) = (tmp_path / "tensorboard").iterdir()
    assert folder.name == f"some_model-BIO-lr_0.001-seed_42-{record.trial_id}"
    found = scalars(folder)
    assert found["validation/span_f1"] == [(1, 0.25), (2, 0.5)]
    assert found["validation/loss"] == [(1, 1.0), (2, 0.5)]
    ((step, loss),) = found["training/loss"]
    assert step == 2
    assert loss == pytest.approx(0.7)
    assert len(found["seconds"]) == 2
    assert found.keys() == {
        *(f"validation/{name}" for name in (*SEQEVAL, *SPANS, "accuracy", "loss")),
        "training/loss",
        "seconds",
    }
    assert {"learning_rate", "tagging_scheme", "seed"} <= hyperparameters(folder)


def test_a_resumed_run_adds_trials_and_rewrites_one_that_started_over(tmp_path: Path) -> None:
    first, second = a_record((0.25,), seed=1, epochs=1), a_record((0.25, 0.5), seed=2, epochs=2)
    earlier = TensorBoardFiles(tmp_path, title)
    send(earlier, first)
    earlier.on_trial_start(second.config)
    earlier.on_epoch_end(second.config, second.curve[0])
    send(TensorBoardFiles(tmp_path, title), second)
    folders = sorted((tmp_path / "tensorboard").iterdir(), key=lambda folder: "seed_2" in folder.name)
    curves = [scalars(folder)["validation/span_f1"] for folder in folders]
    assert curves == [[(1, 0.25)], [(1, 0.25), (2, 0.5)]]


def test_trials_that_fail_or_never_started_have_no_files(tmp_path: Path) -> None:
    files = TensorBoardFiles(tmp_path, title)
    send(files, a_failed_trial())
    files.on_trial_end(a_failed_trial(seed=7))
    assert not (tmp_path / "tensorboard").exists()


def test_a_folder_that_cannot_be_written_does_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    files = TensorBoardFiles(tmp_path, title)
    send(files, a_record())
    files.on_trial_start(a_config(seed=3))
    assert [record.name for record in caplog.records].count("tune_ner") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_does_not_block_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    files = TensorBoardFiles(tmp_path, title)
    record = a_record([0.5] * 20, epochs=20)
    files.on_trial_start(record.config)
    monkeypatch.setattr("tensorboardX.event_file_writer.EventsWriter.write_event", full)

    def report() -> None:
        for epoch in record.curve:
            files.on_epoch_end(record.config, epoch)
        files.on_trial_end(record)

    run = threading.Thread(target=report, daemon=True)
    run.start()
    run.join(timeout=600)
    assert not run.is_alive()
