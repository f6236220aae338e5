"""Upload of a model to a server that speaks the Hub's protocol."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import ModelCard

from tests.model_folders import a_model_folder
from tune_ner.errors import ModelError
from tune_ner.inference.hub_upload import push

CARD = "---\nlibrary_name: transformers\n---\n\n# A model\n\n- **language:** unknown, please fill in\n"


class Hub:
    """The requests of an upload, and the files that arrived.

    Args:
        status: status of the answers.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.visibility = ""
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()

    def answer(self, path: str, body: bytes, token: str) -> dict[str, Any]:
        """Return the answer to a request."""
        self.tokens.add(token)
        if self.status != 200:
            return {"error": "You don't have the rights"}
        if path == "/api/repos/create":
            created = json.loads(body)  # older clients send `private`
            self.visibility = created.get("visibility") or ("private" if created["private"] else "public")
            return {"url": "https://huggingface.co/mylab/demo", "name": "mylab/demo"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path.endswith("/preupload/main"):
            files = [file["path"] for file in json.loads(body)["files"]]
            return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in files]}
        assert path == "/api/models/mylab/demo/commit/main"
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        return {"commitUrl": "https://huggingface.co/mylab/demo/commit/1", "commitOid": "1", "success": True}


@contextmanager
def served(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            content = json.dumps(hub.answer(self.path, body, self.headers["Authorization"])).encode()
            self.send_response(hub.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        try:
            yield
        finally:
            server.shutdown()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = a_model_folder(tmp_path / "best")
    (folder / "README.md").write_text(CARD)
    return folder


def test_a_model_arrives_complete_without_the_hashes_of_its_texts(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    with served(hub, monkeypatch):
        url = push(model, "mylab/demo", license_name="cc-by-4.0", language="sv")
    assert url.endswith("mylab/demo")
    assert hub.visibility == "private"
    assert hub.tokens == {"Bearer hf_secret"}
    expected = {path.name: path.read_bytes() for path in model.iterdir()}
    card = hub.files.pop("README.md").decode()
    del expected["README.md"], expected["training_text_hashes.bin"]
    assert hub.files == expected
    metadata = ModelCard(card).data.to_dict()
    assert (metadata["license"], metadata["language"]) == ("cc-by-4.0", "sv")
    assert "- **language:** sv" in card
    assert (model / "README.md").read_text() == CARD


def test_a_refusal_of_the_hub_is_reported(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Hub(403), monkeypatch), pytest.raises(ModelError, match=r"the Hub refuses mylab/demo: .*hf auth login"):
        push(model, "mylab/demo", license_name="mit", language="sv")


def test_a_hub_that_cannot_be_reached_is_reported(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Hub(), monkeypatch):
        pass
    with pytest.raises(ModelError, match=r"mylab/demo cannot be uploaded: .*; check the connection to http"):
        push(model, "mylab/demo", license_name="mit", language="sv")


@pytest.mark.parametrize(
    ("repository", "language", "expected"),
    [
        ("demo", "sv", "'demo', expected OWNER/NAME"),
        ("mylab/../demo", "sv", "expected OWNER/NAME"),
        ("mylab/de mo", "sv", "is not valid"),
        ("mylab/demo", "Swedish", "--language Swedish: expected a code"),
    ],
)
def test_invalid_arguments_are_refused(
    model: Path, repository: str, language: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    with served(hub, monkeypatch), pytest.raises(ModelError, match=expected):
        push(model, repository, license_name="mit", language=language)
    assert not hub.files


@pytest.mark.parametrize("content", [None, "---\n[\n---\n"])
def test_a_missing_or_invalid_card_is_reported(model: Path, content: str | None) -> None:
    (model / "README.md").unlink()
    if content is not None:
        (model / "README.md").write_text(content)
    with pytest.raises(ModelError, match=r"README\.md: (missing|cannot be read)"):
        push(model, "mylab/demo", license_name="mit", language="sv")
