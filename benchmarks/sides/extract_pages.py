"""Main texts of pages by one engine after another, each timed: ours in our environment, peers in theirs."""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

WARM_UP = 5


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    sets = json.loads(Path(task["pages"]).read_text())
    answer = {"versions": {name: version(name) for name in task["packages"]}}
    for name in task["engines"]:
        answer[name] = run(ENGINES[name](), sets)
    (folder / "answer.json").write_text(json.dumps(answer))


def run(extract, sets):
    """For each set of pages their texts and the CPU milliseconds a page."""
    for page in next(iter(sets.values()))[:WARM_UP]:
        extract(page)
    found = {}
    for name, pages in sets.items():
        start = time.process_time()
        texts = [extract(page) for page in pages]
        found[name] = {"texts": texts, "ms": (time.process_time() - start) / len(pages) * 1e3}
    return found


def ours(engine):
    from pipelines.extract import extract_text

    return lambda page: extract_text(page, engine=engine)


def trafilatura(**settings):
    from trafilatura import extract

    return lambda page: extract(page, include_comments=False, **settings) or ""


def readability():
    from lxml.html import fromstring
    from readability import Document

    def extract(page):
        # Blocks need white space between them: text_content has none.
        tree = fromstring(Document(page).summary())
        return "\n".join(tree.itertext())

    return extract


def jus_text():
    from justext import get_stoplist, justext

    words = get_stoplist("English")
    return lambda page: "\n".join(p.text for p in justext(page, words) if not p.is_boilerplate)


ENGINES = {
    "quern": lambda: ours("quern"),
    "resiliparse": lambda: ours("resiliparse"),
    "trafilatura": trafilatura,
    "trafilatura_fast": lambda: trafilatura(fast=True),
    "trafilatura_precision": lambda: trafilatura(favor_precision=True),
    "readability_lxml": readability,
    "justext": jus_text,
}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
