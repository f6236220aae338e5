"""What encoding cost: entities that no model could find, because they were cut or fit no word or no tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.results.records import TrialRecord

_PROBLEMS = {
    "outside_text": "reach out of their text",
    "empty": "are empty",
    "no_word": "cover no word",
    "off_boundary": "do not begin and end on word boundaries",
    "overlap": "share a word with a later one, which takes it",
    "merged": "cannot be told from their neighbour in this scheme",
}


def encoding_notes(records: Sequence[TrialRecord]) -> list[str]:
    """One sentence for each loss of each way of encoding among the records, equal ones told once."""
    notes: dict[str, None] = {}
    for record in records:
        if record.result:
            config = record.config
            how = f"{config.model}, {config.tagging_scheme}, words by {config.word_tokenizer}"
            for loss in _losses(record.result.encoding, config.max_length):
                notes[f"{how}: {loss}"] = None
    return list(notes)


def _losses(encoding: dict[Any, dict[str, Any]], max_length: int) -> list[str]:
    losses = [
        (
            f"are cut at {max_length} subwords or have no subword",
            [encoding[split_name]["entities_cut"] for split_name in SPLIT_NAMES],
        ),
        *(
            (meaning, [encoding[split_name]["problems"].get(problem, 0) for split_name in SPLIT_NAMES])
            for problem, meaning in _PROBLEMS.items()
        ),
    ]
    entities = [encoding[split_name]["entities"] for split_name in SPLIT_NAMES]
    return [
        f"{sum(counts)} of {sum(entities)} entities {meaning} "
        f"({', '.join(f'{split_name} {count}' for split_name, count in zip(SPLIT_NAMES, counts, strict=True))})"
        for meaning, counts in losses
        if sum(counts)
    ]


def batching_notes(records: Sequence[TrialRecord]) -> list[str]:
    """How batches were laid out otherwise than planned, once for each encoder and reason."""
    found: dict[str, None] = {}
    for record in records:
        result = record.result
        if result and result.note:
            found[f"{record.config.model}: {result.note}"] = None
        if result and result.accumulated_steps > 1:
            note = (
                f"batches of {record.config.batch_size} did not fit into the GPU's memory and were computed in "
                f"{result.accumulated_steps} steps, their gradients added up"
            )
            found[f"{record.config.model}: {note}"] = None
    return list(found)
