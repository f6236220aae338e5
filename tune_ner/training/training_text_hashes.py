"""Which texts a model was trained or chosen on, so that nobody takes its figures on them for its figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tune_ner.errors import ModelError
from tune_ner.evaluation.seen_entities import normalize_entity

KNOWN_FILE = "known_texts.bin"
_BYTES = 8  # of a digest: among a million texts, a new one passes for known once in 10^13 times


@dataclass(frozen=True)
class TrainingTextHashes:
    """The texts of train and validation by their digests; case and white space make no difference."""

    digests: frozenset[bytes]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """These texts."""
        return cls(frozenset(map(_digest, texts)))

    def __contains__(self, text: str) -> bool:
        return _digest(text) in self.digests

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What lies in a model folder; None where nothing does.

        Raises:
            ModelError: the file cannot be read or is torn.
        """
        file = folder / KNOWN_FILE
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from error
        if len(content) % _BYTES:
            raise ModelError(
                f"{file}: found {len(content):,} bytes, expected digests of {_BYTES} bytes each: it is torn; remove "
                "it, or export the model again"
            )
        return cls(frozenset(content[start : start + _BYTES] for start in range(0, len(content), _BYTES)))

    def write(self, folder: Path) -> None:
        """Write them into a model folder, in an order that tells nothing of theirs.

        Raises:
            OSError: they cannot be written.
        """
        (folder / KNOWN_FILE).write_bytes(b"".join(sorted(self.digests)))


def _digest(text: str) -> bytes:
    form = normalize_entity(text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(form, digest_size=_BYTES).digest()
