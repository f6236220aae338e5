"""Packages of optional extras."""

import json

import pytest

from tune_ner.errors import DataError
from tune_ner.utils.extras import check_installed, imported


def test_an_installed_module_is_returned() -> None:
    assert imported("json", "formats", "reading") is json


def test_a_missing_one_names_the_extra() -> None:
    with pytest.raises(DataError, match=r"a\.xml: reading BioC XML needs the package no_such_module") as caught:
        imported("no_such_module.part", "formats", "a.xml: reading BioC XML")
    assert "pip install -e '.[formats]'" in str(caught.value)


def test_a_package_can_be_checked_without_importing_it() -> None:
    check_installed("json", "formats", "reading")
    with pytest.raises(DataError, match=r"needs the package no_such_module, which is not installed; install the extra"):
        check_installed("no_such_module", "formats", "reading")
