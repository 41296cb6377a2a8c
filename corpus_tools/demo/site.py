"""What a site puts around a page: header, navigation, consent banner, side column, footer.

    +--------------------------------------------+
    | header, search box, navigation             |
    | consent banner                             |
    | +----------------------------+ +---------+ |
    | | the page                   | | links   | |
    | +----------------------------+ +---------+ |
    | newsletter, footer, script                 |
    +--------------------------------------------+

An extractor must find the page inside it. Each host has another layout, as the hosts of a real crawl have.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["anchors", "bare_page", "blog_page", "handbook_page", "shop_page"]

_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:0 auto;max-width:72rem}nav a{padding:.3rem}.banner{background:#eee}"
)
_SCRIPT = (
    "window.dataLayer=window.dataLayer||[];"
    "function track(e){dataLayer.push({event:e,at:document.title})}track('view');"
)
_NAVIGATION = (
    ("/", "Home"),
    ("/library/index.html", "Library"),
    ("/reference/index.html", "Reference"),
    ("/news.html", "News"),
    ("/about.html", "About us"),
    ("/contact.html", "Contact"),
)


def anchors(links: Sequence[tuple[str, str]]) -> str:
    """A list of links, as HTML."""
    return "\n".join(f'<li><a href="{escape(url)}">{escape(label)}</a></li>' for url, label in links)


def handbook_page(title: str, body: str, links: Sequence[tuple[str, str]], *, lang: str = "en") -> str:
    """A page of the handbook's site, whole, with `links` in its side column."""
    return f"""<!DOCTYPE html>
<html lang="{lang}">
<head><meta charset="utf-8"><title>{escape(title)} | The Library Handbook</title>
<meta name="description" content="{escape(title)}, explained with every class and function">
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><script>{_SCRIPT}</script></head>
<body>
<header><a class="logo" href="/">The Library Handbook</a>
<form action="/search" role="search"><input name="q" placeholder="Search the handbook"><button>Search</button></form>
<nav class="menu"><ul>{anchors(_NAVIGATION)}</ul></nav></header>
<div class="banner cookie-consent" id="cookie-banner"><p>We use cookies to remember your settings and to count visits.
By going on you accept our <a href="/privacy.html">privacy policy</a>.</p><button>Accept all</button>
<button>Only necessary</button></div>
<div class="breadcrumb"><a href="/">Home</a> &raquo; <a href="index.html">Index</a> &raquo; {escape(title)}</div>
<main id="content"><article>
{body}
</article></main>
<aside class="sidebar"><h3>Related pages</h3><ul>{anchors(links)}</ul>
<p class="share">Share this page: <a href="/share?to=mail">Mail</a> <a href="/share?to=chat">Chat</a></p></aside>
<div class="newsletter"><h3>Never miss an update</h3><form><input type="email"><button>Subscribe</button></form></div>
<footer><ul>{anchors(_NAVIGATION)}</ul><p>&copy; 2026 The Library Handbook. All rights reserved.
<a href="/terms.html">Terms of use</a></p></footer>
</body></html>
"""


def bare_page(title: str, body: str) -> str:
    """A page made for printing: the text and a line about where it is from."""
    return f"""<html><head><title>{escape(title)} (print view)</title></head>
<body onload="window.print()">
{body}
<hr><p>Printed from The Library Handbook.</p>
</body></html>
"""


def blog_page(title: str, body: str, links: Sequence[tuple[str, str]], *, lang: str = "en") -> str:
    """A page of a weblog, with a date line, older posts and no main element to find the text by."""
    return f"""<!DOCTYPE html>
<html lang="{lang}"><head><title>{escape(title)}</title><link rel="stylesheet" href="/theme.css"></head>
<body class="post"><div id="top"><h1><a href="/">Notes from a standard library</a></h1>
<div class="menu"><a href="/">Blog</a> <a href="/archive/">Archive</a> <a href="/feed.xml">Feed</a></div></div>
<div id="wrap"><div class="post-body"><h2>{escape(title)}</h2><p class="date">Posted on 5 January 2026</p>
{body}
</div>
<div class="widget"><h4>Older posts</h4><ul>{anchors(links)}</ul></div>
<div class="comments"><h4>0 comments</h4><p><a href="/login">Log in</a> to write the first.</p></div></div>
<div id="bottom">Theme by Nobody. Powered by a very small server.</div><script>{_SCRIPT}</script></body></html>
"""


def shop_page(title: str, body: str) -> str:
    """A page of the kind of host that a crawl is full of and a corpus should not be."""
    return f"""<html><head><title>{escape(title)}</title></head>
<body bgcolor="#ffffee"><center><h1>{escape(title)}</h1></center>
{body}
</body></html>
"""
