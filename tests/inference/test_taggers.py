"""Models from folders of any kind."""

import json
from pathlib import Path

import pytest

from tests.inference.test_ensemble_dir import an_ensemble
from tests.model_folders import a_model_folder
from tests.training.test_baseline import a_model
from tune_ner.errors import ModelError
from tune_ner.inference.ensemble_dir import write_ensemble_file
from tune_ner.inference.model_dir import ENSEMBLE_FILE, find_model_dir
from tune_ner.inference.taggers import read_taggers
from tune_ner.training.baseline import CrfModel


def test_models_of_an_ensemble_are_read_in_order(tmp_path: Path) -> None:
    taggers = read_taggers(an_ensemble(tmp_path, {"tagging_scheme": "BIOES"}, {"tagging_scheme": "BIO"}))
    assert [tagger.config.tagging_scheme for tagger in taggers] == ["BIOES", "BIO"]


def test_a_model_folder_has_one_model(tmp_path: Path) -> None:
    assert len(read_taggers(a_model_folder(tmp_path / "model"))) == 1


def test_a_baseline_can_be_a_member(tmp_path: Path) -> None:
    a_model("baseline:crf").save(tmp_path / "1-crf")
    a_model_folder(tmp_path / "2-tiny", word_tokenizer="punctuation")
    write_ensemble_file(tmp_path, ["1-crf", "2-tiny"])
    taggers = read_taggers(tmp_path)
    assert [isinstance(tagger, CrfModel) for tagger in taggers] == [True, False]
    with pytest.raises(ModelError, match="a baseline; expected a model with an encoder"):
        find_model_dir(tmp_path / "1-crf")


def test_a_missing_model_is_reported(tmp_path: Path) -> None:
    (tmp_path / ENSEMBLE_FILE).write_text(json.dumps({"models": ["0-model", "1-model"]}))
    with pytest.raises(ModelError, match="0-model"):
        read_taggers(tmp_path)


def test_models_of_other_words_are_refused(tmp_path: Path) -> None:
    folder = an_ensemble(tmp_path, {"word_tokenizer": "punctuation"}, {"word_tokenizer": "whitespace"})
    with pytest.raises(ModelError, match="1-model: word_tokenizer is whitespace, and punctuation in 0-model"):
        read_taggers(folder)
