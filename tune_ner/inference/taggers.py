"""Models that label the words of sentences, from a folder of any kind."""

from __future__ import annotations

from pathlib import Path

import torch

from tune_ner.config.hyperparameters import Precision
from tune_ner.errors import ModelError
from tune_ner.inference.ensemble_dir import ensemble_members
from tune_ner.inference.model_dir import model_folder, read_model_dir
from tune_ner.inference.word_tagger import WordTagger
from tune_ner.training.baseline import BaselineModel, read_baseline

Tagger = WordTagger | BaselineModel


def read_taggers(path: str | Path, device: str | None = None, precision: Precision = "fp32") -> list[Tagger]:
    """Read the models of an ensemble folder, or the one model of any other folder.

    Args:
        path: see `Predictor.load`.
        device: the torch device; by default a GPU if there is one.
        precision: of the weights and the computation.

    Raises:
        ModelError: there is no such folder, its files are corrupt, or the models of an ensemble find other entities or
            words.
        EncoderError: a tokenizer cannot be loaded.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = model_folder(path)
    members = ensemble_members(folder)
    taggers = [_read(member, device, precision) for member in members or [folder]]
    for member, tagger in zip(members, taggers, strict=False):
        for key in ("entity_types", "word_tokenizer"):
            found, expected = getattr(tagger.config, key), getattr(taggers[0].config, key)
            if found != expected:
                raise ModelError(
                    f"{member}: {key} is {found}, and {expected} in {members[0].name}; expected the models of one "
                    "ensemble"
                )
    return taggers


def _read(folder: Path, device: str, precision: Precision) -> Tagger:
    return read_baseline(folder) or WordTagger(read_model_dir(folder), device, precision)
