"""The peer's side of parity: datatrove's filters on the same texts, in its environment; a reason or null for each."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter,
    "gopher_quality": GopherQualityFilter,
    "c4": C4QualityFilter,
    "c4_fineweb": lambda: C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb_quality": FineWebQualityFilter,
}


def main(folder):
    texts = json.loads((folder / "task.json").read_text())["texts"]
    answer = {name: [judge(make(), text) for text in texts] for name, make in FILTERS.items()}
    answer["versions"] = {name: version(name) for name in ("datatrove", "spacy")}
    (folder / "answer.json").write_text(json.dumps(answer))


def judge(rule, text):
    """The reason, or null to keep; an error of theirs is a reason of its own."""
    try:
        found = rule.filter(Document(text=text, id="0"))
    except ZeroDivisionError:
        return "ZeroDivisionError"
    return None if found is True else found[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
