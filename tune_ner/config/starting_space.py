"""A search space to start with for a corpus: encoders for its language, learning rates, split, seeds and epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tune_ner.data.corpus import Corpus
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import SpaceError
from tune_ner.utils.text import near_misses, plural

MULTILINGUAL = "FacebookAI/xlm-roberta-base"
LANGUAGES = {
    "ar": ("Arabic", "aubmindlab/bert-base-arabertv02"),
    "cs": ("Czech", "ufal/robeczech-base"),
    "da": ("Danish", "Maltehb/danish-bert-botxo"),
    "de": ("German", "deepset/gbert-base"),
    "el": ("Greek", "nlpaueb/bert-base-greek-uncased-v1"),
    "en": ("English", "google-bert/bert-base-cased"),
    "es": ("Spanish", "dccuchile/bert-base-spanish-wwm-cased"),
    "et": ("Estonian", "tartuNLP/EstBERT"),
    "fa": ("Persian", "HooshvareLab/bert-fa-zwnj-base"),
    "fi": ("Finnish", "TurkuNLP/bert-base-finnish-cased-v1"),
    "fr": ("French", "almanach/camembert-base"),
    "hi": ("Hindi", "google/muril-base-cased"),
    "hu": ("Hungarian", "SZTAKI-HLT/hubert-base-cc"),
    "it": ("Italian", "dbmdz/bert-base-italian-cased"),
    "ko": ("Korean", "klue/bert-base"),
    "nl": ("Dutch", "GroNLP/bert-base-dutch-cased"),
    "no": ("Norwegian", "NbAiLab/nb-bert-base"),
    "pt": ("Portuguese", "neuralmind/bert-base-portuguese-cased"),
    "ro": ("Romanian", "dumitrescustefan/bert-base-romanian-cased-v1"),
    "ru": ("Russian", "DeepPavlov/rubert-base-cased"),
    "sv": ("Swedish", "KB/bert-base-swedish-cased"),
    "tr": ("Turkish", "dbmdz/bert-base-turkish-cased"),
    "zh": ("Chinese", "google-bert/bert-base-chinese"),
}
"""Name and an encoder of the Hugging Face Hub for each language code (ISO 639-1)."""
_SAME = {"nb": "no", "nn": "no"}
_SAMPLED_CHARACTERS = 20_000
_TRAIN_SHARE = 0.72
"""Share of the training set in the default split."""
_EPOCHS = ((500, 20), (5_000, 10), (50_000, 5))
_FEW_EPOCHS = 3
_MANY_ENTITIES = 2_000


def detect_language(corpus: Corpus) -> str:
    """Return the code of the language that a sample of the texts most resembles (py3langid)."""
    import py3langid

    step = max(1, len(corpus.sentences) // 500)
    text = " ".join(sentence.text for sentence in corpus.sentences[::step])[:_SAMPLED_CHARACTERS]
    code = str(py3langid.classify(text)[0])
    return _SAME.get(code, code)


def starting_space(
    data: str,
    corpus: Corpus,
    reading: Mapping[str, Any] | None = None,
    *,
    markup: MarkupMode = "keep",
    language: str | None = None,
    schema: Path | None = None,
) -> str:
    """Return a search space for a corpus as YAML, with a comment on each choice.

    Args:
        data: path or name of the corpus.
        corpus: the corpus, read with the same options.
        reading: the options of `load_corpus` that were given.
        markup: whether annotation markup is kept.
        language: code of its language; by default it is detected.
        schema: the JSON schema of search spaces, which the first line names for editors.

    Raises:
        SpaceError: the language is unknown.
    """
    reading = dict(reading or {})
    if language is not None and language not in LANGUAGES:
        raise SpaceError(
            f"--language {language}: expected one of {', '.join(LANGUAGES)}{near_misses(language, LANGUAGES)}; for "
            "another one, leave the option out and edit `model`"
        )
    groups = len({sentence.group for sentence in corpus.sentences if sentence.group})
    if groups > 1 and "group_by" not in reading and not corpus.splits:
        reading["group_by"] = "document"
    entities = sum(len(sentence.spans) for sentence in corpus.sentences)
    train = len(corpus.splits["train"]) if "train" in corpus.splits else round(_TRAIN_SHARE * len(corpus.sentences))
    sections = [
        _header(data, corpus, entities, schema),
        {"data": {"path": data, **reading} if reading else data, "markup": markup},
        *_split(corpus, reading, groups),
        *_models(language or detect_language(corpus), is_given=language is not None),
        "# How words get labels. Both are usual; the report says whether they differ.",
        {"tagging_scheme": ["BIO", "BIOES"]},
        "# The usual range for encoders of this size. Small encoders, such as MiniLM, need ten times as much.",
        "learning_rate: [2.0e-5, 5.0e-5, 1.0e-4]",
        *_seeds(entities),
        "# The best epoch on the validation set is kept. Small corpora need more epochs.",
        {"epochs": next((epochs for size, epochs in _EPOCHS if train < size), _FEW_EPOCHS)},
    ]
    return "".join(f"{section}\n" if isinstance(section, str) else _yaml(section) for section in sections)


def _header(data: str, corpus: Corpus, entities: int, schema: Path | None) -> str:
    editors = f"# yaml-language-server: $schema={schema}\n#\n" if schema else ""
    types = ", ".join(corpus.entity_types[:8]) + (" …" if len(corpus.entity_types) > 8 else "")
    return (
        f"{editors}# Search space for {data}: {plural(len(corpus.sentences), 'sentence')}, "
        f"{plural(entities, 'entity', 'entities')} of {plural(len(corpus.entity_types), 'type')} ({types}).\n"
        "# Change what you like; `tune-ner grid THIS-FILE --dry-run` shows what it would run."
    )


def _split(corpus: Corpus, reading: Mapping[str, Any], groups: int) -> list[str | dict[str, Any]]:
    if corpus.splits:
        return [f"# The published split is used: {', '.join(corpus.splits)}."]
    if "group_by" in reading:
        return [
            f"# Sentences of one {reading['group_by']} stay in one split"
            f"{f' ({groups} of them)' if groups > 1 else ''}, and 20 % of all are for the test.",
            {"split": {"test_size": 0.2, "validation_size": 0.1, "seed": 67}},
        ]
    return [
        "# Near-identical sentences stay in one split, so that the test score is not that of learned sentences.",
        {"split": {"method": "grouped", "test_size": 0.2, "validation_size": 0.1, "seed": 67}},
    ]


def _models(language: str, is_given: bool) -> list[str | dict[str, Any]]:
    how = "" if is_given else "The texts look like "
    if language not in LANGUAGES:
        return [
            f"# {how}{language!r}, for which no encoder is listed here: a multilingual one. Add others from "
            "https://huggingface.co/models.",
            {"model": [MULTILINGUAL]},
        ]
    name, encoder = LANGUAGES[language]
    return [
        f"# {how}{name}: an encoder for it, and a multilingual one. Any encoder of the Hugging Face Hub, or a folder, "
        "can be added.",
        {"model": [encoder, MULTILINGUAL]},
    ]


def _seeds(entities: int) -> list[str | dict[str, Any]]:
    few = entities < _MANY_ENTITIES
    why = "With so few entities, scores of two seeds differ much" if few else "Two seeds show how much scores vary"
    return [f"# {why}; a single seed cannot tell configurations apart.", {"seed": [1, 2, 3] if few else [1, 2]}]


def _yaml(content: dict[str, Any]) -> str:
    options: Any = {"sort_keys": False, "allow_unicode": True, "default_flow_style": True, "width": math.inf}
    values = {key: yaml.safe_dump(value, **options).strip().removesuffix("\n...") for key, value in content.items()}
    return "".join(f"{key}: {value}\n" for key, value in values.items())
