"""Hashes of training texts in a model folder."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.errors import ModelError
from tune_ner.training.training_text_hashes import HASHES_FILE, TrainingTextHashes

TEXTS = st.lists(st.text(max_size=12), max_size=8)


@given(TEXTS, TEXTS)
def test_hashed_texts_are_recognized_regardless_of_case_and_white_space(ours: list[str], others: list[str]) -> None:
    with TemporaryDirectory() as folder:
        TrainingTextHashes.of(ours).write(Path(folder))
        hashes = TrainingTextHashes.read(Path(folder))
    assert hashes
    forms = {" ".join(text.casefold().split()) for text in ours}
    for text in (*ours, *others):
        assert (text in hashes) == (" ".join(text.casefold().split()) in forms)
        assert (f"  {text}\n" in hashes) == (text in hashes)


def test_missing_file_is_none_and_truncated_file_an_error(tmp_path: Path) -> None:
    assert TrainingTextHashes.read(tmp_path) is None
    (tmp_path / HASHES_FILE).write_bytes(b"123456789")
    with pytest.raises(ModelError, match="9 bytes"):
        TrainingTextHashes.read(tmp_path)


def test_hashes_of_several_models_are_all_of_theirs_or_unknown() -> None:
    one, other = TrainingTextHashes.of(["a"]), TrainingTextHashes.of(["b"])
    both = TrainingTextHashes.union([one, other])
    assert both is not None
    assert "a" in both
    assert "b" in both
    assert "c" not in both
    assert TrainingTextHashes.union([one, None]) is None
