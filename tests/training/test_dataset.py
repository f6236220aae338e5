"""Windows, of which several are taken at once."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.dataset import Windows

rows = st.lists(
    st.lists(st.integers(0, 99), max_size=5).map(lambda ids: (ids, [number % 3 for number in ids])),
    min_size=1,
    max_size=6,
)


def rows_of(windows: Windows) -> list[tuple[list[int], list[int]]]:
    cuts = windows.starts[1:-1]
    sides = (np.split(windows.ids, cuts), np.split(windows.labels, cuts))
    return [(ids.tolist(), labels.tolist()) for ids, labels in zip(*sides, strict=True)]


@given(rows, st.data())
def test_windows_are_taken_in_the_given_order(
    given_rows: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    windows = Windows.of(given_rows)
    assert len(windows) == len(given_rows)
    indices = data.draw(st.lists(st.integers(0, len(given_rows) - 1), min_size=1, max_size=8))
    taken = windows.take(indices)
    assert rows_of(taken) == [given_rows[index] for index in indices]
    assert taken.lengths.tolist() == [len(given_rows[index][0]) for index in indices]
    assert rows_of(windows[indices[0]]) == [given_rows[indices[0]]]


def test_data_loader_takes_a_batch_at_once() -> None:
    windows = Windows.of([([number] * number, [0] * number) for number in range(1, 6)])
    loader = torch.utils.data.DataLoader(windows, batch_size=2, collate_fn=rows_of)  # type: ignore[arg-type] # it takes a batch as one
    assert [len(batch) for batch in loader] == [2, 2, 1]
    assert next(iter(loader)) == [([1], [0]), ([2, 2], [0, 0])]


def test_windows_without_a_label_are_noticed() -> None:
    labelled = ([5, 6, 7], [IGNORED, 1, IGNORED])
    assert not Windows.of([labelled, labelled]).has_unlabelled
    assert Windows.of([labelled, ([5, 7], [IGNORED, IGNORED])]).has_unlabelled
