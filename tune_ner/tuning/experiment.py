"""A search space made ready: data read and divided, encoders found, every trial named."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tune_ner.data import Corpus, Split, load_corpus, split_corpus
from tune_ner.errors import EncoderError, SpaceError
from tune_ner.training import TrialConfig
from tune_ner.training.encoders import Encoder, encoder_size, resolve_encoder
from tune_ner.tuning.resources import TrialNeed
from tune_ner.tuning.space import SearchSpace

# Measured: a record takes about 4 kB, and a sentence with its gold and predicted spans about 300 bytes.
_RECORD_BYTES = 4_000
_PREDICTION_BYTES = 300

MAX_TRIALS = 100_000


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, checked before Ray starts. `encoders` are keyed by the space's names."""

    space: SearchSpace
    corpus: Corpus
    split: Split
    encoders: dict[str, Encoder]
    data_fingerprint: str

    @property
    def trials(self) -> list[TrialConfig]:
        """The configurations of the grid, in its order."""
        return [self.trial(point) for point in self.space.points()]

    def trial(self, point: dict[str, object]) -> TrialConfig:
        """The configuration at a point of the space."""
        return TrialConfig.model_validate(
            {
                **point,
                "data_fingerprint": self.data_fingerprint,
                "model_fingerprint": self.encoders[str(point["model"])].fingerprint,
                "precision": self.space.precision,
            }
        )

    @property
    def need(self) -> TrialNeed:
        """The estimated memory of the largest trial."""
        sizes = [encoder_size(encoder) for encoder in self.encoders.values()]
        batch, length = max(self.space.batch_size), max(self.space.max_length)
        return max((TrialNeed.of(size, batch, length) for size in sizes), key=lambda need: need.on_gpu)

    @property
    def disk_bytes(self) -> int:
        """Estimated bytes that the run leaves: records and predicted spans, no weights."""
        sentences = len(self.split.validation) + len(self.split.test)
        return len(self.space.points()) * (_RECORD_BYTES + sentences * _PREDICTION_BYTES)


def prepare(space: SearchSpace) -> Experiment:
    """Read the data, divide it, and find every encoder.

    Raises:
        SpaceError: the grid is too large to be meant.
        DataError, SplitError: the data cannot be read or divided.
        EncoderError: every encoder that cannot be found, in one message.
    """
    trials = math.prod(len(values) for values in space.axes.values())
    if trials > MAX_TRIALS:
        raise SpaceError(f"this grid has {trials:,} trials, expected at most {MAX_TRIALS:,}; shorten its axes")
    corpus = load_corpus(space.data, space.markup)
    split = split_corpus(corpus, space.split.spec)
    fingerprint = hashlib.sha256(f"{corpus.fingerprint}{split}".encode()).hexdigest()[:16]
    return Experiment(space, corpus, split, _encoders(space.model), fingerprint)


def _encoders(names: Sequence[str]) -> dict[str, Encoder]:
    encoders: dict[str, Encoder] = {}
    problems: dict[str, None] = {}
    for name in names:
        try:
            encoders[name] = resolve_encoder(name)
        except EncoderError as error:
            # Two models of one unreachable hub share their advice.
            problems |= dict.fromkeys(str(error).splitlines())
    if problems:
        raise EncoderError("\n".join(problems))
    return encoders
