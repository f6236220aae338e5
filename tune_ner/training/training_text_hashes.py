"""Hashes of the texts that a model was trained or selected on, which tell them from new texts at evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tune_ner.errors import ModelError
from tune_ner.evaluation.seen_entities import normalize_entity

HASHES_FILE = "training_text_hashes.bin"
_BYTES = 8  # of a hash: with a million texts, one new text in 10^13 collides


@dataclass(frozen=True)
class TrainingTextHashes:
    """Hashes of the texts of train and validation; case and white space are ignored."""

    hashes: frozenset[bytes]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Hash texts."""
        return cls(frozenset(map(_hash, texts)))

    @classmethod
    def union(cls, several: Iterable[Self | None]) -> Self | None:
        """Return the hashes of several models; None if those of one are unknown."""
        known = list(several)
        return None if None in known else cls(frozenset().union(*(each.hashes for each in known if each)))

    def __contains__(self, text: str) -> bool:
        return _hash(text) in self.hashes

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the hashes from a model folder; None if it has none.

        Raises:
            ModelError: the file is unreadable or truncated.
        """
        file = folder / HASHES_FILE
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from error
        if len(content) % _BYTES:
            raise ModelError(
                f"{file}: found {len(content):,} bytes, expected hashes of {_BYTES} bytes each: the file is truncated; "
                "remove it, or export the model again"
            )
        return cls(frozenset(content[start : start + _BYTES] for start in range(0, len(content), _BYTES)))

    def write(self, folder: Path) -> None:
        """Write the hashes into a model folder, sorted, so that their order reveals nothing about the texts.

        Raises:
            OSError: the file cannot be written.
        """
        (folder / HASHES_FILE).write_bytes(b"".join(sorted(self.hashes)))


def _hash(text: str) -> bytes:
    form = normalize_entity(text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(form, digest_size=_BYTES).digest()
