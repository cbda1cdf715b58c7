"""Load a policy of any form by what a user types: its spec."""

from pathlib import Path

from tdx_agents.bundle import is_bundle, load_bundle
from tdx_agents.crossed import decider, under
from tdx_agents.handwritten import find, known_names
from tdx_agents.place import is_file, is_folder
from tdx_agents.protocol import Policy
from tdx_agents.shipped import find_shipped, shipped_names
from tdx_agents.tree import load_tree, tree_names, tree_place
from tdx_agents.user_file import load_user_file
from tdx_agents.varied import varied, varied_spec
from tdx_env.errors import PolicyError, one_of, shown

_FILE_SUFFIX = ".py"
_UNDER = "@"


def _is_place(text: str) -> bool:
    """Say whether there is a folder, or a file before the colon, of that name."""
    return is_folder(Path(text)) or is_file(Path(text.rpartition(":")[0]))


def load(spec: str | Path) -> Policy:
    """Return a policy.

    Args:
        spec: A name or number of the catalogue ("P18", "break-even"), a shipped agent ("default",
            "agent-guest"), the name or file of a tree ("out/tree.json"), a function in a file
            ("my_policy.py:decide"), or the folder of a bundle. With an action, a tree's name, or a
            name or number of the catalogue, and an @ before it ("retry@P18",
            "operand@out/agent"): the decisions of the one under the discipline of the other. With a
            number of its discipline behind an @ ("P8@max_issues=4"): the policy with that changed.

    Raises:
        PolicyError: There is no such policy, or a user's file can't be used.
        BundleError: The folder is no bundle, or one that can't be used.
        MissingExtraError: A bundle needs a library that is not installed.
    """
    text = str(spec)
    policy = find(text) or find_shipped(text)
    if policy is not None:
        return policy
    changed = varied_spec(text)
    if changed is not None and not _is_place(text):
        return varied(load(changed[0]), *changed[1:])
    place = tree_place(text)
    if place is not None and (_UNDER not in text or is_file(place)):
        return load_tree(place)
    if _UNDER in text and not _is_place(text):
        name, _, frame = text.partition(_UNDER)
        return under(decider(name), load(frame))
    file_name, _, function = text.rpartition(":")
    if file_name.endswith(_FILE_SUFFIX):
        return load_user_file(Path(file_name), function)
    if text.endswith(_FILE_SUFFIX):
        raise PolicyError(f"{text}: say which function of the file, as in {text}:decide")
    folder = Path(text)
    if text and (is_folder(folder) or is_bundle(folder)):
        return load_bundle(folder)
    raise PolicyError(
        f"policy {shown(text)} is unknown, "
        f"{one_of(text, [*known_names(), *shipped_names(), *tree_names()])}; a tree's file "
        "(tree.json); a function in a file (my_policy.py:decide); the folder of a learned agent; "
        "or decisions under another's discipline (retry@P18)"
    )
