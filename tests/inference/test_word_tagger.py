"""Labels and label probabilities of words."""

from pathlib import Path

import numpy as np
import pytest

from tests.model_folders import TEXTS, a_model_folder
from tune_ner.data.corpus import Sentence
from tune_ner.inference.model_dir import read_model_dir
from tune_ner.inference.word_tagger import WordTagger
from tune_ner.tagging.tokenization import split_words

SENTENCES = [Sentence(str(number), text) for number, text in enumerate(TEXTS[:30])]


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_without_decoding_each_word_has_its_most_probable_label(scheme: str, tmp_path: Path) -> None:
    tagger = WordTagger(read_model_dir(a_model_folder(tmp_path / "m", tagging_scheme=scheme)), "cpu", "fp32")
    probabilities, labels = tagger(SENTENCES)
    assert np.array_equal(labels, probabilities.values.argmax(axis=1))
    assert len(set(labels.tolist())) > 2
    assert probabilities.values.sum(axis=1) == pytest.approx(np.ones(len(labels)))
    for index, sentence in enumerate(SENTENCES):
        assert probabilities.words.of(index) == split_words(sentence.text, "punctuation")


def test_viterbi_decoding_gives_valid_labels_with_the_same_probabilities(tmp_path: Path) -> None:
    taggers = [
        WordTagger(read_model_dir(a_model_folder(tmp_path / decoding, decoding=decoding)), "cpu", "fp32")
        for decoding in ("argmax", "viterbi")
    ]
    (plain, argmax), (decoded, viterbi) = (tagger(SENTENCES) for tagger in taggers)
    assert np.array_equal(plain.values, decoded.values)
    assert not np.array_equal(argmax, viterbi)
    assert np.array_equal(viterbi, decoded.label_ids())
