from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.errors import ModelError
from tune_ner.training.training_text_hashes import KNOWN_FILE, TrainingTextHashes

TEXTS = st.lists(st.text(max_size=12), max_size=8)


@given(TEXTS, TEXTS)
def test_texts_are_known_again_but_for_case_and_white_space_and_others_are_not(
    ours: list[str], others: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        TrainingTextHashes.of(ours).write(Path(folder))
        known = TrainingTextHashes.read(Path(folder))
    assert known
    forms = {" ".join(text.casefold().split()) for text in ours}
    for text in (*ours, *others):
        assert (text in known) == (" ".join(text.casefold().split()) in forms)
        assert (f"  {text}\n" in known) == (text in known)


def test_a_folder_without_the_file_does_not_say_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    assert TrainingTextHashes.read(tmp_path) is None
    (tmp_path / KNOWN_FILE).write_bytes(b"123456789")
    with pytest.raises(ModelError, match="found 9 bytes, expected digests of 8 bytes each"):
        TrainingTextHashes.read(tmp_path)
