"""Packages of optional extras."""

import json

import pytest

from tune_ner.errors import DataError
from tune_ner.utils.extras import imported


def test_an_installed_module_is_returned() -> None:
    assert imported("json", "formats", "reading") is json


def test_a_missing_one_names_the_extra() -> None:
    with pytest.raises(DataError, match=r"a\.xml: reading BioC XML needs the package no_such_module") as caught:
        imported("no_such_module.part", "formats", "a.xml: reading BioC XML")
    assert "pip install -e '.[formats]'" in str(caught.value)
