"""Lines in real formats, read as a kernel developer reads them."""

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tdx_agents.handwritten import rows
from tdx_env.cli_decode import decode_command
from tdx_env.scenarios import names
from tdx_env.status.log import read_log
from tdx_env.status.stories import STORIES

_FILE = Path(__file__).with_name("decode_cases.toml")
CASES = tomllib.loads(_FILE.read_text())["case"]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_line_is_read_rightly(case: dict[str, Any], capsys: Capture) -> None:
    decode_command(case["text"])
    text = " ".join(capsys.readouterr().out.split()).lower()
    assert [one for one in case["says"] if one.lower() not in text] == []
    assert [one for one in case.get("never", []) if one.lower() in text] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_line_is_found_in_a_log_too(case: dict[str, Any]) -> None:
    """The quick look that most lines of a log get lets each of these pass."""
    assert read_log(io.BytesIO(f"nothing\n{case['text']}".encode()), "log").entries


def test_stories_name_scenarios_and_policies_that_exist() -> None:
    scenarios = {name.partition("/")[0] for name in names()}
    named = {one for story in STORIES for one in story.scenarios}
    assert named - scenarios == set()
    policies = {one for row in rows() for one in (row.name, row.number)}
    assert {one for story in STORIES for one in story.policies} - policies == set()
