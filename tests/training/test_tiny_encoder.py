"""The tokenizer of tiny encoders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training.encoders import load_tokenizer, resolve_encoder

TEXTS = [sentence.text for sentence in synthetic_corpus(60).sentences]


def test_tokenizer_keeps_case_and_accents() -> None:
    tokenizer = load_tokenizer(resolve_encoder("tiny:1x32"), ["Ångest och ångest, å nej!"])
    assert tokenizer.tokenize("Ångest ångest") == ["Ångest", "ångest"]
    assert tokenizer.tokenize("å!") == ["å", "!"]
    assert tokenizer.tokenize("药") == ["[UNK]"]


def test_vocabulary_only_depends_on_the_train_texts() -> None:
    encoder = resolve_encoder("tiny:1x32")
    first, same, other = (load_tokenizer(encoder, texts).get_vocab() for texts in (TEXTS, TEXTS, TEXTS[:20]))
    assert first == same != other
    assert sorted(first.values()) == list(range(len(first)))


@pytest.mark.slow
def test_every_process_trains_the_same_vocabulary() -> None:
    program = (
        "import json; from tune_ner.training.encoders import load_tokenizer, resolve_encoder; "
        "from tune_ner.data.synthetic.generator import synthetic_corpus; "
        "texts = [sentence.text for sentence in synthetic_corpus(60).sentences]; "
        "print(json.dumps(sorted(load_tokenizer(resolve_encoder('tiny:1x32'), texts).get_vocab().items())))"
    )
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "RAYON_NUM_THREADS": threads,
                "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, threads in (("1", "1"), ("2", "2"))
    ]
    here = json.dumps(sorted(load_tokenizer(resolve_encoder("tiny:1x32"), TEXTS).get_vocab().items()))
    for process in running:
        assert process.communicate()[0].strip() == here
