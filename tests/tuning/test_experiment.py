from pathlib import Path
from typing import Any

import pytest

from tune_ner.config.loading import load_space, parse_space
from tune_ner.errors import DataError, EncoderError, SpaceError, SplitError
from tune_ner.tuning.experiment import Experiment, prepare


def prepared(**changes: Any) -> Experiment:
    content = {"data": "synthetic:100", "model": ["tiny:1x32", "tiny:2x64"], "learning_rate": [1e-3, 2e-3], **changes}
    return prepare(parse_space(content, "test"))


def test_the_demo_grid_has_the_notebook_s_shape() -> None:
    trials = prepare(load_space("demo")).trials
    assert len({trial.trial_id for trial in trials}) == 12
    assert len({trial.model for trial in trials}) == 2
    assert {trial.tagging_scheme for trial in trials} == {"BIO", "BIOES"}
    assert len({trial.learning_rate for trial in trials}) == 3


def test_the_same_space_gives_the_same_trials() -> None:
    assert [trial.trial_id for trial in prepared().trials] == [trial.trial_id for trial in prepared().trials]


@pytest.mark.parametrize("changes", [{"data": "synthetic:101"}, {"split": {"seed": 1}}, {"split": {"test_size": 0.3}}])
def test_other_data_or_another_split_make_other_trials(changes: dict[str, Any]) -> None:
    usual = {trial.trial_id for trial in prepared().trials}
    assert usual.isdisjoint(trial.trial_id for trial in prepared(**changes).trials)


def test_changed_weights_make_another_trial(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ids = []
    for weights in (b"old", b"new"):
        (tmp_path / "model.safetensors").write_bytes(weights)
        ids.append(prepared(model=str(tmp_path)).trials[0].trial_id)
    assert ids[0] != ids[1]


def test_every_model_that_cannot_be_found_is_named_at_once() -> None:
    with pytest.raises(EncoderError) as raised:
        prepared(model=["tiny:1x32", "./nowhere", "package:no_such_package"])
    assert "./nowhere" in str(raised.value)
    assert "package:no_such_package" in str(raised.value)


def test_two_models_of_an_unreachable_hub_share_one_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError) as raised:
        prepared(model=["no-such/model-a", "no-such/model-b"])
    assert str(raised.value).count("cannot be fetched") == 2
    assert str(raised.value).count("two ways") == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"data": "nowhere"}, DataError), ({"data": "synthetic:12", "split": {"test_size": 0.99}}, SplitError)],
)
def test_data_that_cannot_be_used_is_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        prepared(**changes)


def test_a_larger_model_needs_more_memory() -> None:
    assert prepared(model="tiny:4x256").need.on_gpu > prepared(model="tiny:1x32").need.on_gpu


def test_a_grid_too_large_to_be_meant_is_refused_before_it_is_enumerated() -> None:
    seeds, epochs = list(range(1000)), list(range(1, 1001))
    with pytest.raises(SpaceError, match="4,000,000 trials, expected at most 100,000"):
        prepared(seed=seeds, epochs=epochs).space.check_grid()
