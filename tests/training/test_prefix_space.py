"""Tokenizers that mark the start of a word encode single words as they would within a text."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training.encoders import Encoder, load_tokenizer

TEXTS = [" ".join(sentence.text.split()) for sentence in synthetic_corpus(300).sentences]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PATTERN = r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+"
SPLIT = pre_tokenizers.Split(tokenizers.Regex(PATTERN), "isolated")
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
TEMPLATE = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
ROBERTA = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)

MARK_WORDS: dict[str, dict[str, Any]] = {
    "byte level": {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False)},
    "byte level, Roberta": {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False), "post": ROBERTA},
    "split, byte level": {"pre_tokenizer": pre_tokenizers.Sequence([SPLIT, BYTES])},
    "NFC, byte level": {
        "pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "normalizer": normalizers.NFC(),
    },
    "replaced space": {
        "pre_tokenizer": pre_tokenizers.Split("▁", "merged_with_next"),
        "normalizer": normalizers.Replace(" ", "▁"),
    },
    "metaspace, never prepended": {"pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="never")},
}
NEED_NOTHING: dict[str, dict[str, Any]] = {
    "byte level with prefix": {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
    "metaspace": {"pre_tokenizer": pre_tokenizers.Metaspace()},
    "prepended": {
        "pre_tokenizer": pre_tokenizers.Split("▁", "merged_with_next"),
        "normalizer": normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
    },
    "white space": {"pre_tokenizer": pre_tokenizers.Whitespace()},
}


def saved_tokenizer(folder: Path, pre_tokenizer: Any, normalizer: Any = None, post: Any = TEMPLATE) -> Encoder:
    """Train a BPE tokenizer on the texts and save it."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = post
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    fast.save_pretrained(folder)
    transformers.ModernBertConfig(vocab_size=len(fast)).save_pretrained(folder)
    return Encoder(str(folder), "folder", str(folder), "", str(folder))


@pytest.mark.parametrize("parts", MARK_WORDS.values(), ids=MARK_WORDS)
def test_words_are_encoded_as_within_a_text(parts: dict[str, Any], tmp_path: Path) -> None:
    encoder = saved_tokenizer(tmp_path, **parts)
    plain, tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(encoder, [])
    unprefixed = 0
    for text in TEXTS[:50]:
        expected = plain.tokenize(f", {text}")[1:]
        assert tokenizer(text.split(), is_split_into_words=True, add_special_tokens=False).tokens() == expected
        unprefixed += len(plain(text.split(), is_split_into_words=True, add_special_tokens=False).tokens())
    assert unprefixed > sum(len(plain.tokenize(text)) for text in TEXTS[:50])


@pytest.mark.parametrize("parts", MARK_WORDS.values(), ids=MARK_WORDS)
def test_exported_tokenizer_keeps_the_prefix_and_correct_offsets(parts: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = load_tokenizer(saved_tokenizer(tmp_path / "first", **parts), [])
    tokenizer.save_pretrained(tmp_path / "second")
    text = TEXTS[0]
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "second")
    encoding = again(text, return_offsets_mapping=True, add_special_tokens=False)
    assert encoding.tokens() == tokenizer(text.split(), is_split_into_words=True, add_special_tokens=False).tokens()
    starts, ends = zip(*encoding["offset_mapping"], strict=True)
    assert (starts[0], ends[-1]) == (0, len(text))
    assert sorted(starts) == list(starts)


@pytest.mark.parametrize("parts", NEED_NOTHING.values(), ids=NEED_NOTHING)
def test_other_tokenizers_are_unchanged(parts: dict[str, Any], tmp_path: Path) -> None:
    encoder = saved_tokenizer(tmp_path, **parts)
    plain, tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(encoder, [])
    assert tokenizer.backend_tokenizer.to_str() == plain.backend_tokenizer.to_str()
