"""`tiny:LAYERSxHIDDEN`: a small BERT with random weights and a WordPiece vocabulary trained on the train split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tune_ner.errors import EncoderError

VOCABULARY_SIZE = 2000

_SIZE = re.compile(r"(?P<layers>\d+)x(?P<hidden>\d+)")
_HEAD_SIZE = 32
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_settings(size: str) -> dict[str, int]:
    """Return the sizes of `LAYERSxHIDDEN` as arguments of `BertConfig`.

    Raises:
        EncoderError: the size has another form or is out of bounds.
    """
    if match := _SIZE.fullmatch(size):
        layers, hidden = int(match["layers"]), int(match["hidden"])
        if 1 <= layers <= 12 and 32 <= hidden <= 768 and hidden % _HEAD_SIZE == 0:
            return {
                "hidden_size": hidden,
                "num_hidden_layers": layers,
                "num_attention_heads": hidden // _HEAD_SIZE,
                "intermediate_size": 4 * hidden,
            }
    raise EncoderError(
        f"model 'tiny:{size}': expected tiny:LAYERSxHIDDEN such as tiny:2x64, with 1 to 12 layers and a hidden size "
        f"from 32 to 768 that is a multiple of {_HEAD_SIZE}"
    )


def train_tiny_tokenizer(texts: Sequence[str]) -> Any:
    """Train a cased WordPiece tokenizer; the same texts give the same vocabulary in every process.

    `WordPieceTrainer` numbers its alphabet in the order of a hash table and breaks ties between merges by these
    numbers. Passing the alphabet as special tokens fixes them; the final tokenizer treats them as plain subwords.
    """
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    def wordpiece(model: models.WordPiece) -> tokenizers.Tokenizer:
        tokenizer = tokenizers.Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer

    alphabet = sorted({character for text in texts for character in text if not character.isspace()})
    trained = wordpiece(models.WordPiece(unk_token="[UNK]"))
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[*_SPECIAL_TOKENS, *(f"##{character}" for character in alphabet)],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    vocabulary = trained.get_vocab(with_added_tokens=True)
    backend = wordpiece(models.WordPiece(vocab=vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    backend.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    named = {f"{token.strip('[]').lower()}_token": token for token in _SPECIAL_TOKENS}
    return PreTrainedTokenizerFast(tokenizer_object=backend, padding_side="right", model_max_length=512, **named)
