"""Tools over corpora and runs: the `quern` command, and the same from Python.

from corpus_tools import open_corpus, open_run

corpus = open_corpus("corpora/web")
corpus.account()                                        # every step: read, kept, dropped by reason
corpus.documents(where={"language": "de"}, sample=100)  # an Arrow table
print(corpus.explain("https://example.org/page"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpus_tools.open import Corpus, Run, open_corpus, open_run

__all__ = ["Corpus", "Run", "open_corpus", "open_run"]


def __getattr__(name: str) -> Any:
    # On first use: `quern --help` imports this package and must not pay for pyarrow.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from corpus_tools import open as module

    return getattr(module, name)
