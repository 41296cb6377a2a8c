"""`quern demo`: a crawl of what every Python installation carries, built, audited, mixed and trained on.

render.py    the library's pydoc pages        site.py     what a site puts around a page
pages.py     every page of the crawl          junk.py     the pages that rules drop
warcfile.py  pages -> WARC files              shelves.py  source code and package descriptions
crawl.py     all of it into one folder        run.py      the commands a user would type, one after the other
summary.py   the loss curve, bits per byte beside the lines to beat, what to do next
"""

from corpus_tools.demo.run import run_demo

__all__ = ["run_demo"]
