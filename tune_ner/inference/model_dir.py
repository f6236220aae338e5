"""Reading and validation of a folder with a token classification model, made by this package or by another tool."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from tune_ner.data.tag_parsing import OUTSIDE, split_tag
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.inference.onnx_model import ONNX_FILE, OnnxModel
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.baseline import BASELINE_FILE
from tune_ner.training.dataset import max_positions
from tune_ner.training.encoders import Encoder, load_tokenizer, too_many_layers
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE, InferenceConfig
from tune_ner.training.training_text_hashes import TrainingTextHashes
from tune_ner.utils.remote import RemoteRun, is_url
from tune_ner.utils.text import first_line

ENSEMBLE_FILE = "ensemble.json"
_LONGEST_WINDOW = 512
_SHORTEST_WINDOW = 8


@dataclass(frozen=True)
class ModelDir:
    """The content of a model folder.

    Attributes:
        model: the model in fp32, on the CPU; an `OnnxModel` if the folder has one.
        tokenizer: its tokenizer.
        labels: the label of each id.
        config: tokenization and decoding; its windows fit the model, and overlap.
        notes: remarks for the user, one sentence each.
        training_text_hashes: hashes of the texts that the model was trained or selected on; None if unknown.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    config: InferenceConfig
    notes: tuple[str, ...]
    training_text_hashes: TrainingTextHashes | None


def read_model_dir(path: str | Path) -> ModelDir:
    """Read and validate a model folder, or the best model of a run folder.

    Raises:
        ModelError: there is no such folder, or it has no weights or no entity labels.
        EncoderError: its tokenizer cannot be loaded.
    """
    folder = find_model_dir(path)
    labels, notes = _read_labels(folder), []
    config = InferenceConfig.read(folder)
    tokenizer = load_tokenizer(Encoder(str(folder), "folder", location=str(folder), fingerprint="", folder=""), [])
    is_onnx = (folder / ONNX_FILE).exists()
    model = OnnxModel(folder) if is_onnx else _load_model(folder)
    positions = None if is_onnx else max_positions(model)
    if config is None:
        length = min(tokenizer.model_max_length, positions or _LONGEST_WINDOW, _LONGEST_WINDOW)
        config = _infer_config(labels, folder, length)
        notes.append(
            f"{folder}: no {INFERENCE_CONFIG_FILE}; labels read as {config.tagging_scheme}, words split at white space"
        )
    elif sorted(SCHEMES[config.tagging_scheme].labels(config.entity_types)) != sorted(labels):
        raise ModelError(
            f"{folder / INFERENCE_CONFIG_FILE}: tagging_scheme {config.tagging_scheme} and entity_types "
            f"{', '.join(config.entity_types)} do not give the labels of config.json, {', '.join(labels[:6])}; "
            "expected the two files of one model"
        )
    elif config.crf and len(config.crf.starts) != len(labels):
        raise ModelError(
            f"{folder / INFERENCE_CONFIG_FILE}: crf has transitions of {len(config.crf.starts)} labels, and "
            f"config.json has {len(labels)}; expected the two files of one model"
        )
    length = max(config.max_length, _SHORTEST_WINDOW)
    length = min(length, positions or length)
    # a model that was trained without a stride never saw the text after the first window
    stride = min(config.stride or length // 4, length // (4 if length < config.max_length else 2))
    config = config.model_copy(update={"max_length": length, "stride": stride})
    return ModelDir(model, tokenizer, labels, config, tuple(notes), TrainingTextHashes.read(folder))


@contextmanager
def new_model_folder(target: Path) -> Iterator[Path]:
    """Yield a folder next to `target` that is renamed at the end, so that an error leaves nothing.

    Raises:
        ModelError: the target exists or cannot be written.
    """
    if target.exists():
        raise ModelError(f"{target}: exists; choose another folder with --output, or remove it")
    work = target.with_name(f".{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        yield work
        work.rename(target)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetched(url: str) -> Path:
    """Fetch the best model of a run in an object store, and return the local copy of the run."""
    run = RemoteRun(url.rstrip("/").removesuffix("/best"))
    try:
        if not run.fetch(only="best/"):
            raise ModelError(
                f"{run.shown}: no run there; expected the URL of a run folder, such as s3://bucket/runs/demo"
            )
    except RunFolderError as error:
        raise ModelError(str(error)) from error
    return run.path / "best"


def model_folder(path: str | Path) -> Path:
    """Return the model folder itself, or `best` in a run folder.

    Raises:
        ModelError: it does not exist, or is not a folder with a model of any kind.
    """
    if is_url(path):
        path = _fetched(str(path))
    problem = ""
    try:
        folder = Path(path).expanduser()
        if (folder / "trials.jsonl").is_file():
            folder /= "best"
            if not folder.is_dir():
                raise ModelError(
                    f"{folder.parent}: this run has no model in best/: it is not completed, ran with --no-export, or "
                    "none of its trials completed; repeat its command with --name and --export"
                )
        if not folder.exists():
            problem = "no such folder"
        elif not folder.is_dir():
            problem = "a file"
        elif not any((folder / name).is_file() for name in ("config.json", ENSEMBLE_FILE, BASELINE_FILE)):
            problem = "no config.json in it" if any(folder.iterdir()) else "the folder is empty"
    except (OSError, RuntimeError) as error:  # a name that is too long, no permission, an unknown home folder
        raise ModelError(f"model {str(path)[:200]!r}: cannot be read: {str(error)[:300]}") from error
    if problem:
        raise ModelError(
            f"model {str(folder)!r}: {problem}; expected a folder with config.json, model.safetensors and a tokenizer, "
            "such as results/RUN/best"
        )
    return folder


def find_model_dir(path: str | Path) -> Path:
    """Return the folder of a model with an encoder: that folder itself, or `best` in a run folder.

    Raises:
        ModelError: it does not exist, or has a model of another kind or none.
    """
    folder = model_folder(path)
    kinds = {
        ENSEMBLE_FILE: "an ensemble of several models; name one of the folders in it",
        BASELINE_FILE: "a baseline; expected a model with an encoder",
    }
    for name, problem in kinds.items():
        if (folder / name).is_file():
            raise ModelError(f"model {str(folder)!r}: {problem}")
    return folder


def _read_labels(folder: Path) -> tuple[str, ...]:
    """Read `id2label`; transformers would invent missing labels.

    Raises:
        ModelError: `config.json` is invalid, or `id2label` does not map 0, 1, 2 … to `O` and other distinct tags.
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
    labels = tuple(str(id2label[str(index)]) for index in range(len(id2label)))
    if repeated := [label for label, count in Counter(labels).items() if count > 1]:
        raise ModelError(f"{file}: id2label: duplicate label {repeated[0]!r}; expected distinct labels")
    try:
        is_tagger = OUTSIDE in labels and any(split_tag(label)[1] for label in labels)
    except ValueError:
        is_tagger = False
    if not is_tagger:
        shown = ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
        raise ModelError(
            f"model {str(folder)!r}: its labels are {shown}; expected O and tags such as B-DRUG and I-DRUG in id2label "
            "of config.json: a model that was trained for named entities"
        )
    return labels


def _infer_config(labels: tuple[str, ...], folder: Path, max_length: int) -> InferenceConfig:
    """Return the config of another tool's model: its scheme is the first one that has all prefixes of the labels."""
    tags = [split_tag(label) for label in labels if label != OUTSIDE]
    prefixes = {prefix for prefix, _ in tags}
    scheme = next((name for name in ("IO", "BIO", "BIOES", "BILOU") if prefixes <= set(SCHEMES[name].prefixes)), None)
    if scheme is None:
        raise ModelError(
            f"model {str(folder)!r}: its labels have the prefixes {', '.join(sorted(prefixes))}; expected those of one "
            "scheme: B I, B I E S or B I L U"
        )
    return InferenceConfig.model_validate(
        {
            "trial_id": "",
            "tagging_scheme": scheme,
            "entity_types": tuple(dict.fromkeys(entity_type for _, entity_type in tags)),
            "word_tokenizer": "whitespace",
            "subword_labels": "first",
            "max_length": max_length,
            "stride": 0,
            "decoding": "argmax",
        }
    )


def _load_model(folder: Path) -> Any:
    """Load the model in fp32.

    Raises:
        ModelError: it cannot be loaded, or its weights do not belong to a token classification model with these labels.
    """
    if problem := too_many_layers(folder):
        raise ModelError(f"model {str(folder)!r}: {problem}")
    try:
        model, loading = transformers.AutoModelForTokenClassification.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported below
            output_loading_info=True,
        )
    except Exception as error:  # transformers, safetensors and torch raise many classes for invalid files
        raise ModelError(
            f"model {str(folder)!r}: cannot be loaded: {first_line(error)[:300]}; expected a token classification "
            "model of transformers with weights in safetensors"
        ) from error
    if missing := sorted(loading["missing_keys"]):
        problem = f"its weights lack {', '.join(missing[:3])}; expected a model trained for token classification"
    elif mismatched := sorted(loading["mismatched_keys"]):
        name, found, expected = mismatched[0]
        problem = (
            f"{name} has the shape {tuple(found)} and config.json asks for {tuple(expected)}; expected as many labels "
            "in id2label as the weights were trained for"
        )
    elif invalid := [name for name, weights in model.named_parameters() if not bool(torch.isfinite(weights).all())]:
        problem = f"{invalid[0]} has weights that are NaN or infinite; expected a model whose training did not diverge"
    else:
        return model
    raise ModelError(f"model {str(folder)!r}: {problem}")
