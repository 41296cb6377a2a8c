"""A remote file reads like a local one, whatever its server does; what cannot be read is an error that names it."""

import bz2
import gzip
import io
import json
import random
import zipfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import pipelines.remote.retry
import pipelines.remote.stream
import tests.read.test_arc as arc
from manifests.errors import InputError, UsageError
from pipelines import heartbeat
from pipelines.places import Found
from pipelines.read import records
from pipelines.read.code import Code
from pipelines.read.gutenberg import Gutenberg
from pipelines.read.jsonl import Jsonl
from pipelines.read.own import reader_of
from pipelines.read.parquet import Parquet
from pipelines.read.warc import Warc
from pipelines.read.wet import Wet
from pipelines.remote.stores import list_below
from pipelines.remote.stream import look_up, open_remote
from pipelines.stage import SourceFile
from tests.read.server import serving
from tests.read.warcs import members, page, record, rows, source

DATA = random.Random(1).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(pipelines.remote.retry, "WAITS", [0.0, 0.01])


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    files.pipe("/quern/first", b"")  # so that the folder is there
    yield files
    files.rm("/quern", recursive=True)


def remote(address):
    return open_remote(address, look_up(address))


# --- bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no_ranges"])
def test_a_file_of_a_web_server_reads_like_one_in_memory(ranges, monkeypatch):
    monkeypatch.setattr(pipelines.remote.stream, "LARGEST", 256 << 10)
    with serving(files={"/a": DATA}, ranges=ranges) as server, remote(f"{server.url}/a") as stream:
        twin = io.BytesIO(DATA)
        for place, n in [
            (0, 10),
            (10, 300_000),
            (2_999_000, 5_000),
            (5, 2_000_000),
            (70_000, 1),
            (3_000_001, 4),
        ]:
            assert stream.seek(place) == twin.seek(place) == place
            assert stream.read(n) == twin.read(n)
        assert stream.seek(-7, io.SEEK_END) == len(DATA) - 7
        assert (stream.read(), stream.read()) == (DATA[-7:], b"")


def test_a_file_of_a_store_reads_like_one_in_memory(memory):
    memory.pipe("/quern/a", DATA)
    with remote("memory://quern/a") as stream:
        assert stream.read() == DATA
        stream.seek(1_000_000)
        assert stream.read(9) == DATA[1_000_000:1_000_009]


def test_an_empty_file_is_read(memory):
    memory.pipe("/quern/empty", b"")
    with serving(files={"/empty": b""}) as server:
        for address in (f"{server.url}/empty", "memory://quern/empty"):
            with remote(address) as stream:
                assert stream.read() == b""


def test_reading_forwards_takes_one_request_and_looking_at_the_head_few_bytes():
    with serving(files={"/a": DATA}) as server:
        with remote(f"{server.url}/a") as stream:
            assert stream.read() == DATA
        assert server.asked == [("/a", "bytes=0-0"), ("/a", "bytes=0-")]


def test_memory_is_bounded_however_large_the_file(monkeypatch):
    fetched = []

    class Endless:
        def fetch(self, start, end):
            fetched.append(end - start)
            return bytes(end - start)

        def close(self):
            pass

    monkeypatch.setattr(pipelines.remote.stream, "_file", lambda *_: Endless())
    with open_remote("s3://bucket/a", Found(200 << 20, "")) as stream:
        while stream.read(1 << 20):
            kept = sum(len(data) for _, data in stream.raw._kept)
            assert kept <= 3 * pipelines.remote.stream.LARGEST
    assert (sum(fetched), max(fetched), fetched[0]) == (200 << 20, 8 << 20, 64 << 10)


def test_a_name_with_spaces_and_umlauts_is_asked_for_as_servers_spell_it():
    with serving(files={"/B%C3%BCcher%20a.txt": b"x"}) as server:
        assert look_up(f"{server.url}/Bücher a.txt") == look_up(f"{server.url}/B%C3%BCcher%20a.txt")


# --- identity --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "identity"),
    [
        ({}, "etag:one"),
        ({"etag": 'W/"two"'}, "etag:W/two"),
        (
            {"etag": None, "modified": "Sat, 21 Nov 2026 10:00:00 GMT"},
            "modified:Sat, 21 Nov 2026 10:00:00 GMT",
        ),
        ({"etag": None}, "size:3"),
    ],
)
@pytest.mark.parametrize("ranges", [True, False])
def test_a_web_file_is_known_by_the_strongest_its_server_says(options, identity, ranges):
    with serving(files={"/a": b"abc"}, ranges=ranges, **options) as server:
        assert look_up(f"{server.url}/a") == Found(3, identity)


def test_a_listing_and_a_look_up_give_a_stored_file_one_identity(memory):
    memory.pipe("/quern/a/b.gz", b"abc")
    assert list_below("memory://quern", "**/*.gz") == [("a/b.gz", look_up("memory://quern/a/b.gz"))]


@pytest.mark.parametrize("change", ["etag", "size"])
def test_a_web_file_that_changed_since_it_was_planned_is_an_error_that_names_it(change):
    with serving(files={"/a": DATA}) as server:
        planned = look_up(f"{server.url}/a")
        if change == "etag":
            server.etag = '"other"'
        else:
            server.files["/a"] = DATA[:-1]
        with (
            open_remote(f"{server.url}/a", planned) as stream,
            pytest.raises(InputError, match="changed since"),
        ):
            stream.read(1)


def test_a_web_file_that_changes_while_it_is_read_is_an_error():
    troubles = [("", 0), ("cut", 100_000)]
    with serving(files={"/a": DATA}, troubles=troubles) as server, remote(f"{server.url}/a") as stream:
        assert stream.read(1_000) == DATA[:1_000]
        server.etag = '"other"'
        with pytest.raises(InputError, match="etag:one of 3000000 bytes, as planned, found etag:other"):
            stream.read()


def test_a_stored_file_that_changed_since_it_was_planned_is_an_error(memory):
    memory.pipe("/quern/a", b"abc")
    planned = look_up("memory://quern/a")
    memory.pipe("/quern/a", b"abd")
    with (
        open_remote("memory://quern/a", planned) as stream,
        pytest.raises(InputError, match="//quern/a: expected"),
    ):
        stream.read()


def test_a_file_whose_size_is_not_said_is_refused():
    with (
        serving(files={"/a": DATA}, ranges=False, sized=False) as server,
        pytest.raises(InputError, match="how large"),
    ):
        look_up(f"{server.url}/a")


# --- troubles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no_ranges"])
def test_a_connection_that_drops_is_taken_up_where_it_broke(ranges):
    with serving(files={"/a": DATA}, ranges=ranges) as server, remote(f"{server.url}/a") as stream:
        server.troubles = [("cut", 70_000), ("status", 503), ("cut", 1_000_000)]
        assert stream.read() == DATA


def test_an_answer_that_may_pass_is_asked_for_again_and_one_that_will_not_is_not():
    with serving(files={"/a": b"abc"}, troubles=[("status", 503), ("status", 429)]) as server:
        assert look_up(f"{server.url}/a").size == 3
        with pytest.raises(InputError, match=r"/none: expected a file, the server answered 404"):
            look_up(f"{server.url}/none")
        assert [path for path, _ in server.asked] == ["/a", "/a", "/a", "/none"]


def test_trouble_that_does_not_pass_ends_with_the_address():
    with serving(files={"/a": b"abc"}, troubles=[("status", 500)] * 3) as server:
        with pytest.raises(
            InputError, match="/a: could not be read, tried 3 times: BusyError: the server answered 500"
        ):
            look_up(f"{server.url}/a")
        gone = server.url
    with pytest.raises(InputError, match="/a: could not be read, tried 3 times"):
        look_up(f"{gone}/a")


def test_a_link_that_drops_within_every_window_is_read_through():
    with serving(files={"/a": DATA}) as server, remote(f"{server.url}/a") as stream:
        server.troubles = [("cut", 200_000)] * 40
        assert stream.read() == DATA
        starts = [int(wanted[6:-1]) for _, wanted in server.asked[1:]]
        assert starts == list(range(0, len(DATA), 200_000))


def test_waiting_for_a_server_is_no_record_s_fault(monkeypatch):
    state = memoryview(bytearray(heartbeat.SIZE))
    monkeypatch.setitem(heartbeat._state, "map", state)
    seen = []
    heartbeat.at(41)
    with heartbeat.waiting():
        seen.append(heartbeat.read(bytes(state))[1])
    assert (seen, heartbeat.read(bytes(state))[1]) == ([-1], 41)


# --- readers ---------------------------------------------------------------------------------------


def zipped(name, data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, data)
    return packed.getvalue()


def table(n):
    packed = io.BytesIO()
    rows_ = {"text": [f"text {i} " + "x" * 2_000 for i in range(n)], "id": [str(i) for i in range(n)]}
    pq.write_table(pa.table(rows_), packed, row_group_size=n // 4, compression="none")
    return packed.getvalue()


PAGES = [record("warcinfo", b"x\r\n"), *(page(n) for n in range(300))]
LINES = b"".join(json.dumps({"text": f"line {n}", "id": n}).encode() + b"\n" for n in range(1_000))
BOOK = b"*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nOnce.\n\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\n"
WET = record("conversion", b"Text of a page.")
INPUTS = {
    "a.warc.gz": (Warc(), members(PAGES)),
    "broken.warc.gz": (Warc(), members(PAGES)[:40_000] + b"\0" * 500 + members(PAGES)[40_500:]),
    "a.warc": (Warc(), b"".join(PAGES)),
    "a.warc.lz4": (Warc(), b"".join(pa.compress(r, codec="lz4", asbytes=True) for r in PAGES)),
    "a.warc.zst": (Warc(), b"".join(zstandard.compress(r) for r in PAGES)),
    "single.warc.zst": (Warc(), zstandard.compress(b"".join(PAGES))),
    "a.arc.gz": (Warc(), arc.members(arc.crawl(30))),
    "a.arc.lz4": (Warc(), arc.lz4(arc.crawl(30))),
    "a.arc.zst": (Warc(), arc.zstd_frames(arc.crawl(30))),
    "a.wet": (Wet(), WET * 20),
    "a.jsonl": (Jsonl(), LINES),
    "a.jsonl.gz": (Jsonl(), gzip.compress(LINES)),
    "cut.jsonl.gz": (Jsonl(), gzip.compress(LINES)[:-9]),
    "a.jsonl.bz2": (Jsonl(), bz2.compress(LINES)),
    "a.jsonl.zst": (Jsonl(), zstandard.compress(LINES)),
    "a.parquet": (Parquet(), table(400)),
    "no.parquet": (Parquet(), b"PAR1 and no more"),
    "a.txt": (Gutenberg(), BOOK),
    "a.zip": (Gutenberg(), zipped("1342-0.txt", BOOK)),
    "a.py": (Code(), b"print('hello')\n"),
}
each_input = pytest.mark.parametrize("name", INPUTS)


@each_input
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no_ranges"])
def test_every_reader_reads_the_same_rows_from_a_server(name, ranges, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SPLIT_BYTES", 20_000)
    reader, data = INPUTS[name]
    local = source(tmp_path / name, data)
    with serving(files={f"/crawl/{name}": data}, ranges=ranges) as server:
        file = SourceFile("web", f"{server.url}/crawl", name, len(data), "etag:one")
        server.troubles = [("cut", 1_000)]
        assert rows(reader, file) == rows(reader, local) != []


@pytest.mark.parametrize(("name", "n_splits"), [("a.warc.gz", 3), ("a.warc", 1), ("a.warc.zst", 3)])
def test_planning_cuts_crawl_files_by_their_names_and_asks_nobody(name, n_splits, monkeypatch):
    monkeypatch.setattr(records, "SPLIT_BYTES", 1_000)
    splits = Warc().splits(SourceFile("web", "https://no.server.test", name, 2_500, "etag:one"))
    assert [(s.start, s.end) for s in splits][-1] == ((2_000 if n_splits == 3 else 0), 2_500)
    assert len(splits) == n_splits


@each_input
def test_no_reader_takes_a_server_s_trouble_for_damage(name):
    reader, data = INPUTS[name]
    with serving() as server:
        file = SourceFile("web", server.url, name, len(data), "etag:one")
        with pytest.raises(InputError, match=f"{name}: expected a file, the server answered 404"):
            rows(reader, file)


@each_input
def test_no_reader_takes_a_connection_lost_midway_for_the_end_of_a_file(name):
    reader, data = INPUTS[name]
    with serving(files={f"/{name}": data}) as server:
        file = SourceFile("web", server.url, name, len(data), "etag:one")
        server.troubles = [("cut", len(data) // 2)] + [("cut", 0)] * 20
        with pytest.raises(InputError, match="could not be read, tried 3 times"):
            rows(reader, file)


def test_what_needs_a_path_says_so_of_a_remote_file():
    with pytest.raises(UsageError, match=r"https://host/a/b\.gz: expected a file of this machine"):
        _ = SourceFile("web", "https://host/a", "b.gz", 1, "etag:x").full


def test_a_reader_of_one_s_own_is_refused_a_remote_file_before_anything_runs():
    def lines(path):
        yield path.read_text()

    reader = reader_of(lines, "own.lines")()
    with pytest.raises(UsageError, match=r"https://host/a/b\.gz: expected a file of this machine"):
        reader.splits(SourceFile("web", "https://host/a", "b.gz", 1, "etag:x"))
