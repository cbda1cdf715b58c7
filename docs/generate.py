"""Write the pages of `docs/reference` that are made from the code: `python docs/generate.py`.

A test holds the pages against what this writes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from file_page import files_page
from machine_page import versions_page
from markdown_table import NOTE, table
from scenario_pages import costs_page, scenario_page
from tdx_agents.handwritten import rows
from tdx_env.cli import app as env_app
from tdx_env.spaces import ACTIONS, FEATURES
from tdx_eval.commands.app import app as eval_app
from tdx_train.cli import app as train_app

FOLDER = Path(__file__).parent / "reference"
APPS = {"tdx-env": env_app, "tdx-eval": eval_app, "tdx-train": train_app}
_COMPLETION = ("install_completion", "show_completion", "help")
_MAIL = re.compile(r"\((\w{8,}(?:[-.]\w+)*-?)\)")  # the beginning of a message id


def _default(param: Any) -> str:
    """Return a parameter's default as a reader wants it."""
    if getattr(param, "is_flag", False):
        return "off"
    if param.required:
        return "must be given"
    default = param.default
    return "" if default is None or callable(default) else f"`{default}`"


def _parameters(command: Any) -> str:
    """Return the table of a command's arguments and options."""
    lines = []
    for param in command.params:
        if param.name in _COMPLETION:
            continue
        is_option = param.param_type_name == "option"
        name = (
            ", ".join(f"`{one}`" for one in param.opts) if is_option else f"`{param.name.upper()}`"
        )
        lines.append((name, _default(param), getattr(param, "help", "") or ""))
    return table(("parameter", "default", "meaning"), lines) if lines else ""


def _help(command: Any) -> str:
    """Return a command's help as paragraphs."""
    paragraphs = (command.help or "").strip().split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


def _sections(name: str, command: Any, level: int) -> Iterator[str]:
    """Yield a command's section, and those of its commands."""
    yield f"{'#' * level} {name}"
    yield _help(command)
    if command.params:
        yield _parameters(command)
    for sub, child in getattr(command, "commands", {}).items():
        yield from _sections(f"{name} {sub}", child, level + 1)


_WHERE = """## Where results go

One convention: `--out` names where, nothing that is there is replaced without `--overwrite`, and
both are checked before any work. `--write` belongs to whoever works on this repository: it writes
a page of its `docs/`, over the one that is there.

| command | `--out` | stopped, and given again |
| --- | --- | --- |
| `tdx-train` | a folder: agent, log, configuration | keeps its best agent; `--resume` goes on |
| `tdx-eval compare` | a folder: report, summary, tables | goes on where it was |
| `tdx-eval reality` | a folder: `reality.json` and `.html`; left out: the terminal | begins anew |
| `tdx-eval lost`, `ranks` | a file, `lost.json`, `ranks.json` | begins anew |
| `tdx-eval map` | a file, `map.html` | begins anew |
| `tdx-eval trace` | a file, `trace.json` | begins anew |
| `tdx-eval report` | a file; left out: the terminal | begins anew |
| `tdx-eval search`, `distil` | a folder: results, the best trees | begins anew |
| `tdx-eval export` | a folder: what was asked for; left out: the terminal | begins anew |
| all others | none: they print | |"""


def cli_page() -> str:
    """Return the page of the command lines."""
    parts = ["# Command lines", NOTE]
    parts.append(
        "Each has `--version`, `--install-completion` and `--show-completion`. A mistake is one "
        "line and exit code 2; Ctrl-C is exit code 130."
    )
    parts.append(_WHERE)
    for name, app in APPS.items():
        parts += _sections(name, typer.main.get_command(app), 2)
    return "\n\n".join(part for part in parts if part) + "\n"


def _linked(source: str) -> str:
    """Return a source with links: mails are found on lore.kernel.org by their message ids."""
    return _MAIL.sub(r"([\1](https://lore.kernel.org/all/?q=\1))", source)


_ABOUT_POLICIES = """A row is a decision function and a host discipline; `tdx-eval policies` prints
this list. *Needs a change*: KVM would have to be restructured for it, not only get another rule.

Busy replies are what rows with a number are about; what nobody decides is the discipline's
(`tdx_env/host/discipline.py`). The rows about flushes issue busy calls again and differ in one
thing, when a zap that has blocked pages stops the vCPUs ([flush points](../flush.md)). A flush
rule's name with `decided-` before it (`decided-greedy`, `decided-until-waits`,
`decided-retry-batch-1` for a flush after each page) is the same rule as decisions, asked at each
flush point and charged 10 cycles for each, under the discipline that agents have there.

Who said what on the mailing list, and where the rows of 2025 and 2026 are, is in
[KVM's chains and the policies](../kvm.md#3-policies)."""


def policies_page() -> str:
    """Return the page of the policies."""
    lines = []
    for row in rows():
        mark = "needs a change" if row.discipline.needs_kvm_change else "today"
        title = f"{row.title} (behaves as {row.behaves_as})" if row.behaves_as else row.title
        lines.append((row.number, f"`{row.name}`", title, mark, _linked(row.source)))
    head = ("number", "name", "what it does", "KVM could merge it", "source")
    return f"# Policies\n\n{NOTE}\n\n{_ABOUT_POLICIES}\n\n{table(head, lines)}\n"


def spaces_page() -> str:
    """Return the page of what an agent sees and does."""
    actions = table(
        ("number", "action", "path", "meaning"),
        [(f"{action:d}", action.name, path, meaning) for action, path, meaning in ACTIONS],
    )
    features = table(
        ("name", "meaning", "unit", "read from", "costs KVM"),
        [
            (f"`{one.name}`", one.meaning, one.unit, one.read_from, one.read_cost)
            for one in FEATURES
        ],
    )
    return (
        f"# What an agent sees and does\n\n{NOTE}\n\n## Actions\n\n{actions}\n\n## Features\n\n"
        "Only what a host can know. A policy's function gets them as integers by name; the "
        f"observation scales them.\n\n{features}\n"
    )


PAGES = {
    "cli.md": cli_page,
    "costs.md": costs_page,
    "files.md": files_page,
    "policies.md": policies_page,
    "scenario.md": scenario_page,
    "spaces.md": spaces_page,
    "versions.md": versions_page,
}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
