"""The peer's side of parity: datatrove's filters, one after another on the same texts, in its environment.

task.json has `texts`, `rules` {name: indices of texts}, `recipe` [[index, address], ...], `urls` and `model`. The
answer has for each rule and text a reason, null to keep, for `recipe` a step and its reason, and for C4 what is left
of a text, as a hash. Texts are gone through once, so that datatrove's own memory of the last words it split serves.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import xxhash
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.utils.lid import FT176LID
from tldextract import TLDExtract

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter,
    "gopher_quality": GopherQualityFilter,
    "fineweb_quality": FineWebQualityFilter,
    "c4": C4QualityFilter,
    "c4_sentences": lambda: C4QualityFilter(split_paragraph=False),
    "c4_fineweb": lambda: C4QualityFilter(filter_no_terminal_punct=False),
    "language": lambda: LanguageFilter(languages=["en"], language_threshold=0.65),
    "url": URLFilter,
}
# As in datatrove's examples/fineweb.py.
RECIPE = ("url", "language", "gopher_repetition", "gopher_quality", "c4_fineweb", "fineweb_quality")


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    FT176LID.MODEL_URL = task["model"]
    filters = {name: make() for name, make in FILTERS.items()}
    # It would fetch the list of the day.
    filters["url"].tldextractor = TLDExtract(cache_dir=None, suffix_list_urls=())
    start = time.process_time()
    known = by_text(filters, task)
    answer = {
        name: [known[name, task["texts"][at]] for at in indices] for name, indices in task["rules"].items()
    }
    answer["recipe"] = [whole(filters, known, task["texts"][at], url) for at, url in task["recipe"]]
    answer["url"] = [judge("url", filters["url"], "x", url)[0] for url in task["urls"]]
    answer |= {
        f"{name}_left": [hashed(left) for _, left in answer[name]]
        for name in task["rules"]
        if name.startswith("c4")
    }
    answer |= {name: [reason for reason, _ in answer[name]] for name in task["rules"]}
    answer["cpu"] = time.process_time() - start
    names = ("datatrove", "spacy", "fasttext-numpy2-wheel", "tldextract")
    answer["versions"] = {name: version(name) for name in names}
    (folder / "answer.json").write_text(json.dumps(answer))


def by_text(filters, task):
    """{(rule, text): (reason or null, the text that is left)}"""
    asked = {}
    for name, indices in task["rules"].items():
        for at in indices:
            asked.setdefault(at, []).append(name)
    return {
        (name, task["texts"][at]): judge(name, filters[name], task["texts"][at])
        for at, names in asked.items()
        for name in names
    }


def whole(filters, known, text, url):
    """[step, reason] of the first step that drops the text, or null."""
    for name in RECIPE:
        reason, text = known.get((name, text)) or judge(name, filters[name], text, url)
        if reason:
            return [name, reason]
    return None


def judge(name, rule, text, url=""):
    """The reason, or null, and the text that is left. An error of theirs is a reason of its own."""
    document = Document(text=text, id="0", metadata={"url": url})
    try:
        found = rule.filter(document)
    except ZeroDivisionError:
        return "ZeroDivisionError", ""
    reason = None if found is True else found[1] if isinstance(found, tuple) else ""
    if name == "language":  # which says no more than no
        reason = None if found else "other" if document.metadata["language"] != "en" else "unsure"
    return reason, document.text


def hashed(text):
    return xxhash.xxh64_hexdigest(text.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
