"""Whether a name is that of a file or folder; one that no file can have is neither."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Say whether there is such a file."""
    try:
        return path.is_file()
    except OSError:  # a name of more than 255 characters, a folder that can't be searched
        return False


def is_folder(path: Path) -> bool:
    """Say whether there is such a folder."""
    try:
        return path.is_dir()
    except OSError:
        return False
