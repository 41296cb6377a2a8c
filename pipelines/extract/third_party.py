"""The engine `trafilatura`: another library's choice of the main text, with the settings that FineWeb gives it.

    page -> trafilatura.extract(favor_precision=True, include_comments=False, deduplicate=True) -> text, or none

An extra, `pip install 'quern[trafilatura]'`. The text is what datatrove's step Trafilatura gives for the same decoded
page and version, but for one thing: trafilatura remembers paragraphs from page to page and leaves out the fourth copy
of one, so that a text depends on the pages before it; here its memory ends with the page. datatrove drops a page
after a second, too; here no clock decides, and what does not end is the watching parent's business (`pool.py`).

lxml asks a Python function for the class of each element it hands out, so that form fields have methods of their
own. trafilatura calls none of those, so its own parser is told to hand out one class: 8% of its time.

Price: 15 to 40 ms a page of 130 kB, 50 to 100 times `quern`'s. What it does not do: titles; those are ours.

Source: Barbaresi 2021, ACL demos, https://aclanthology.org/2021.acl-demo.15; datatrove, extractors/trafilatura.py.
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import Any, Literal

from manifests.errors import UsageError

__all__ = ["LIBRARIES", "Favour", "require_trafilatura", "trafilatura_text"]

Favour = Literal["precision", "balanced", "recall"]

# What its texts depend on: the parser, and the extractor it falls back to.
LIBRARIES = ("trafilatura", "lxml", "jusText")
_MAJOR = "2"
# What it and what it calls raise on pages they did not expect; it catches most itself.
_FAILURES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def require_trafilatura() -> None:
    """Returns if the extra is installed.

    Raises: UsageError if it is not, or in another major version.
    """
    missing = [name for name in ("trafilatura", "lxml_html_clean") if importlib.util.find_spec(name) is None]
    found = metadata.version("trafilatura") if not missing else f"no {' and no '.join(missing)}"
    if missing or found.partition(".")[0] != _MAJOR:
        raise UsageError(
            f"engine trafilatura: expected trafilatura {_MAJOR}.x, found {found}. No page could be extracted. "
            "Install the extra:  pip install 'quern[trafilatura]'  or leave out `engine`."
        )


@cache
def _library() -> ModuleType:
    import trafilatura

    # What it says of single pages is counted here as a reason.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    _hand_out_one_class(trafilatura.utils.HTML_PARSER)
    return trafilatura


def _hand_out_one_class(parser: Any) -> None:
    from lxml import etree, html

    plain = etree.ElementDefaultClassLookup(
        element=html.HtmlElement,
        comment=html.HtmlComment,
        pi=html.HtmlProcessingInstruction,
        entity=html.HtmlEntity,
    )
    parser.set_element_class_lookup(plain)


def trafilatura_text(page: str, *, favour: Favour = "precision", deduplicate: bool = True) -> str | None:
    """The main text of a decoded page, "" where there is none; None where trafilatura raises."""
    library = _library()
    library.deduplication.LRU_TEST.clear()
    try:
        text = library.extract(
            page,
            favor_precision=favour == "precision",
            favor_recall=favour == "recall",
            include_comments=False,
            deduplicate=deduplicate,
        )
    except _FAILURES:
        return None
    return text or ""
