"""Sentences that stand twice: within a part, and across parts, where they make scores too good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tune_ner.audit.findings import Example, Finding, PartSize, Severity, percent, place, ratio
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, SplitName
from tune_ner.data.near_duplicates import find_duplicates
from tune_ner.data.splits import Split

HEAVY = 0.1
"""Share of the test part in train from which its scores cannot be believed."""

Groups = npt.NDArray[np.int64]
Levels = dict[str, Groups]
"""The group of every sentence by level of likeness: `exact`, `normalised` and, if asked for, `near`."""

_LEVEL_WORDS = {"exact": "word for word", "normalised": "but for case, spacing and the like", "near": "nearly"}
_EFFECTS: dict[tuple[SplitName, SplitName], str] = {
    ("train", "test"): "A model may answer these from memory, and the test F1 is too high by what that gives.",
    ("train", "validation"): "A model that remembers them is chosen for remembering.",
    ("validation", "test"): "The test part is then no independent check of what was chosen on validation.",
}
"""What it does to the scores when the second part repeats the first; the gravest case first."""

_TEXT = 100


def find_levels(corpus: Corpus, near: bool) -> Levels:
    """The groups of like sentences, each level joining at least what the one before joins."""
    found = find_duplicates([sentence.text for sentence in corpus.sentences], near=near)
    levels = {"exact": found.exact, "normalised": found.normalised}
    return levels if found.near is None else {**levels, "near": found.near}


def contaminated_test(corpus: Corpus, split: Split, levels: Levels) -> dict[str, tuple[int, ...]]:
    """For each level, the indices of the test sentences that stand in train too."""
    return {level: _also_in(corpus, split, "test", "train", groups) for level, groups in levels.items()}


def duplicate_findings(corpus: Corpus, split: Split, levels: Levels, parts: dict[SplitName, PartSize]) -> list[Finding]:
    """One finding for every two parts that share sentences, and one for repeats within parts."""
    findings = [_across(corpus, split, levels, first, second, parts[second]) for first, second in _EFFECTS]
    return [finding for finding in (*findings, _within(corpus, split, levels)) if finding is not None]


def _also_in(corpus: Corpus, split: Split, split_name: SplitName, other: SplitName, groups: Groups) -> tuple[int, ...]:
    """Indices of a part's sentences whose group has a sentence of the other part; empty texts never count."""
    known = set(groups[np.array(split[other], dtype=np.int64)].tolist())
    return tuple(i for i in split[split_name] if int(groups[i]) in known and corpus.sentences[i].text.strip())


def _across(
    corpus: Corpus, split: Split, levels: Levels, first: SplitName, second: SplitName, size: PartSize
) -> Finding | None:
    found = {level: _also_in(corpus, split, second, first, groups) for level, groups in levels.items()}
    widest = list(found)[-1]
    concerned = found[widest]
    if not concerned:
        return None
    share = ratio(len(concerned), len(split[second]))
    severity: Severity = "error" if second == "test" and first == "train" and share > HEAVY else "warning"
    entities = sum(len(corpus.sentences[index].spans) for index in concerned)
    counted = ", ".join(f"{len(indices):,} {_LEVEL_WORDS[level]}" for level, indices in found.items())
    return Finding(
        kind=f"duplicates_{first}_{second}",
        severity=severity,
        title=f"{percent(share)} of the {second} sentences stand in {first} too",
        count=len(concerned),
        of=len(split[second]),
        effect=(
            f"Of {len(split[second]):,} {second} sentences stand in {first}: {counted}. They carry "
            f"{entities:,} of {size.entities:,} {second} entities ({percent(ratio(entities, size.entities))}). "
            f"{_EFFECTS[first, second]}"
        ),
        remedy="Keep like sentences in one part: `--split grouped`.",
        examples=_pairs(corpus, split, levels, found, first),
        figures={
            **{level: float(len(indices)) for level, indices in found.items()},
            "share": share,
            "entities": float(entities),
        },
    )


def _pairs(
    corpus: Corpus, split: Split, levels: Levels, found: Mapping[str, Sequence[int]], other: SplitName
) -> tuple[Example, ...]:
    """Up to five sentences with the one of the other part that each is like, the most alike first."""
    pairs: dict[int, Example] = {}
    for level, indices in found.items():
        twins: dict[int, int] = {}
        for index in split[other]:
            twins.setdefault(int(levels[level][index]), index)
        for index in indices[:5]:
            if index not in pairs and len(pairs) < 5:
                twin = corpus.sentences[twins[int(levels[level][index])]]
                sentence = corpus.sentences[index]
                shown = _short(sentence.text)
                if level == "near":
                    shown += f" ~ {_short(twin.text)}"
                pairs[index] = Example(f"{place(sentence)} = {place(twin)}", shown)
    return tuple(pairs.values())


def _within(corpus: Corpus, split: Split, levels: Levels) -> Finding | None:
    figures = {
        f"{split_name}_{level}": float(_repeats(corpus, split[split_name], groups))
        for split_name in SPLIT_NAMES
        for level, groups in levels.items()
    }
    widest = list(levels)[-1]
    count = int(sum(figures[f"{split_name}_{widest}"] for split_name in SPLIT_NAMES))
    if not count:
        return None
    sentences = sum(len(split[split_name]) for split_name in SPLIT_NAMES)
    told = "; ".join(
        f"{split_name}: "
        + ", ".join(f"{figures[f'{split_name}_{level}']:,.0f} {_LEVEL_WORDS[level]}" for level in levels)
        for split_name in SPLIT_NAMES
    )
    return Finding(
        kind="duplicates_within",
        severity="warning" if count > HEAVY * sentences else "info",
        title=f"{percent(count / sentences)} of the sentences repeat one of their own part",
        count=count,
        of=sentences,
        effect=(
            f"Repeats within a part weigh twice in training and in scoring, and make a part look larger than it is "
            f"({told})."
        ),
        remedy="Take repeats out of the corpus before it is divided, unless they stand for how often a text occurs.",
        figures=figures,
    )


def _repeats(corpus: Corpus, indices: Sequence[int], groups: Groups) -> int:
    filled = [int(groups[index]) for index in indices if corpus.sentences[index].text.strip()]
    return len(filled) - len(set(filled))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
