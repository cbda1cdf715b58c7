"""Names of calls in the forms that people write."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module.names import find_leaf, short_name
from tdx_env.module.seamcalls import row_of
from tdx_env.state.calls import Leaf


@pytest.mark.parametrize(
    "text",
    [
        "PAGE.AUG",
        "TDH.MEM.PAGE.AUG",
        "mem_page_aug",
        "tdh_mem_page_aug",
        "Page-Aug",
        "MEM.PAGE.AUG",
        "aug",
    ],
)
def test_forms_of_one_name_mean_one_call(text: str) -> None:
    assert find_leaf(text) == Leaf.MEM_PAGE_AUG


@pytest.mark.parametrize("leaf", Leaf)
def test_call_is_found_by_its_names(leaf: Leaf) -> None:
    for name in (row_of(leaf).name, leaf.name, short_name(leaf)):
        assert find_leaf(name) == leaf
        assert find_leaf(name.lower()) == leaf


@pytest.mark.parametrize(
    ("text", "leaf"),
    [
        ("TRACK", Leaf.MEM_TRACK),
        ("TDH.VP.WR", Leaf.VP_RD_WR),
        ("MEM.RD", Leaf.MEM_RD_WR),
        ("ACCEPT", Leaf.ACCEPT),
        ("BLOCK", Leaf.MEM_RANGE_BLOCK),
        ("ENTER", Leaf.VP_ENTER),
        ("SERVTD.WR", Leaf.SERVTD_RD_WR),
        ("INVVPID", Leaf.VP_INVEPT),
        ("TDG.MR.RTMR.EXTEND", Leaf.RTMR_EXTEND),
        ("MR.EXTEND", Leaf.MR_EXTEND),
    ],
)
def test_short_name_means_the_usual_call(text: str, leaf: Leaf) -> None:
    assert find_leaf(text) == leaf


@pytest.mark.parametrize("text", ["REMOVE", "RD", "page"])
def test_end_of_several_names_or_of_none_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match="ambiguous|unknown"):
        find_leaf(text)


@pytest.mark.parametrize("text", ["", "PAGE.FOO", "TDH"])
def test_unknown_name_is_answered_with_the_nearest(text: str) -> None:
    with pytest.raises(
        ScenarioError, match=r"must be one of: TDH\..*, TDH\..*, TDH\..* or \d+ others"
    ):
        find_leaf(text)
