"""Two more sources that every installation carries, and a benchmark that quotes one of them.

    code_files()    argparse.py, asyncio/base_events.py, ...      the standard library's source
    package_rows()  {"id", "text", "url", "licence", "title"}     long descriptions of installed packages
    bench_rows()    {"id", "question", "answer"}                  six items quote a page of the crawl, the rest nothing

All are functions of the Python version and of the installed packages.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator

from corpus_tools.demo.pages import topic_texts
from corpus_tools.demo.render import LIBRARY
from manifests.digest import hash64

__all__ = ["bench_rows", "code_files", "package_rows"]

# Tests, tables and applications; the language topics, because the crawl shows them as pages.
_LEFT_OUT = {
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "turtledemo",
    "lib2to3", "encodings", "pydoc_data", "ensurepip", "lib-dynload",
}  # fmt: skip
_MAX_FILE_BYTES = 256 * 1024
_MAX_CODE_BYTES = 12 * 1024 * 1024
_MIN_DESCRIPTION_CHARS = 200
_OURS = "quern"  # its description changes with each commit; a demo should not
_N_QUOTES = 6
_MIN_QUOTE_WORDS, _MAX_QUOTE_WORDS = 20, 60

_QUESTIONS = (
    ("How many people can sit at nine tables if every table has six chairs and two chairs are broken?", "52"),
    (
        "A baker sells forty rolls before noon and half as many after it; how many rolls does she sell in a day?",
        "60",
    ),
    (
        "Which river flows through Vienna, Bratislava, Budapest and Belgrade before it reaches the Black Sea?",
        "Danube",
    ),
    (
        "A train leaves at a quarter past eight and arrives ninety minutes later; at what time does it arrive?",
        "9:45",
    ),
    (
        "What is the name of the process by which a plant turns light, water and air into sugar?",
        "photosynthesis",
    ),
    (
        "If a rope of thirty metres is cut into pieces of four metres each, how many metres are left over?",
        "2",
    ),
    ("Which planet of the solar system has the shortest year, counted in days of the Earth?", "Mercury"),
    (
        "A library lends three books to each of its two hundred readers; how many books have been lent in all?",
        "600",
    ),
    (
        "Which metal is liquid at room temperature and was once used in most thermometers and barometers?",
        "mercury",
    ),
    (
        "Two farmers share seventy-five sheep in the ratio of two to three; how many does the second one get?",
        "45",
    ),
    (
        "What do we call the line in a right triangle that lies opposite to the angle of ninety degrees?",
        "hypotenuse",
    ),
    (
        "If it takes five gardeners three hours to plant a hedge, how many hours would fifteen gardeners need?",
        "1",
    ),
    (
        "In which ocean does one find the island on which the largest statues of stone heads were raised?",
        "Pacific",
    ),
    (
        "A clock loses two minutes in every hour; how many minutes is it slow after one day and one night?",
        "48",
    ),
)


def code_files() -> list[tuple[str, bytes]]:
    """(path below the library, bytes) of the library's source files, sorted, 12 MiB of them at most."""
    chosen, n_bytes = [], 0
    for path in sorted(LIBRARY.rglob("*.py")):
        relative = path.relative_to(LIBRARY)
        size = path.stat().st_size
        if _LEFT_OUT & set(relative.parts) or not 0 < size <= _MAX_FILE_BYTES:
            continue
        if (n_bytes := n_bytes + size) > _MAX_CODE_BYTES:
            break
        chosen.append((relative.as_posix(), path.read_bytes()))
    return chosen


def package_rows() -> list[dict[str, str]]:
    """One row for each installed package that describes itself, sorted by name."""
    rows = {row["id"]: row for row in map(_package_row, importlib.metadata.distributions())}
    return [
        row
        for name, row in sorted(rows.items())
        if name != _OURS and len(row["text"]) >= _MIN_DESCRIPTION_CHARS
    ]


def _package_row(package: importlib.metadata.Distribution) -> dict[str, str]:
    fields = package.metadata
    name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
    text = fields.json.get("description", "")
    return {
        "id": name,
        "title": f"{fields['Name']} {fields['Version']}",
        "text": str(text).strip(),
        "url": _home(package),
        "licence": _licence(package),
    }


def _home(package: importlib.metadata.Distribution) -> str:
    """The package's home page, or the first address it names."""
    urls = [line.partition(",")[2].strip() for line in package.metadata.get_all("Project-URL", [])]
    return next(filter(None, [_field(package, "Home-page"), *urls]), "")


def _licence(package: importlib.metadata.Distribution) -> str:
    """The licence a package declares: the expression, else the classifier, else the field's first line."""
    classifiers = package.metadata.get_all("Classifier", [])
    classified = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    written = _field(package, "License").strip().split("\n")[0][:60]
    return next(filter(None, [_field(package, "License-Expression"), *classified[-1:], written]), "unknown")


def _field(package: importlib.metadata.Distribution, name: str) -> str:
    return str(package.metadata[name]) if name in package.metadata else ""


def bench_rows() -> list[dict[str, str]]:
    """Twenty questions: fourteen of our own, and six whose text stands word for word in the crawl."""
    own = [
        {"id": f"own-{i}", "question": text, "answer": answer} for i, (text, answer) in enumerate(_QUESTIONS)
    ]
    quotes = [
        {"id": f"quoted-{name}", "question": sentence, "answer": name}
        for name, sentence in sorted(_sentences(), key=lambda found: hash64("bench", found[0]))[:_N_QUOTES]
    ]
    return own + quotes


def _sentences() -> Iterator[tuple[str, str]]:
    """(topic, its first sentence of a good length, without quotation marks or references)."""
    for name, text in topic_texts().items():
        paragraphs = [" ".join(p.split()) for p in text.split("\n\n") if p[:1].isalpha()]
        sentences = [s for p in paragraphs for s in re.split(r"(?<=[.!?]) ", p) if s.endswith(".")]
        for sentence in sentences:
            if _MIN_QUOTE_WORDS <= len(sentence.split()) <= _MAX_QUOTE_WORDS and not set('"*`[') & set(
                sentence
            ):
                yield name, sentence
                break
