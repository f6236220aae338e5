"""Upload of a model to the Hugging Face Hub: weights, tokenizer and card, never data."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tune_ner.errors import ModelError
from tune_ner.inference.model_dir import find_model_dir
from tune_ner.training.training_text_hashes import HASHES_FILE
from tune_ner.utils.text import one_line

_CARD = "README.md"
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_UNKNOWN_LANGUAGE = re.compile(r"^(- \*\*language:\*\*) .*$", re.MULTILINE)


def push(model: str | Path, repository: str, *, license_name: str, language: str, public: bool = False) -> str:
    """Upload a model in one commit; a repository that does not exist is created.

    Everything in the model folder is uploaded except the hashes of the training texts, with which whoever has a text
    could find out whether it was among them.

    Args:
        model: a run folder, for its best model, or a model folder.
        repository: `OWNER/NAME`.
        license_name: license of the model, as the Hub names it, such as `cc-by-4.0`.
        language: code of the language, such as `sv`.
        public: whether a new repository is public.

    Returns:
        The address of the model.

    Raises:
        ModelError: there is no such model, an argument is invalid, or the Hub refuses access or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    folder = find_model_dir(model)
    if repository.count("/") != 1:
        raise ModelError(f"found the repository {repository!r}, expected OWNER/NAME")
    if not _LANGUAGE.fullmatch(language):
        raise ModelError(f"--language {language}: expected a code such as sv, de or pt-BR")
    card = _card(folder, license_name, language)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (_CARD, HASHES_FILE)]
    operations = [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files]
    operations.append(CommitOperationAdd(_CARD, card.encode()))
    api = HfApi(library_name="tune-ner")
    try:
        created = api.create_repo(repository, private=not public, exist_ok=True)
        api.create_commit(repository, operations, commit_message="Model of tune-ner")
    except HFValidationError as error:
        raise ModelError(f"the repository {repository!r} is not valid: {error}") from error
    except (LocalTokenNotFoundError, HfHubHTTPError) as error:
        problem = f"the Hub refuses {repository}: {one_line(error)[:300]}"
        raise ModelError(f"{problem}; log in with `hf auth login` as someone who may write there") from error
    except Exception as error:  # the HTTP client, of which the Hub's library has changed, raises its own classes
        problem = f"{repository} cannot be uploaded: {one_line(error)[:300]}"
        raise ModelError(f"{problem}; check the connection to {api.endpoint}") from error
    return str(created)


def _card(folder: Path, license_name: str, language: str) -> str:
    """Return the model's card with its license and language.

    Raises:
        ModelError: there is none, or its front matter cannot be read.
    """
    from huggingface_hub import ModelCard

    file = folder / _CARD
    if not file.is_file():
        raise ModelError(f"{file}: missing; expected the model card that a run writes, with data, metrics and limits")
    try:
        card = ModelCard(_UNKNOWN_LANGUAGE.sub(rf"\1 {language}", file.read_text(encoding="utf-8")))
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    card.data["license"] = license_name
    card.data["language"] = language
    return f"{str(card).rstrip()}\n"
