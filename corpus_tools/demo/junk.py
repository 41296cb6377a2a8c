"""Pages that a rule should drop, each kind for one reason, several of each kind.

    kind                what is wrong with it
    missing, moved,     not a page: an error, a redirect, an image, data, a text file
    image, data, robots
    empty, short        no text, too little text
    german, french,     another language
    spanish
    digests, letters,   words too long, words too short,
    table, tags,        no letters, hashes,
    bullets, teasers,   bullets, dots,
    links, words        no sentence
    lines, paragraphs,  the same again and again
    chant

The texts are our own, or computed by the standard library. They name modules, so that no two are the same.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Sequence

from corpus_tools.demo.site import anchors, blog_page, handbook_page, shop_page
from corpus_tools.demo.warcfile import Page

__all__ = ["JUNK", "JUNK_NAMES", "junk_pages"]

JUNK_NAMES = (
    "ast", "bisect", "calendar", "csv", "difflib", "enum", "fractions", "gzip", "heapq", "json", "locale", "random",
)  # fmt: skip

_SHOP = "https://best-links.example"
_BLOG = "https://notes.example"
_HANDBOOK = "https://docs.handbook.example"

_GERMAN = (
    "Das Modul {name} gehört zur Standardbibliothek und muss deshalb nicht eigens installiert werden.",
    "Wer es zum ersten Mal benutzt, sollte zuerst die kurzen Beispiele lesen und sie dann selbst verändern.",
    "Die meisten Funktionen erwarten eine Zeichenkette oder eine Liste und geben einen neuen Wert zurück.",
    "Fehler werden als Ausnahmen gemeldet, die man an der passenden Stelle abfangen kann.",
    "In größeren Programmen lohnt es sich, die Aufrufe von {name} in einer eigenen Funktion zu sammeln.",
    "So bleibt der übrige Quelltext lesbar, und eine spätere Änderung betrifft nur eine einzige Stelle.",
    "Über die Geschwindigkeit muss man sich dabei selten Sorgen machen, denn der Aufwand ist gering.",
)
_FRENCH = (
    "Le module {name} fait partie de la bibliothèque standard et ne demande donc aucune installation.",
    "Avant de l'utiliser pour la première fois, il vaut mieux lire les exemples et les modifier soi-même.",
    "La plupart des fonctions attendent une chaîne ou une liste et renvoient une nouvelle valeur.",
    "Les erreurs sont signalées par des exceptions que l'on peut traiter à l'endroit voulu.",
    "Dans un programme plus long, il est utile de réunir les appels à {name} dans une seule fonction.",
    "Le reste du texte demeure ainsi lisible, et un changement ne touche plus qu'un seul endroit.",
    "La vitesse est rarement un souci, car le travail demandé à l'ordinateur reste très faible.",
)
_SPANISH = (
    "El módulo {name} forma parte de la biblioteca estándar y por eso no hace falta instalar nada.",
    "Quien lo usa por primera vez debería leer los ejemplos breves y cambiarlos después por su cuenta.",
    "Casi todas las funciones esperan una cadena o una lista y devuelven un valor nuevo.",
    "Los errores se comunican mediante excepciones que se pueden tratar en el lugar adecuado.",
    "En un programa largo conviene reunir las llamadas a {name} en una sola función.",
    "Así el resto del código sigue siendo legible y un cambio afecta solamente a un lugar.",
    "La velocidad no suele ser un problema, porque el trabajo que se pide es muy pequeño.",
)


def junk_pages(names: Sequence[str]) -> list[Page]:
    """One page of every kind in `JUNK` for each of `names`."""
    return [make(name) for name in names for make in JUNK.values()]


def _html(url: str, text: str, *, status: int = 200, charset: str = "utf-8") -> Page:
    content_type = f"text/html; charset={charset}"
    return Page(url, text.encode(charset), status=status, content_type=content_type)


def _missing(name: str) -> Page:
    body = (
        f"<h1>404</h1><p>We looked for {name} and the page is not here. It may have moved, or never was.</p>"
    )
    return _html(f"{_HANDBOOK}/old/{name}.html", handbook_page("Not found", body, []), status=404)


def _moved(name: str) -> Page:
    target = f"{_HANDBOOK}/library/{name}.html"
    body = f'<html><body>Moved to <a href="{target}">{target}</a>.</body></html>'.encode()
    return Page(f"{_HANDBOOK}/lib/{name}", body, status=301, content_type="text/html", location=target)


def _image(name: str) -> Page:
    """One grey pixel as a PNG, the shade from the name."""
    shade = bytes([0, zlib.crc32(name.encode()) & 0xFF])
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(shade)), (b"IEND", b""))
    body = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in chunks
    )
    return Page(f"{_HANDBOOK}/img/{name}.png", b"\x89PNG\r\n\x1a\n" + body, content_type="image/png")


def _data(name: str) -> Page:
    body = json.dumps({"module": name, "views": zlib.crc32(name.encode()) % 1000}).encode()
    return Page(f"{_HANDBOOK}/api/views?of={name}", body, content_type="application/json")


def _robots(name: str) -> Page:
    body = f"User-agent: *\nDisallow: /search\nDisallow: /{name}/drafts\n".encode()
    return Page(f"https://{name.replace('_', '-')}.example/robots.txt", body, content_type="text/plain")


def _empty(name: str) -> Page:
    body = f'<body><div id="app"></div><script>start("{name}")</script></body>'
    page = f"<html><head><title>{name}</title></head>{body}</html>"
    return _html(f"{_HANDBOOK}/app/{name}", page)


def _short(name: str) -> Page:
    page = blog_page(
        name, f"<p>There will be a post about the {name} module here soon, so come back later.</p>", []
    )
    return _html(f"{_BLOG}/draft/{name}", page)


def _foreign(lang: str, sentences: Sequence[str], *, charset: str) -> Callable[[str], Page]:
    def make(name: str) -> Page:
        turn = zlib.crc32(name.encode()) % len(sentences)
        text = [sentence.format(name=name) for sentence in (*sentences[turn:], *sentences[:turn])]
        body = f"<p>{' '.join(text[:4])}</p>\n<p>{' '.join(text[4:])}</p>"
        return _html(f"{_BLOG}/{lang}/{name}", blog_page(name, body, [], lang=lang), charset=charset)

    return make


def _links(name: str) -> Page:
    links = [(f"{_SHOP}/{name}-{i}.html", f"{name} cheap offer {i}") for i in range(120)]
    return _html(f"{_SHOP}/{name}/links.html", shop_page(f"{name} links", f"<ul>{anchors(links)}</ul>"))


def _digests(name: str) -> Page:
    rows = "".join(
        f"<p>The file {i} of the {name} and its digest with that of the backup: {_hex(name, i)} {_hex(name, -i)}</p>"
        for i in range(40)
    )
    return _html(f"{_SHOP}/{name}/sums.html", shop_page(f"Digests of {name}", rows))


def _hex(name: str, ordinal: int) -> str:
    return hashlib.sha512(f"{name} {ordinal}".encode()).hexdigest()


def _letters(name: str) -> Page:
    """A word puzzle: letters, none of them a word."""
    rows = "".join(f"<p>{' '.join(_hex(name, i))} is a row of the {name}.</p>" for i in range(20))
    return _html(f"{_SHOP}/{name}/puzzle.html", shop_page(f"The puzzle of {name}", rows))


def _table(name: str) -> Page:
    year = 1900 + zlib.crc32(name.encode()) % 200
    text = "<p>The calendar of the year that you asked for, with the days of the week and of the month.</p>"
    return _html(
        f"{_SHOP}/{name}/year.html",
        shop_page(f"{name} {year}", text + calendar.HTMLCalendar().formatyear(year)),
    )


def _tags(name: str) -> Page:
    words = ("the", "code", "with", "that", "have", "python", "of", "and", "to", "be", name)
    tags = " ".join(f"#{word}{i}" if i else f"# {word}" for i in range(12) for word in words)
    return _html(
        f"{_SHOP}/{name}/tags.html",
        shop_page(f"Tags for {name}", f"<p>All of the tags that we have: {tags}</p>"),
    )


def _bullets(name: str) -> Page:
    points = "".join(
        f"<p>- point {i} of the list of things that you have to know about {name}</p>" for i in range(1, 40)
    )
    return _html(f"{_SHOP}/{name}/points.html", shop_page("", points))


def _teasers(name: str) -> Page:
    rows = "".join(
        f"<p>Number {i}: what the author of {name} said to the reader about it and then...</p>"
        for i in range(40)
    )
    return _html(f"{_SHOP}/{name}/teasers.html", shop_page(f"{name} teasers", rows))


def _words(name: str) -> Page:
    """Key words for a search engine, with no sentence and no stop word among them."""
    words = " ".join(f"{name} {kind} {what}" for what in _WHAT for kind in _KINDS)
    return _html(f"{_SHOP}/{name}/words.html", shop_page(f"{name} words", f"<p>{words}</p>"))


_KINDS = ("buy", "cheap", "free", "download", "online", "best", "new", "review")
_WHAT = (
    "software",
    "course",
    "book",
    "shirt",
    "mug",
    "hosting",
    "licence",
    "consulting",
    "training",
    "sticker",
)


def _lines(name: str) -> Page:
    rows = "<p>You have to be logged in to see the answer to that question.</p>" * 30
    text = f"<p>What is the best way to start with the {name} module, and what have you read about it?</p>"
    return _html(f"{_BLOG}/forum/{name}", shop_page(f"Forum: {name}", text + rows))


def _paragraphs(name: str) -> Page:
    text = f"<p>The {name} module is one of the modules that every installation has, and it is worth the time.</p>"
    more = "".join(
        f"<p>In part {i} we will look at it with the help of an example.</p>{text}" for i in range(12)
    )
    return _html(f"{_BLOG}/course/{name}", shop_page(f"A course on {name}", more))


def _chant(name: str) -> Page:
    text = f"Read the {name} manual with care and be happy that you have it. " * 40
    return _html(f"{_BLOG}/chant/{name}", shop_page(f"Chant of {name}", f"<p>{text}</p>"))


JUNK: dict[str, Callable[[str], Page]] = {
    "missing": _missing,
    "moved": _moved,
    "image": _image,
    "data": _data,
    "robots": _robots,
    "empty": _empty,
    "short": _short,
    "german": _foreign("de", _GERMAN, charset="iso-8859-1"),
    "french": _foreign("fr", _FRENCH, charset="utf-8"),
    "spanish": _foreign("es", _SPANISH, charset="windows-1252"),
    "links": _links,
    "digests": _digests,
    "letters": _letters,
    "table": _table,
    "tags": _tags,
    "bullets": _bullets,
    "teasers": _teasers,
    "words": _words,
    "lines": _lines,
    "paragraphs": _paragraphs,
    "chant": _chant,
}
