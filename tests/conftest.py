"""Fixtures that tests of several folders share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def swedish_medical_ner() -> Path:
    """The annotated 1177 sentences, from the folder that the variable SWEDISH_MEDICAL_NER names."""
    folder = os.environ.get("SWEDISH_MEDICAL_NER")
    if not folder:
        pytest.skip("SWEDISH_MEDICAL_NER does not name the folder of 1177_annotated_sentences.txt")
    file = Path(folder) / "1177_annotated_sentences.txt"
    if not file.is_file():
        pytest.skip(f"SWEDISH_MEDICAL_NER names {folder}, which has no 1177_annotated_sentences.txt")
    return file
