"""Prediction of entities: inputs, offsets, windows and scores, with models of this package and of other tools."""

import json
import shutil
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inference.test_ensemble_dir import an_ensemble
from tests.model_folders import TEXTS, a_model_folder
from tune_ner.data.corpus import PredictedSpan, Sentence
from tune_ner.data.formats.raw_text import LONGEST_TEXT
from tune_ner.errors import EncoderError, ModelError, TextError
from tune_ner.inference.model_dir import read_model_dir
from tune_ner.inference.predictor import Predictor
from tune_ner.inference.word_tagger import WordTagger
from tune_ner.tagging.probabilities import WordProbabilities
from tune_ner.tagging.tokenization import split_words
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE
from tune_ner.training.training_text_hashes import HASHES_FILE

WORDS = st.sampled_from([*{word for text in TEXTS[:40] for word in text.split()}, "a\u0308\u0301", "💊", "x" * 200])
some_texts = st.lists(WORDS, max_size=30).map(" ".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_model_folder(tmp_path_factory.mktemp("models") / "best")


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    torch.set_num_threads(1)
    return Predictor.load(folder)


def changed(folder: Path, to: Path, **changes: Any) -> Path:
    """Return a copy of the model with other entries in its config.json."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps({**config, **changes}))
    return to


def datasets_column(texts: list[str]) -> Any:
    return datasets.Dataset.from_dict({"text": texts})["text"]


def places(spans: list[PredictedSpan]) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in spans]


@settings(deadline=None, max_examples=15)
@given(texts=st.lists(some_texts, max_size=6))
def test_spans_of_a_text_do_not_depend_on_the_other_texts(predictor: Predictor, texts: list[str]) -> None:
    together = predictor.predict(texts)
    alone = [predictor.predict([text])[0] for text in texts]
    assert list(map(places, together)) == list(map(places, alone))
    streamed = predictor.stream(iter(texts), chunk_size=2)
    assert list(map(places, streamed)) == list(map(places, together))
    for text, one, other in zip(texts, together, alone, strict=True):
        assert [span.score for span in one] == pytest.approx([span.score for span in other], abs=1e-5)
        for span in one:
            assert 0 <= span.start < span.end <= len(text)
            assert span.text == text[span.start : span.end]
            assert 0 < span.score <= 1
        assert one == sorted(one, key=lambda span: span.start)
        assert all(a.end <= b.start for a, b in pairwise(one))


def test_half_precision_finds_nearly_the_same_entities(predictor: Predictor, folder: Path) -> None:
    half = Predictor.load(folder, precision="bf16")
    found, others = predictor.predict(TEXTS), half.predict(TEXTS)
    ours, theirs = ({(n, *at) for n, spans in enumerate(each) for at in places(spans)} for each in (found, others))
    assert len(ours & theirs) > 0.9 * len(ours | theirs)
    assert found != others  # the scores differ


def test_spans_start_and_end_at_words(predictor: Predictor) -> None:
    text = "Ta  Alvedon,\tmot (feber)."
    words = split_words(text, "punctuation")
    for span in predictor.predict([text])[0]:
        assert span.start in {start for start, _ in words}
        assert span.end in {end for _, end in words}


def test_score_is_the_mean_probability_of_the_labels_of_the_words(folder: Path, predictor: Predictor) -> None:
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = next(text for text, spans in zip(TEXTS, predictor.predict(TEXTS), strict=True) if len(spans) > 1)
    words = split_words(text, "punctuation")
    encoding = tokenizer([text[start:end] for start, end in words], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        best = model(**encoding).logits[0].softmax(-1).max(-1)
    first = {word: place for place, word in reversed(list(enumerate(encoding.word_ids(0))))}
    for span in predictor.predict([text])[0]:
        covered = [number for number, word in enumerate(words) if span.start <= word[0] and word[1] <= span.end]
        expected = [best.values[first[number]].item() for number in covered]
        assert span.score == pytest.approx(sum(expected) / len(expected), abs=1e-5)


@pytest.mark.parametrize("stride", [0, 5])
def test_long_text_is_read_completely(tmp_path: Path, stride: int) -> None:
    windowed = Predictor.load(a_model_folder(tmp_path / "best", max_length=16, stride=stride))
    text = " ".join(TEXTS[:60])
    spans = windowed.predict([text])[0]
    assert spans[-1].end > len(text) - 60
    assert windowed.config.stride == (stride or 4)
    # it starts like a shorter text that fits into one window
    short = windowed.predict([text[:20]])[0]
    assert places(short)[:1] == places(spans)[:1]


def test_windows_have_at_most_as_many_subwords_as_the_model_has_positions(tmp_path: Path) -> None:
    config = Predictor.load(a_model_folder(tmp_path / "best", max_length=2000)).config
    assert (config.max_length, config.stride) == (512, 128)


def test_empty_text_has_no_spans(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert predictor.predict(["", "  \t"]) == [[], []]
    assert list(predictor.stream([])) == []
    assert [len(spans) > 0 for spans in predictor.predict(["", TEXTS[0] + TEXTS[1]])] == [False, True]


def test_stream_yields_results_while_it_reads(predictor: Predictor) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield TEXTS[read % len(TEXTS)]

    found = predictor.stream(endless(), chunk_size=8)
    next(found)
    assert read == 1
    for answered, _ in enumerate(islice(found, 60), start=2):
        assert read < answered + 8
    one_by_one = predictor.stream(endless(), chunk_size=1)
    for _ in range(5):
        before = read
        next(one_by_one)
        assert read == before + 1


def test_single_string_is_one_text(predictor: Predictor) -> None:
    text = next(text for text, spans in zip(TEXTS, predictor.predict(TEXTS), strict=True) if spans)
    spans = predictor.predict(text)
    assert places(spans) == places(predictor.predict([text])[0])
    assert all(isinstance(span, PredictedSpan) for span in spans)
    assert predictor.predict("") == []


@pytest.mark.parametrize(
    "collect",
    [tuple, iter, pd.Series, np.array, datasets_column],
    ids=["tuple", "iterator", "series", "array", "dataset"],
)
def test_texts_of_any_iterable_give_a_list_per_text(predictor: Predictor, collect: Any) -> None:
    texts = list(TEXTS[:5])
    found = predictor.predict(collect(texts))
    assert list(map(places, found)) == list(map(places, predictor.predict(texts)))


@pytest.mark.parametrize("texts", [None, 7, b"feber", {"text": ["feber"]}, pd.DataFrame({"text": ["feber"]})])
def test_anything_but_texts_is_an_error(predictor: Predictor, texts: Any) -> None:
    with pytest.raises(TextError, match=f"found {type(texts).__name__}; expected a string or several"):
        predictor.predict(texts)


@pytest.mark.parametrize("wrong", [None, 7, b"feber", ["feber"], float("nan")])
def test_item_that_is_not_a_string_is_an_error_with_its_number(predictor: Predictor, wrong: Any) -> None:
    with pytest.raises(TextError, match=f"^text 3: found {type(wrong).__name__} "):
        predictor.predict(["a", "b", wrong])
    stream = predictor.stream(["a", "b", wrong])
    next(stream)
    with pytest.raises(TextError, match=r"^text 3: "):
        next(stream)


def test_invalid_text_is_an_error_with_its_number(predictor: Predictor) -> None:
    with pytest.raises(TextError, match=r"text 2: half a surrogate pair \(U\+D83D\) at offset 2"):
        predictor.predict(["Ont", "i \ud83d"])
    with pytest.raises(TextError, match="text 1: 10,000,001 characters; expected at most 10,000,000"):
        predictor.predict(["a" * (LONGEST_TEXT + 1)])


def test_model_of_another_tool_is_decoded_by_its_labels_with_a_note(folder: Path, tmp_path: Path) -> None:
    copy = changed(folder, tmp_path / "copy")
    (copy / INFERENCE_CONFIG_FILE).unlink()
    other = Predictor.load(copy)
    assert (other.config.tagging_scheme, other.config.word_tokenizer) == ("BIO", "whitespace")
    assert other.entity_types == ("DISORDER", "DRUG", "BODY")
    (note,) = other.notes
    assert "BIO" in note
    assert any(other.predict(TEXTS))


@pytest.mark.parametrize("scheme", ["IO", "BIO", "BIOES", "BILOU"])
def test_scheme_follows_from_the_prefixes_of_the_labels(tmp_path: Path, scheme: str) -> None:
    folder = a_model_folder(tmp_path / "best", tagging_scheme=scheme)
    (folder / INFERENCE_CONFIG_FILE).unlink()
    assert Predictor.load(folder).config.tagging_scheme == scheme


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([f"LABEL_{index}" for index in range(7)], "its labels are LABEL_0, LABEL_1"),
        (["NOUN", "VERB", "ADJ", "ADV", "PRON", "DET", "X"], "expected O and tags such as B-DRUG"),
        (["O", "B-A", "I-A", "E-A", "L-A", "S-A", "U-A"], "the prefixes B, E, I, L, S, U"),
        ([f"{letter}-A{index}" for index, letter in enumerate("BIBIBIB")], "expected O and tags"),
    ],
)
def test_model_without_entity_labels_is_an_error(
    folder: Path, tmp_path: Path, labels: list[str], expected: str
) -> None:
    copy = changed(folder, tmp_path / "copy", id2label={str(i): name for i, name in enumerate(labels)}, label2id={})
    (copy / INFERENCE_CONFIG_FILE).unlink()
    with pytest.raises(ModelError) as error:
        Predictor.load(copy)
    assert expected in str(error.value)


def test_labels_with_a_gap_are_an_error(folder: Path, tmp_path: Path) -> None:
    names = {"0": "O", "1": "B-DRUG", "2": "I-DRUG", "3": "B-BODY", "4": "I-BODY", "5": "B-DISORDER", "7": "I-DISORDER"}
    copy = changed(folder, tmp_path / "copy", id2label=names, label2id={})
    with pytest.raises(ModelError, match=r"config\.json: id2label: found .+; expected the name of each label"):
        Predictor.load(copy)


def test_folder_that_cannot_be_loaded_is_an_error(folder: Path, tmp_path: Path) -> None:
    broken = changed(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    bare = changed(folder, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    headless = changed(folder, tmp_path / "headless")
    transformers.AutoModelForTokenClassification.from_pretrained(folder).base_model.save_pretrained(headless)
    shutil.copy(folder / "config.json", headless)
    for name, error, expected in (
        ("broken", ModelError, "cannot be loaded"),
        ("headless", ModelError, "its weights lack classifier.bias, classifier.weight"),
        ("bare", EncoderError, "token"),
    ):
        with pytest.raises(error, match=expected):
            Predictor.load(tmp_path / name)


def test_an_ensemble_averages_its_models(tmp_path: Path) -> None:
    folder, texts = an_ensemble(tmp_path, {"seed": 1, "tagging_scheme": "BIOES"}, {"seed": 2}), TEXTS[:40]
    ensemble = Predictor.load(folder)
    taggers = [WordTagger(read_model_dir(folder / f"{number}-model"), "cpu", "fp32") for number in (0, 1)]
    sentences = [Sentence(str(number), text) for number, text in enumerate(texts)]
    mean = WordProbabilities.average([tagger(sentences)[0] for tagger in taggers])
    found = ensemble.predict(texts)
    assert list(map(places, found)) == [[(s.start, s.end, s.label) for s in spans] for spans in mean.spans()]
    assert sum(map(len, found)) > 20
    alone = [Predictor.load(folder / f"{number}-model").predict(texts) for number in (0, 1)]
    assert all(list(map(places, one)) != list(map(places, found)) for one in alone)


def test_an_ensemble_of_equal_models_has_their_scores(tmp_path: Path) -> None:
    changes: dict[str, object] = {"tagging_scheme": "IO", "decoding": "viterbi"}
    folder = an_ensemble(tmp_path, changes, changes)
    one, both = Predictor.load(folder / "0-model").predict(TEXTS[:40]), Predictor.load(folder).predict(TEXTS[:40])
    assert list(map(places, one)) == list(map(places, both))
    scores = [[span.score for spans in found for span in spans] for found in (one, both)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_training_texts_of_an_ensemble_are_those_of_all_models(tmp_path: Path) -> None:
    folder = an_ensemble(tmp_path, {"seed": 1}, {"seed": 2})
    hashes = Predictor.load(folder).training_text_hashes
    assert hashes is not None
    assert TEXTS[0] in hashes
    (folder / "1-model" / HASHES_FILE).unlink()
    assert Predictor.load(folder).training_text_hashes is None
