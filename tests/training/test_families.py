"""Encoder families: small random models of each are trained, exported and predict what the evaluation did."""

from pathlib import Path
from typing import Any

import pytest
import transformers

from tests.factories import a_config
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.inference.predictor import Predictor
from tune_ner.training.encoders import Encoder, load_tokenizer, resolve_encoder
from tune_ner.training.trial import TrialOptions, run_trial

CORPUS = synthetic_corpus(80)
SPLIT = split_corpus(CORPUS, SplitSpec())

_BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": _BERT,
    "roberta": _BERT | {"max_position_embeddings": 300},
    "xlm-roberta": _BERT | {"max_position_embeddings": 300},
    "camembert": _BERT | {"max_position_embeddings": 300},
    "electra": _BERT | {"embedding_size": 16},
    "deberta": _BERT,
    "deberta-v2": _BERT | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    "modernbert": _BERT | {"global_attn_every_n_layers": 2, "local_attention": 16},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "luke": _BERT | {"entity_vocab_size": 10, "entity_emb_size": 16, "max_position_embeddings": 300},
    "longformer": _BERT | {"attention_window": 16, "max_position_embeddings": 300},
    "t5": _T5,
    "mt5": _T5,
    "umt5": _T5,
    "eurobert": _BERT | {"num_key_value_heads": 2},
}
USUAL = {"roberta", "deberta-v2", "modernbert", "t5"}  # the others take a minute together


def a_folder(family: str, folder: Path) -> Path:
    """Save a random encoder of a family, with a tokenizer of the corpus."""
    tokenizer = load_tokenizer(Encoder("tiny:1x32", "tiny", "1x32", "", ""), [s.text for s in CORPUS.sentences])
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "cls", "sep")}
    settings = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **FAMILIES[family]}
    config = transformers.AutoConfig.for_model(family, **settings)
    for name in ("bos", "eos"):
        setattr(config, f"{name}_token_id", special["cls_token_id" if name == "bos" else "sep_token_id"])
    transformers.set_seed(0)
    model = transformers.AutoModelForTokenClassification.from_config(config)
    model.base_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "family", [name if name in USUAL else pytest.param(name, marks=pytest.mark.long) for name in FAMILIES]
)
def test_family_is_trained_exported_and_predicts(tmp_path: Path, family: str, precision: str) -> None:
    encoder = resolve_encoder(str(a_folder(family, tmp_path / "encoder")))
    config = a_config(
        model=encoder.name,
        learning_rate=1e-2,
        epochs=2,
        word_tokenizer="punctuation",
        precision=precision,
        batching="padding_free",
        trim_vocabulary=True,
        layer_learning_rate_decay=0.9,
        class_weights="balanced",  # so that some entities are predicted
    )
    options = TrialOptions(threads=1, on_trained=lambda _, model: model.save(tmp_path / "best"))
    result = run_trial(config, encoder, CORPUS, SPLIT, options)
    assert result.epochs[-1].validation_loss < result.epochs[0].validation_loss
    assert result.precision_used == ("fp32" if family == "deberta" else precision)
    texts = [CORPUS.sentences[index].text for index in SPLIT.test]
    found = Predictor.load(tmp_path / "best").predict(texts)
    assert any(found)
    spans = tuple(tuple(span.span for span in row) for row in found)
    same = sum(one == other for one, other in zip(spans, result.predicted_spans["test"], strict=True))
    assert same >= (1.0 if precision == "fp32" else 0.8) * len(texts)
