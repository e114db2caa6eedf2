"""The lines of a page in docs/gateways, run as they stand.

docs/gateways/flask.md --> the text between ```python and ``` --> page_flask.py, in a folder of its own --> a server
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.servers import ROOT

PAGES = ROOT / "docs" / "gateways"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write_page(name: str, folder: Path, number: int = 0) -> dict[str, str]:
    """Write a block of a page as the module page_<name>; give the settings under which a server finds it."""
    blocks = BLOCK.findall((PAGES / f"{name}.md").read_text(encoding="utf-8"))
    (folder / f"page_{name}.py").write_text(blocks[number], encoding="utf-8")
    return {"pythonpath": os.pathsep.join([str(folder), str(ROOT)])}
