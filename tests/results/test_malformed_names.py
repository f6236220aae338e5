"""Invalid run names: a run is in the results folder or refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.damages import MANY, ODD_TEXTS, a_folder, refusal
from tune_ner.errors import RunFolderError
from tune_ner.results.run_dir import RunDir


@MANY
@given(name=st.text(max_size=120) | st.text("./\\~ab-", max_size=8) | st.sampled_from(ODD_TEXTS))
@example("\ud800")
@example("a\x00b")
@example("con\n")
@example("x" * 300)
def test_no_name_leads_out_of_the_results_folder(name: str) -> None:
    with a_folder() as folder:
        results, found = folder / "results", list[RunDir]()
        refusal(RunFolderError, lambda: found.append(RunDir.new(results, name)))
        assert [run.path.resolve().parent for run in found] == [results.resolve()] * len(found)
        assert not any("\n" in run.name for run in found)


@pytest.mark.parametrize("name", ["..", ".", "../x", "/tmp/x", "a/b", "a\\b", "~", "-rf", "x\n", "å", ""])
def test_name_is_refused(name: str) -> None:
    with a_folder() as folder, pytest.raises(RunFolderError, match="expected letters, digits"):
        RunDir.new(folder / "results", name)
