"""``python -m scripts.reference``: write the pages, and say which of them have changed."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.reference import PAGES

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        file, text = FOLDER / name, page()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"docs/reference/{name} is new\n")


if __name__ == "__main__":
    main()
