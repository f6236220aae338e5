"""Errors and output of a command."""

import sys
from io import BytesIO, TextIOWrapper

import pytest

from tune_ner.cli.console import reported_errors


def test_characters_that_the_terminal_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    output = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(output, encoding="latin-1"))
    with reported_errors() as console:
        console.print("färg 😀 \ud800", soft_wrap=True)
    assert output.getvalue() == b"f\xe4rg \\U0001f600 \\ud800\n"
