import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tune_ner.config.loading import load_space, parse_space
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError, EncoderError, SpaceError, SplitError
from tune_ner.training.encoders import EncoderSize
from tune_ner.tuning.experiment import Experiment, prepare, trial_cost
from tune_ner.utils import extras

SMALL, LARGE = EncoderSize(10_000, 32, 1, 1), EncoderSize(100_000, 128, 2, 4)


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
def test_other_data_or_another_split_give_other_trials(changes: dict[str, Any]) -> None:
    usual = {trial.trial_id for trial in prepared().trials}
    assert usual.isdisjoint(trial.trial_id for trial in prepared(**changes).trials)


def test_changed_weights_give_another_trial(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ids = []
    for weights in (b"old", b"new"):
        (tmp_path / "model.safetensors").write_bytes(weights)
        ids.append(prepared(model=str(tmp_path)).trials[0].trial_id)
    assert ids[0] != ids[1]


def test_a_corpus_in_memory_gives_the_same_trials_as_its_source() -> None:
    space = parse_space({"data": "synthetic:100", "model": "tiny:1x32", "learning_rate": 1e-3}, "test")
    other = space.model_copy(update={"data": "nowhere.jsonl"})
    assert prepare(other, load_corpus("synthetic:100")).trials == prepare(space).trials


def test_all_models_that_cannot_be_found_are_listed() -> None:
    with pytest.raises(EncoderError) as raised:
        prepared(model=["tiny:1x32", "./nowhere", "package:no_such_package"])
    assert "./nowhere" in str(raised.value)
    assert "package:no_such_package" in str(raised.value)


def test_models_of_an_unreachable_hub_share_their_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError) as raised:
        prepared(model=["no-such/model-a", "no-such/model-b"])
    lines = str(raised.value).splitlines()
    assert len(lines) == len(set(lines))
    assert [sum(name in line for line in lines) for name in ("model-a", "model-b")] == [1, 1]


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"data": "nowhere"}, DataError), ({"data": "synthetic:12", "split": {"test_size": 0.99}}, SplitError)],
)
def test_unusable_data_is_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        prepared(**changes)


def test_a_larger_model_needs_more_memory() -> None:
    assert prepared(model="tiny:4x256").memory.on_gpu > prepared(model="tiny:1x32").memory.on_gpu


def test_a_grid_with_too_many_trials_is_refused_before_it_is_enumerated() -> None:
    seeds, epochs = list(range(1000)), list(range(1, 1001))
    with pytest.raises(SpaceError, match="4,000,000 trials"):
        prepared(seed=seeds, epochs=epochs).space.check_grid()


# ---- the order in which trials start


def test_the_cost_of_a_trial_by_hand() -> None:
    assert trial_cost(epochs=3, sentences=100, size=LARGE) == 3 * 100 * 12 * 2 * 128**2


def test_an_encoder_of_unknown_shape_costs_by_its_parameters_and_of_unknown_size_by_its_epochs() -> None:
    assert trial_cost(2, 10, EncoderSize(1000, 0, 0, 0)) == 20_000
    assert trial_cost(2, 10, EncoderSize(0, 0, 0, 0)) == 2


def test_a_larger_vocabulary_does_not_affect_the_cost() -> None:
    assert trial_cost(1, 10, EncoderSize(1, 64, 2, 2)) == trial_cost(1, 10, EncoderSize(10**9, 64, 2, 2))


@pytest.mark.parametrize(
    ("more", "less"),
    [((5, 100, SMALL), (4, 100, SMALL)), ((5, 100, SMALL), (5, 90, SMALL)), ((5, 100, LARGE), (5, 100, SMALL))],
)
def test_epochs_sentences_and_encoder_size_add_to_the_cost(more: Any, less: Any) -> None:
    assert trial_cost(*more) > trial_cost(*less)


def test_larger_learning_rates_of_an_encoder_start_first_with_their_seeds_together() -> None:
    schedule = prepared(learning_rate=[1e-4, 1e-2, 1e-3], seed=[1, 2]).schedule
    rates = [1e-2, 1e-3, 1e-4]
    found = list(dict.fromkeys((trial.model, trial.learning_rate) for trial in schedule))
    assert found == [("tiny:2x64", rate) for rate in rates] + [("tiny:1x32", rate) for rate in rates]
    assert [trial.seed for trial in schedule] == [1, 2] * (len(schedule) // 2)


def test_the_largest_encoder_and_the_most_epochs_start_first() -> None:
    experiment = prepared(epochs=[2, 3], seed=[1, 2])
    found = list(dict.fromkeys((trial.model, trial.epochs) for trial in experiment.schedule))
    assert found == [("tiny:2x64", 3), ("tiny:2x64", 2), ("tiny:1x32", 3), ("tiny:1x32", 2)]
    assert [trial.seed for trial in experiment.schedule] == [1, 2] * 8
    assert {trial.trial_id for trial in experiment.schedule} == {trial.trial_id for trial in experiment.trials}


def test_encoders_of_equal_size_and_folds_of_nearly_equal_size_are_not_mixed() -> None:
    experiment = prepared(model=["tiny:1x64", "tiny:1x064"], split={"folds": 3, "method": "grouped"}, epochs=[1, 4])
    assert len({len(split.train) for split in experiment.splits.values()}) > 1
    models = [trial.model for trial in experiment.schedule]
    assert sum(one != other for one, other in pairwise(models)) == 3


def test_starting_the_longest_trials_first_ends_a_grid_earlier() -> None:
    draw = random.Random(0)
    costs = [draw.uniform(1, 3) for _ in range(20)] + [12.0]
    assert duration_on_two_machines(sorted(costs, reverse=True)) < duration_on_two_machines(costs)


def duration_on_two_machines(costs: list[float]) -> float:
    machines = [0.0, 0.0]
    for cost in costs:
        machines[machines.index(min(machines))] += cost
    return max(machines)


def test_overlapping_entities_are_refused_on_request() -> None:
    rows = [{"text": "New York City", "spans": [[0, 13, "LOC"], [0, 8, "LOC"]]}] * 20
    content = {"model": "tiny:1x32", "learning_rate": 1e-3}
    with pytest.raises(DataError, match=r"list\[0\]: overlapping entities, as in 20 sentences in all"):
        prepare(parse_space({**content, "overlaps": "error"}), load_corpus(rows))
    assert prepare(parse_space(content), load_corpus(rows)).trials[0].overlaps == "longest"


def test_the_word_tokenizer_is_chosen_by_the_corpus_and_noted() -> None:
    rows = [{"text": "田中は東京へ。", "spans": [[0, 2, "PER"], [3, 5, "LOC"]]}] * 20
    space = parse_space({"model": "tiny:1x32", "learning_rate": 1e-3, "word_tokenizer": ["whitespace", "auto"]})
    experiment = prepare(space, load_corpus(rows))
    assert [trial.word_tokenizer for trial in experiment.trials] == ["whitespace", "character"]
    assert "word tokenizer character: " in experiment.corpus.notes[-1]


def test_a_missing_package_is_noticed_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(lora_rank=[0, 4])
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(EncoderError, match="lora_rank needs the package peft, which is not installed"):
        prepared(lora_rank=[0, 4])
    prepared()


def test_baselines_take_part_without_tokenizer_memory_or_cost() -> None:
    found = prepared(model=["tiny:1x32", "baseline:crf"], batching="padding_free")
    assert [trial.model for trial in found.schedule] == ["tiny:1x32"] * 2 + ["baseline:crf"]
    assert set(found.tokenizers) == {("tiny:1x32", None)}
    assert list(found.precisions) == ["tiny:1x32"]
    assert found.memory == prepared(model="tiny:1x32").memory
