import errno
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from tests.factories import a_config, a_failure, a_record
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.tensorboard import TensorBoardFiles


def title(trial: TrialConfig) -> str:
    return trial.titled()


def told(files: TensorBoardFiles, record: TrialRecord) -> None:
    files.trial_started(record.config)
    for epoch in record.curve:
        files.epoch_ended(record.config, epoch)
    files.trial_ended(record)


def events(folder: Path) -> Iterator[Any]:
    """The events of a folder's only file: length and its checksum, an event, its checksum, again and again."""
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


def test_a_trial_s_curves_and_hyperparameters_are_in_a_folder_of_its_own(tmp_path: Path) -> None:
    files = TensorBoardFiles(tmp_path, title)
    record = a_record((0.25, 0.5), model="KB/some model", epochs=2)
    told(files, record)
    (folder,) = (tmp_path / "tensorboard").iterdir()
    assert folder.name == f"some_model-BIO-0.001-seed_42-{record.trial_id}"
    found = scalars(folder)
    assert found["ray/tune/validation/span_f1"] == [(1, 0.25), (2, 0.5)]
    assert found["ray/tune/validation/loss"] == [(1, 1.0), (2, 0.5)]
    ((step, loss),) = found["ray/tune/training/loss"]
    assert step == 2
    assert loss == pytest.approx(0.7)
    assert len(found["ray/tune/seconds"]) == 2
    assert found.keys() == {
        *(f"ray/tune/validation/{name}" for name in ("seqeval_f1", "span_f1", "span_recall", "accuracy", "loss")),
        "ray/tune/training/loss",
        "ray/tune/seconds",
    }
    assert {"learning_rate", "tagging_scheme", "seed"} <= hyperparameters(folder)


def test_a_run_that_goes_on_adds_trials_and_tells_one_that_began_anew_once(tmp_path: Path) -> None:
    first, second = a_record((0.25,), seed=1, epochs=1), a_record((0.25, 0.5), seed=2, epochs=2)
    earlier = TensorBoardFiles(tmp_path, title)
    told(earlier, first)
    earlier.trial_started(second.config)
    earlier.epoch_ended(second.config, second.curve[0])
    told(TensorBoardFiles(tmp_path, title), second)
    folders = sorted((tmp_path / "tensorboard").iterdir(), key=lambda folder: "seed_2" in folder.name)
    curves = [scalars(folder)["ray/tune/validation/span_f1"] for folder in folders]
    assert curves == [[(1, 0.25)], [(1, 0.25), (2, 0.5)]]


def test_a_trial_that_fails_or_was_never_started_is_no_trouble(tmp_path: Path) -> None:
    files = TensorBoardFiles(tmp_path, title)
    told(files, a_failure())
    files.trial_ended(a_failure(seed=7))
    (folder,) = (tmp_path / "tensorboard").iterdir()
    assert scalars(folder) == {}


def test_a_folder_that_cannot_be_written_ends_the_files_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    files = TensorBoardFiles(tmp_path, title)
    told(files, a_record())
    files.trial_started(a_config(seed=3))
    assert [record.message.split(": ")[1] for record in caplog.records] == ["no more files for TensorBoard"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_does_not_keep_the_run_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    files = TensorBoardFiles(tmp_path, title)
    record = a_record([0.5] * 20, epochs=20)
    files.trial_started(record.config)
    monkeypatch.setattr("tensorboardX.event_file_writer.EventsWriter.write_event", full)

    def go_on() -> None:
        for epoch in record.curve:
            files.epoch_ended(record.config, epoch)
        files.trial_ended(record)

    run = threading.Thread(target=go_on, daemon=True)
    run.start()
    run.join(timeout=60)
    assert not run.is_alive()
