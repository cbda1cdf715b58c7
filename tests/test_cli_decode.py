"""The command that decodes."""

import io
import json
from pathlib import Path

import pytest

from tdx_env.cli_decode import decode_command
from tdx_env.errors import StatusError

Capture = pytest.CaptureFixture[str]
LINE = "kvm_intel: SEAMCALL TDH_MEM_TRACK failed: 0x80000200000000a9"


def test_words_are_one_line(capsys: Capture) -> None:
    decode_command(LINE.split())
    assert "TDH.MEM.TRACK" in capsys.readouterr().out


def test_file_is_read(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "dmesg").write_text(f"{LINE}\n" * 3)
    decode_command(str(tmp_path / "dmesg"))
    assert "1. 3 times, first in line 1" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["/var/log/kern.lgo", "./dmesg", "kern.log", "/" + "x" * 300])
def test_file_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(StatusError, match=f"^{name}: is no file, nor a status$"):
        decode_command(name)


def test_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "dmesg").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StatusError, match="dmesg: can't be read: Permission denied$"):
        decode_command(str(tmp_path / "dmesg"))


class _Broken(io.BytesIO):
    """A stream that fails as a device does."""

    def readline(self, *given: object) -> bytes:
        raise OSError(5, "Input/output error")


def test_standard_input_that_fails_is_told() -> None:
    with pytest.raises(StatusError, match="^standard input: can't be read: Input/output error$"):
        decode_command("-", stdin=_Broken())


@pytest.mark.parametrize("words", ["", "-", []])
def test_standard_input_is_read(words: str | list[str], capsys: Capture) -> None:
    decode_command(words, stdin=io.BytesIO(b"-9223369837831520110\n"))
    assert "SEPT_TREE" in capsys.readouterr().out


def test_json_has_call_status_and_story(capsys: Capture) -> None:
    decode_command(LINE, as_json=True)
    record = json.loads(capsys.readouterr().out)
    finding = record["findings"][0]
    assert finding["call"] == {"name": "TDH.MEM.TRACK", "number": 38, "version": 0}
    assert finding["status"]["value"] == "0x80000200000000a9"
    assert finding["status"]["operand_name"] == "TD_EPOCH"
    assert finding["story"]["scenarios"] == ["s06-conversion-248"]
    assert (record["lines"], finding["count"]) == (1, 1)


def test_json_of_a_message_has_no_status(capsys: Capture) -> None:
    decode_command("error: kvm run failed Input/output error", as_json=True)
    finding = json.loads(capsys.readouterr().out)["findings"][0]
    assert (finding["status"], finding["call"], finding["story"]) == (None, None, None)


def test_errno_is_no_status() -> None:
    with pytest.raises(StatusError, match="is the errno EIO"):
        decode_command("-5")


def test_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="is a folder, must be a file"):
        decode_command(str(tmp_path))


@pytest.mark.parametrize("width", [40, 80])
def test_output_fits_the_terminal(
    width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    decode_command(LINE)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= width
