"""A folder with a token classification model of transformers, whoever made it, and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from tune_ner.data.tag_parsing import OUTSIDE, split_tag
from tune_ner.errors import ModelError
from tune_ner.tagging.schemes import SCHEMES, TaggingScheme
from tune_ner.training.model_settings import SETTINGS_FILE, ModelSettings


def checked_folder(folder: Path) -> Path:
    """The folder, if it looks like one.

    Raises:
        ModelError: there is no such folder, or no `config.json` in it.
    """
    expected = "expected a folder with config.json, model.safetensors and a tokenizer, such as results/RUN/best"
    try:
        folder = folder.expanduser()
        if not folder.exists():
            raise ModelError(f"model {str(folder)!r}: no such folder; {expected}")
        if not folder.is_dir():
            raise ModelError(f"model {str(folder)!r}: a file; {expected}")
        if not (folder / "config.json").is_file():
            found = "no config.json in it" if any(folder.iterdir()) else "the folder is empty"
            raise ModelError(f"model {str(folder)!r}: {found}; {expected}")
    except (OSError, RuntimeError) as error:  # a name too long, a folder that is closed, the home of nobody
        raise ModelError(f"model {str(folder)[:200]!r}: cannot be read: {str(error)[:300]}") from error
    return folder


def load_tagger(folder: Path) -> Any:
    """The model, in fp32.

    Raises:
        ModelError: it cannot be loaded, or its weights are not those of a tagger with these labels.
    """
    try:
        model, loading = transformers.AutoModelForTokenClassification.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # to be told here in our own words
            output_loading_info=True,
        )
    # transformers, safetensors and torch raise errors of many classes for faulty files
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"model {str(folder)!r}: cannot be loaded: {reason[:300]}; expected a token classification model of "
            "transformers with weights in safetensors"
        ) from error
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(
            f"model {str(folder)!r}: its weights lack {', '.join(missing[:3])}; expected a model that was trained for "
            "token classification, and not the encoder alone"
        )
    if mismatched := sorted(loading["mismatched_keys"]):
        name, found, expected = mismatched[0]
        raise ModelError(
            f"model {str(folder)!r}: {name} has the shape {tuple(found)} and config.json asks for {tuple(expected)}; "
            "expected as many labels in id2label as the weights were trained for"
        )
    if faulty := [name for name, weights in model.named_parameters() if not bool(torch.isfinite(weights).all())]:
        raise ModelError(
            f"model {str(folder)!r}: {faulty[0]} has weights that are no numbers; expected a model whose training "
            "did not diverge"
        )
    return model


def check_labels(folder: Path) -> None:
    """`id2label` as it is written: transformers would make up what is missing there.

    Raises:
        ModelError: `config.json` is no JSON object, or its `id2label` no mapping of 0, 1, 2 … to different names.
    """
    file = folder / "config.json"
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read as JSON: {str(error)[:200]}; expected a model's settings") from error
    id2label = content.get("id2label") if isinstance(content, dict) else None
    if not isinstance(id2label, dict) or sorted(id2label) != sorted(map(str, range(len(id2label)))):
        found = "nothing" if id2label is None else json.dumps(id2label)[:100]
        raise ModelError(
            f"{file}: id2label: found {found}; expected the name of each label by its number, such as "
            '{"0": "O", "1": "B-DRUG", "2": "I-DRUG"}: a model that was trained for named entities'
        )
    if twice := [label for label, count in Counter(map(str, id2label.values())).items() if count > 1]:
        raise ModelError(f"{file}: id2label: {twice[0]!r} stands twice; expected a name of its own for each label")


def check_settings(settings: ModelSettings, labels: Sequence[str], folder: Path) -> None:
    """That `tune_ner.json` speaks of these labels."""
    scheme = SCHEMES[settings.tagging_scheme]
    if sorted(scheme.labels(settings.types)) != sorted(labels):
        raise ModelError(
            f"{folder / SETTINGS_FILE}: tagging_scheme {settings.tagging_scheme} and types "
            f"{', '.join(settings.types)} do not give the labels of config.json, {', '.join(labels[:6])}; expected the "
            "two files of one model"
        )


def labels_of(model: Any, folder: Path) -> tuple[str, ...]:
    """The label of each id.

    Raises:
        ModelError: they are not `O` and tags.
    """
    id2label = model.config.id2label
    labels = tuple(str(id2label.get(index, "(none)")) for index in range(len(id2label)))
    try:
        types = {split_tag(label)[1] for label in labels}
    except ValueError:
        types = set()
    if not types - {""} or OUTSIDE not in labels:
        shown = ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
        raise ModelError(
            f"model {str(folder)!r}: its labels are {shown}; expected O and tags such as B-DRUG and I-DRUG in id2label "
            "of config.json: a model that was trained for named entities"
        )
    return labels


def scheme_of(labels: Sequence[str], folder: Path) -> TaggingScheme:
    """The first scheme that has all letters of the labels."""
    letters = {split_tag(label)[0] for label in labels} - {OUTSIDE}
    for name in ("IO", "BIO", "BIOES", "BILOU"):
        if letters <= set(SCHEMES[name].prefixes):
            return SCHEMES[name]
    raise ModelError(
        f"model {str(folder)!r}: its labels have the letters {', '.join(sorted(letters))}; expected those of one "
        "scheme: B I, B I E S or B I L U"
    )
