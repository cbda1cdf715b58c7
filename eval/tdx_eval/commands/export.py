"""The command `tdx-eval export`."""

from pathlib import Path
from typing import Annotated

import typer

from tdx_eval.commands.overwriting import OverwriteOption

_MOST_STATES = 100_000_000
_REAL = "core/train"


def export(
    tree: Annotated[str, typer.Argument(metavar="TREE", help="Name or file of a tree")],
    c: Annotated[bool, typer.Option("--c", help="A C99 header in the kernel's style")] = False,
    text: Annotated[bool, typer.Option("--text", help="The rules as text")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="A picture of the tree")] = False,
    patch: Annotated[
        bool, typer.Option("--patch", help="What it would change in KVM, as pseudo-code")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: print them")
    ] = None,
    overwrite: OverwriteOption = False,
    states: Annotated[
        int,
        typer.Option(
            min=0,
            max=_MOST_STATES,
            help="Compile the header and hold it against Python in so many decisions, half of "
            "them random, half such as occur",
        ),
    ] = 0,
    scenarios: Annotated[
        str, typer.Option(help="Where those that occur come from: names, files or a split")
    ] = _REAL,
    vcpus: Annotated[int, typer.Option(min=1, max=1024, help="vCPUs that the bound is for")] = 64,
) -> None:
    """Write a tree as C, as text, as a picture, or as what it would change in KVM."""
    from tdx_agents.tree import tree_of
    from tdx_eval.comparing.output import check_new_file, write_text
    from tdx_eval.exporting.drawing import tree_svg
    from tdx_eval.exporting.header import header_text, identifier
    from tdx_eval.exporting.proposal import proposal_text
    from tdx_eval.exporting.spoken import rules_text
    from tdx_eval.worst.bounds import bound_of

    found = tree_of(tree)
    header = header_text(found, bound_of(found, n_vcpus=vcpus))
    name = identifier(found.name)
    files = {
        f"{name}.h": header if c else "",
        f"{name}.txt": rules_text(found) if text else "",
        f"{name}.svg": tree_svg(found) if svg else "",
        f"{name}.patch.txt": proposal_text(found) if patch else "",
    }
    wanted = {file: content for file, content in files.items() if content}
    if out is not None:
        for file in wanted:
            check_new_file(out / file, overwrite)
    for file, content in wanted.items():
        if out is None:
            print(content)
        else:
            out.mkdir(parents=True, exist_ok=True)
            write_text(out / file, content)
            print(f"written: {out / file}")
    if states:
        _compare_with_c(found, header, states, scenarios)


def _compare_with_c(tree: object, header: str, n_states: int, scenarios: str) -> None:
    """Compile a header, hold it against Python, and say what came out."""
    import numpy as np

    from tdx_agents.tree import Tree
    from tdx_env.scenarios import expand
    from tdx_eval.exporting.compiling import compiled_by_gcc
    from tdx_eval.exporting.equality import check_equal, random_states, real_states

    assert isinstance(tree, Tree)
    with compiled_by_gcc(tree, header) as compiled:
        real = real_states(list(expand(scenarios)), n_states // 2)
        states = np.concatenate([real, random_states(n_states - len(real), seed=0)])
        check_equal(tree, compiled, states)
        print(
            f"C equals Python in {len(states):,} decisions ({len(real):,} of them occur); "
            f"{compiled.measured.text_bytes} bytes of code, "
            f"{compiled.measured.longest_path} instructions on the longest path"
        )
