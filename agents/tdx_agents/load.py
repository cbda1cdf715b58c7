"""Load a policy of any form by what a user types."""

from pathlib import Path

from tdx_agents.bundle import is_bundle, load_bundle
from tdx_agents.catalogue import find, names
from tdx_agents.protocol import Policy
from tdx_agents.user_file import load_user_file
from tdx_env.errors import PolicyError

_FILE_SUFFIX = ".py"


def load(spec: str | Path) -> Policy:
    """Return a policy.

    Args:
        spec: A name or number of the catalogue ("P18", "break-even"), a function in a file
            ("my_policy.py:decide"), or the folder of a bundle.

    Raises:
        PolicyError: There is no such policy, or a user's file can't be used.
        BundleError: The folder is no bundle, or one that can't be used.
    """
    text = str(spec)
    policy = find(text)
    if policy is not None:
        return policy
    file_name, _, function = text.rpartition(":")
    if file_name.endswith(_FILE_SUFFIX):
        return load_user_file(Path(file_name), function)
    if text.endswith(_FILE_SUFFIX):
        raise PolicyError(f"{text}: say which function of the file, as in {text}:decide")
    folder = Path(text)
    if text and (folder.is_dir() or is_bundle(folder)):
        return load_bundle(folder)
    known = ", ".join(names())
    raise PolicyError(
        f"policy {text!r} is unknown, must be one of: {known}; a function in a file "
        "(my_policy.py:decide); or the folder of a learned agent"
    )
