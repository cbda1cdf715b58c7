"""Execute the notebook and write it as a page with its outputs: `python docs/notebook.py`.

The notebook itself is kept without outputs; a test executes it and holds the page against it.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent / "notebook"
NOTEBOOK = FOLDER / "one-conflict.ipynb"
_TIMEOUT_S = 300


def executed(path: Path) -> Any:
    """Return the notebook with its outputs.

    Raises:
        CellExecutionError: A cell fails.
    """
    notebook: Any = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=_TIMEOUT_S, kernel_name="python3")
    client.create_kernel_manager()
    client.km.kernel_spec.argv[0] = sys.executable  # this environment's, whatever is registered
    client.execute(cwd=path.parent)
    return notebook


def printed(cell: Any) -> str:
    """Return what a cell printed."""
    return "".join(one["text"] for one in cell.get("outputs", ()) if one.get("name") == "stdout")


def _pictures(cell: Any) -> list[bytes]:
    """Return the pictures that a cell has drawn, as PNG."""
    found = [one["data"] for one in cell.get("outputs", ()) if "data" in one]
    return [base64.b64decode(one["image/png"]) for one in found if "image/png" in one]


def page(notebook: Any, pictures: dict[str, bytes]) -> str:
    """Return an executed notebook as a page.

    Args:
        notebook: The notebook.
        pictures: Gets what is drawn, by file name.
    """
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell["cell_type"] == "markdown":
            parts.append(cell["source"])
            continue
        parts.append(f"```py\n{cell['source']}\n```")
        if text := printed(cell):
            parts.append(f"```text\n{text.rstrip()}\n```")
        for content in _pictures(cell):
            name = f"{NOTEBOOK.stem}-{number}.png"
            pictures[name] = content
            parts.append(f"![What the cell above draws]({name})")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page and its pictures."""
    pictures: dict[str, bytes] = {}
    text = page(executed(NOTEBOOK), pictures)
    NOTEBOOK.with_suffix(".md").write_text(text, encoding="utf-8")
    for name, content in pictures.items():
        (FOLDER / name).write_bytes(content)
    print(json.dumps(sorted(pictures)))


if __name__ == "__main__":
    main()
