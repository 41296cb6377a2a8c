"""The engine `trafilatura`: another library's choice of the main text, with the settings that FineWeb gives it.

    page -> trafilatura.extract(favor_precision=True, include_comments=False, deduplicate=True) -> text, or none

An extra, `pip install 'quern[trafilatura]'`. The text is what datatrove's step Trafilatura gives for the same decoded
page and version, but for one thing: trafilatura remembers paragraphs from page to page and leaves out the fourth copy
of one, so that a text depends on the pages before it; here its memory ends with the page. datatrove drops a page
after a second, too; here no clock decides, and what does not end is the watching parent's business (`pool.py`).

Two things about it are set for speed, neither of which changes a text. lxml asks a Python function for the class of
each element it hands out, so that form fields have methods of their own; trafilatura calls none of those, and its
parser is told to hand out one class: 8% of its time. And half of it goes into XPaths that put regular expressions to
the attributes of every element; where an attribute is absent the answer is known, and they no longer ask: 17%.

Price: 12 to 35 ms a page of 130 kB, 40 to 80 times `quern`'s. What it does not do: titles; those are ours.

Source: Barbaresi 2021, ACL demos, https://aclanthology.org/2021.acl-demo.15; datatrove, extractors/trafilatura.py.
"""

from __future__ import annotations

import importlib.util
import logging
import re
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
    _ask_less(trafilatura.xpaths)
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


# re:test(@id|@class, 'pattern', 'flags'): of attributes alone, the pattern as it stands.
_TEST = re.compile(r"re:test\((?P<attributes>@[\w-]+(?:\|@[\w-]+)*), '(?P<pattern>[^']*)'(?:, '\w*')?\)")


def _ask_less(expressions: ModuleType) -> None:
    """Puts XPaths that find the same in the place of those that test what is not there."""
    from lxml import etree

    names = {"re": "http://exslt.org/regular-expressions"}
    for found in vars(expressions).values():
        if not isinstance(found, list):
            continue
        for k, each in enumerate(found):
            if isinstance(each, etree.XPath) and _TEST.search(each.path):
                found[k] = etree.XPath(_TEST.sub(_where_present, each.path), namespaces=names)


def _where_present(test: re.Match[str]) -> str:
    # An absent attribute is tested as the empty string.
    if re.search(test["pattern"], ""):
        return test[0]
    return f"(({test['attributes']}) and {test[0]})"


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
