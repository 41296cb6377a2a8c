"""The text a benchmark reads: Gutenberg's books below ../shared/data where present, else Python's own source."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from support.machine import ROOT

BOOKS = ROOT.parent / "shared" / "data" / "gutenberg" / "en"


def default_folder() -> Path:
    """Where texts are."""
    return BOOKS if BOOKS.is_dir() else Path(sysconfig.get_path("stdlib"))


def load_texts(folder: Path, *, max_bytes: int, piece_chars: int | None) -> list[str]:
    """Files in order of their names, cut into pieces, until `max_bytes` characters are reached."""
    docs: list[str] = []
    n_chars = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".txt", ".py")):
        text = path.read_text("utf-8", "replace")
        step = piece_chars or max(1, len(text))
        docs += [text[at : at + step] for at in range(0, len(text), step)]
        n_chars += len(text)
        if n_chars >= max_bytes:
            break
    return docs
