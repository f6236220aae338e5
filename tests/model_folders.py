"""Model folders of untrained models, whose predictions are arbitrary but deterministic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.factories import a_config
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.encoders import load_model, load_tokenizer, resolve_encoder
from tune_ner.training.model_export import TrainedModel
from tune_ner.training.training_text_hashes import TrainingTextHashes

TEXTS = tuple(sentence.text for sentence in synthetic_corpus(200).sentences)
TYPES = ("DISORDER", "DRUG", "BODY")


def an_untrained_model(**changes: Any) -> TrainedModel:
    """Return a tiny model with a trial's configuration and a head so large that it finds entities."""
    config = a_config(**{"word_tokenizer": "punctuation", **changes})
    encoder = resolve_encoder(config.model)
    labels = SCHEMES[config.tagging_scheme].labels(TYPES)
    tokenizer = load_tokenizer(encoder, TEXTS)
    model = load_model(encoder, labels, tokenizer, config.seed)
    with torch.no_grad():
        model.classifier.weight.normal_(std=1.0)
    return TrainedModel(
        config, encoder, tokenizer, labels, TYPES, model.state_dict(), None, TrainingTextHashes.of(TEXTS[:20])
    )


def a_model_folder(folder: Path, **changes: Any) -> Path:
    """Save such a model and return its folder."""
    an_untrained_model(**changes).save(folder)
    return folder
