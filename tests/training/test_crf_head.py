"""The CRF head, compared with enumeration of all label sequences and with CRFsuite."""

from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pycrfsuite
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.tagging.alignment import IGNORED
from tune_ner.tagging.decoding import ViterbiDecoder
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.crf_head import CrfHead, CrfLoss, LabelSequences, transitions_of
from tune_ner.training.padding_free.attention import BatchLayout

LABELS = SCHEMES["IO"].labels(["x", "y"])  # a scheme that allows every transition


def a_head(labels: int = 3, seed: int = 0) -> CrfHead:
    head, random = CrfHead(labels), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random))
    return head


@torch.no_grad()
def score(head: CrfHead, scores: torch.Tensor, labels: tuple[int, ...]) -> float:
    total = head.starts[labels[0]] + head.ends[labels[-1]] + sum(scores[i, label] for i, label in enumerate(labels))
    return float(total + sum(head.transitions[a, b] for a, b in pairwise(labels)))


def a_batch(lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded logits and labels of windows, some tokens of which have no label."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(lengths), max(lengths), 3, generator=random)
    labels = torch.randint(0, 3, logits.shape[:2], generator=random)
    labels[torch.rand(labels.shape, generator=random) < 0.3] = IGNORED
    for row, length in zip(labels, lengths, strict=True):
        row[length:] = IGNORED
    return logits, labels


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 100))
def test_likelihood_is_that_of_enumerating_all_label_sequences(lengths: list[int], seed: int) -> None:
    head, (logits, labels) = a_head(seed=seed), a_batch(lengths, seed)
    found = head.negative_log_likelihood(LabelSequences.of(logits, labels)).tolist()
    for row, gold, likelihood in zip(logits, labels, found, strict=True):
        used = gold != IGNORED
        if not used.any():
            assert likelihood == 0
            continue
        every = [score(head, row[used], each) for each in product(range(3), repeat=int(used.sum()))]
        expected = np.logaddexp.reduce(every) - score(head, row[used], tuple(gold[used].tolist()))
        assert likelihood == pytest.approx(expected, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 100), st.booleans())
def test_padding_free_batches_have_the_loss_of_padded_ones(lengths: list[int], seed: int, selects: bool) -> None:
    head, (logits, labels) = a_head(seed=seed), a_batch(lengths, seed)
    is_token = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    row, row_labels = logits[is_token], labels[is_token]
    chosen: torch.Tensor | None = (row_labels != IGNORED).nonzero().squeeze(1)
    assert chosen is not None
    if selects and 0 < len(chosen) < len(row):
        row, row_labels = row[chosen], row_labels[chosen]
    else:
        chosen = None
    layout = BatchLayout.of(torch.tensor(lengths), chosen)
    count = torch.tensor(7)
    loss = CrfLoss(head)
    padded = loss({"logits": logits}, labels, count)
    torch.testing.assert_close(loss({"logits": row[None]}, row_labels[None], count, layout), padded)


def test_gradient_of_the_scores_is_the_difference_of_labels_and_marginals() -> None:
    """The decoder's forward-backward algorithm against the derivative of the log partition."""
    head, (logits, labels) = a_head(), a_batch([6], seed=3)
    logits.requires_grad_()
    head.negative_log_likelihood(LabelSequences.of(logits, labels)).sum().backward()  # type: ignore[no-untyped-call]
    used = labels[0] != IGNORED
    decoder = ViterbiDecoder(SCHEMES["IO"], LABELS, transitions_of(head.state_dict()))
    marginals = decoder.marginals(logits.detach()[0, used].numpy())
    assert marginals.sum(axis=1) == pytest.approx(np.ones(int(used.sum())))
    assert logits.grad is not None
    gold = torch.nn.functional.one_hot(labels[0, used], 3)
    torch.testing.assert_close(logits.grad[0, used].double(), torch.from_numpy(marginals) - gold, atol=1e-5, rtol=0)


def test_likelihood_marginals_and_best_sequence_are_those_of_crfsuite(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    trainer: Any = pycrfsuite.Trainer(
        params={"max_iterations": 20, "feature.possible_transitions": True}, verbose=False
    )
    rows = [[[f"f{n}"] for n in random.integers(0, 6, length)] for length in random.integers(1, 8, 40)]
    for row in rows:
        trainer.append(row, [LABELS[n] for n in random.integers(0, 3, len(row))])
    trainer.train(str(tmp_path / "model"))
    tagger: Any = pycrfsuite.Tagger()
    tagger.open(str(tmp_path / "model"))
    info, head = tagger.info(), CrfHead(3)
    with torch.no_grad():
        for (one, other), weight in info.transitions.items():
            head.transitions[LABELS.index(one), LABELS.index(other)] = weight
    decoder = ViterbiDecoder(SCHEMES["IO"], LABELS, transitions_of(head.state_dict()))
    for row in rows[:10]:
        scores = torch.tensor([[info.state_features.get((f, label), 0.0) for label in LABELS] for (f,) in row])
        tags = tagger.tag(row)
        best = decoder(scores.numpy())
        assert [LABELS[label] for label in best] == tags
        likelihood = head.negative_log_likelihood(LabelSequences.of(scores[None], torch.tensor([best])))
        assert likelihood.item() == pytest.approx(-np.log(tagger.probability(tags)), abs=1e-4)
        expected = [[tagger.marginal(label, place) for label in LABELS] for place in range(len(row))]
        assert decoder.marginals(scores.numpy()) == pytest.approx(np.array(expected), abs=1e-4)
