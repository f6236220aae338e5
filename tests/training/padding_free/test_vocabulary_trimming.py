"""The trimmed vocabulary: other ids, the same embeddings, the same metrics."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_config
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training.encoders import load_tokenizer, resolve_encoder
from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary, can_trim
from tune_ner.training.trial import TrialOptions, run_trial

ids = st.lists(st.lists(st.integers(0, 99), min_size=1), min_size=1)


def a_model(**changes: Any) -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 100,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    return transformers.BertForTokenClassification(transformers.BertConfig(**{**sizes, **changes}))


@given(ids, st.integers(0, 3))
def test_every_id_keeps_its_embedding(rows: list[list[int]], pad_id: int) -> None:
    vocabulary = Vocabulary.of(map(np.array, rows), pad_id)
    for row in rows:
        assert vocabulary.ids[vocabulary.renumbered(np.array(row))].tolist() == row
    assert vocabulary.renumbered(np.array([pad_id])).tolist() == [pad_id]
    assert set(vocabulary.ids.tolist()) == {used for row in rows for used in row} | set(range(pad_id + 1))


def test_trimmed_model_has_the_same_logits() -> None:
    model = a_model().eval()
    rows = [np.array([2, 50, 97, 3]), np.array([2, 7, 3])]
    vocabulary = Vocabulary.of(rows, pad_id=0)
    with torch.no_grad():
        whole = [model(torch.from_numpy(row[None])).logits for row in rows]
        vocabulary.trim(model)
        trimmed = [model(torch.from_numpy(vocabulary.renumbered(row)[None])).logits for row in rows]
    assert model.get_input_embeddings().weight.shape == (6, 16)
    for one, other in zip(whole, trimmed, strict=True):
        assert torch.equal(one, other)


def test_only_one_plain_embedding_table_can_be_trimmed() -> None:
    model = a_model()
    assert can_trim(model)
    model.set_input_embeddings(torch.nn.Sequential(torch.nn.Embedding(100, 16)))
    assert not can_trim(model)


@pytest.mark.slow
@pytest.mark.parametrize("batching", ["padded", "padding_free"])
def test_trial_with_a_trimmed_vocabulary_has_the_same_metrics(tmp_path: Any, batching: str) -> None:
    corpus = synthetic_corpus(400)
    folder = tmp_path / "encoder"
    # a vocabulary much larger than the corpus, and dropout on
    tiny = resolve_encoder("tiny:1x32")
    tokenizer = load_tokenizer(tiny, [sentence.text for sentence in synthetic_corpus(3000, seed=9).sentences])
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "vocab_size": 5000, "initializer_range": 0.1}
    transformers.BertModel(a_model(**sizes).config).save_pretrained(folder)
    encoder = resolve_encoder(str(folder))
    split = split_corpus(corpus, SplitSpec())

    def trial(trimmed: bool) -> Any:
        config = a_config(model=str(folder), learning_rate=5e-3, epochs=4, batching=batching, trim_vocabulary=trimmed)
        return run_trial(config, encoder, corpus, split, TrialOptions(threads=1))

    complete, trimmed = trial(False), trial(True)
    assert complete.metrics["validation"].spans.f1 > 0
    for one, other in zip(complete.epochs, trimmed.epochs, strict=True):
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-5)
        no_loss: dict[str, Any] = {"validation_loss": 0, "training_loss": 0}
        assert replace(other, **no_loss) == replace(one, **no_loss)
    assert trimmed.test_loss == pytest.approx(complete.test_loss, rel=1e-5)
    assert trimmed.predicted_spans == complete.predicted_spans
    assert trimmed.parameters == complete.parameters
