"""A corpus built from addresses is the one built from the same files of this machine."""

import gzip
import json
import subprocess
import sys

import fsspec
import pyarrow.parquet as pq
import pytest

import pipelines.remote.retry
from corpus_tools.verify import verify_corpus
from manifests.corpus import CorpusManifest
from manifests.digest import read_sealed
from manifests.errors import InputError, RecipeError, TaskError
from pipelines.executor import build
from pipelines.plan import make_plan
from pipelines.recipe import load_recipe
from tests.engine.small import make_input
from tests.read.server import serving

RECIPE = """\
name: small
sources:
  - name: web
    read: warc
    paths: {paths}
    steps: [extract]
    {root}
steps: [exact]
"""


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(pipelines.remote.retry, "WAITS", [0.0])


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """Name -> bytes of a crawl's files; a list of them among it."""
    folder = make_input(tmp_path_factory.mktemp("input"), n_files=3)
    files = {f"crawl/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    files["crawl/deeper/3.warc.gz"] = files["crawl/1.warc.gz"]
    files["crawl/.hidden.warc.gz"] = files["crawl/1.warc.gz"]
    names = [name for name in files if "hidden" not in name]
    return {**files, "warc.paths.gz": gzip.compress("\n".join(names).encode())}


@pytest.fixture
def memory(crawl):
    files = fsspec.filesystem("memory")
    for name, data in crawl.items():
        files.pipe(f"/bucket/{name}", data)
    yield files
    files.rm("/bucket", recursive=True)


@pytest.fixture
def server(crawl):
    with serving(files={f"/{name}": data for name, data in crawl.items()}) as server:
        yield server


@pytest.fixture
def local(crawl, tmp_path):
    for name, data in crawl.items():
        (tmp_path / "disk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "disk" / name).write_bytes(data)
    return tmp_path / "disk"


def write(tmp_path, *paths, root=None):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(paths=json.dumps(paths), root=f"root: {root}" if root else ""))
    return recipe


def built(tmp_path, name, *paths, root=None, workers=0):
    plan = make_plan(write(tmp_path, *paths, root=root), tmp_path / name)
    build(plan, workers=workers)
    return tmp_path / name


def documents(out):
    manifest = CorpusManifest.read(out)
    tables = [pq.read_table(out / part.part.path).to_pylist() for part in manifest.parts]
    return sorted((row for rows in tables for row in rows), key=lambda row: row["doc_id"])


def inputs(out):
    (source,) = CorpusManifest.read(out).sources
    return read_sealed(out / source.files.path)["files"]


def found(tmp_path, *paths, root=None):
    (source,) = load_recipe(write(tmp_path, *paths, root=root)).sources
    return [(str(file.root), file.path) for file in source.files]


def refusal(tmp_path, *paths, root=None):
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, *paths, root=root))
    return str(caught.value)


# --- building --------------------------------------------------------------------------------------


def test_disk_store_and_server_give_the_same_documents_and_differ_in_what_identifies_files(
    tmp_path, local, memory, server
):
    outs = [
        built(tmp_path, "a", "crawl/**/*.warc.gz", root=local),
        built(tmp_path, "b", "crawl/**/*.warc.gz", root="memory://bucket"),
        built(tmp_path, "c", f"@{server.url}/warc.paths.gz", root=server.url),
        built(tmp_path, "d", f"@{server.url}/warc.paths.gz"),
    ]
    first, *others = [documents(out) for out in outs]
    assert len(first) > 20
    assert others == [first] * 3
    listed = [inputs(out) for out in outs]
    assert [[(f["path"], f["size"]) for f in files] for files in listed] == [
        [(f["path"], f["size"]) for f in listed[0]]
    ] * 4
    kinds = [{f["digest"].rpartition(":")[0] for f in files} for files in listed]
    assert kinds == [{""}, {"modified"}, {"etag"}, {"etag"}]
    for out in outs:
        assert verify_corpus(out, deep=True).findings == []


def test_children_read_from_a_server_whose_connections_drop(tmp_path, local, server):
    plan = make_plan(write(tmp_path, f"@{server.url}/warc.paths.gz"), tmp_path / "remote")
    server.troubles = [("cut", 2_000), ("status", 503)]
    build(plan, workers=1)
    assert server.troubles == []
    assert documents(tmp_path / "remote") == documents(built(tmp_path, "a", "crawl/**/*.warc.gz", root=local))


def test_no_part_of_a_build_s_corpus_says_which_server_it_came_from(tmp_path, server):
    out = built(tmp_path, "out", f"@{server.url}/warc.paths.gz")
    private = out / "runs"
    for path in (path for path in out.rglob("*") if path.is_file() and private not in path.parents):
        assert b"127.0.0.1" not in path.read_bytes()


def test_a_file_that_changed_makes_its_documents_anew_and_leaves_the_others(tmp_path, server, crawl):
    paths = [f"{server.url}/crawl/0.warc.gz"]
    first = make_plan(write(tmp_path, *paths), tmp_path / "out")
    assert make_plan(write(tmp_path, *paths), tmp_path / "out").key == first.key
    server.etag = '"two"'
    assert make_plan(write(tmp_path, *paths), tmp_path / "out").key != first.key


def test_a_file_that_changes_between_plan_and_read_fails_its_unit_and_names_it(tmp_path, server):
    plan = make_plan(write(tmp_path, f"{server.url}/crawl/0.warc.gz"), tmp_path / "out")
    server.etag = '"two"'
    with pytest.raises(TaskError, match=r"/crawl/0\.warc\.gz: expected etag:one .* found etag:two"):
        build(plan, workers=1)
    assert not (tmp_path / "out" / "corpus.json").exists()


def test_files_that_are_not_there_are_named_before_anything_runs(tmp_path, server):
    recipe = write(tmp_path, "a.gz", "b.gz", "crawl/0.warc.gz", root=server.url)
    with pytest.raises(InputError, match="2 of 3 remote files cannot be read") as caught:
        make_plan(recipe, tmp_path / "out")
    assert f"{server.url}/a.gz: expected a file, the server answered 404" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_recipe_without_addresses_does_not_import_what_reads_them(tmp_path, local):
    recipe = write(tmp_path, "crawl/*.warc.gz", root=local)
    code = (
        "import sys; from pathlib import Path; from pipelines.recipe import load_recipe\n"
        f"(source,) = load_recipe(Path({str(recipe)!r})).sources\n"
        f"from pipelines.filelist import list_files; list_files(source, Path({str(tmp_path / 'out')!r}))\n"
        "assert not {'fsspec', 'pipelines.remote', 'urllib.request'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- paths -----------------------------------------------------------------------------------------


def test_an_address_is_rooted_at_what_stands_before_its_first_wildcard_or_at_its_folder(tmp_path, memory):
    assert found(tmp_path, "memory://bucket/crawl/*.gz") == [
        ("memory://bucket/crawl", f"{n}.warc.gz") for n in range(3)
    ]
    assert found(tmp_path, "memory://bucket/crawl/de*/*") == [("memory://bucket/crawl", "deeper/3.warc.gz")]
    assert found(tmp_path, "https://host/crawl/0.warc.gz") == [("https://host/crawl", "0.warc.gz")]


def test_wildcards_name_the_same_files_in_a_store_as_on_disk(tmp_path, memory, local):
    patterns = (
        "crawl/*",
        "**/*.gz",
        "crawl/**",
        "**",
        "*/*/*",
        "crawl/[01].*",
        "crawl/.*",
        "crawl/?.warc.gz",
        "*.gz",
    )
    for pattern in patterns:
        stored = [path for _, path in found(tmp_path, pattern, root="memory://bucket")]
        assert stored == [path for _, path in found(tmp_path, pattern, root=local)] != []


def test_a_list_may_lie_on_a_server_and_its_files_here_and_the_other_way_round(tmp_path, server, local):
    here = found(tmp_path, f"@{server.url}/warc.paths.gz", root=local)
    there = found(tmp_path, f"@{local}/warc.paths.gz", root=server.url)
    assert [path for _, path in here] == [path for _, path in there] != []
    assert ({root for root, _ in here}, {root for root, _ in there}) == ({str(local)}, {server.url})


def test_lines_of_a_list_may_be_addresses_below_the_root(tmp_path):
    (tmp_path / "list").write_text("https://host/crawl/b.gz\na.gz\n")
    assert found(tmp_path, "@list", root="https://host/crawl") == [
        ("https://host/crawl", n) for n in ("a.gz", "b.gz")
    ]


@pytest.mark.parametrize(
    ("paths", "root", "what"),
    [
        (["https://host/crawl/*.gz"], None, "expected an address without wildcards"),
        (["https://host/a.gz"], "https://host/crawl", "expected a path below root, got https://host/a.gz"),
        (["https://hostile/a.gz"], "https://host", "expected a path below root"),
        (["https://host/a.gz"], ".", "expected a path below root"),
        (["/a.gz"], "https://host", "expected a path below root, got /a.gz"),
        (["../a.gz"], "https://host/crawl", "expected an address without . and .."),
        (["https://host/"], None, "expected the address of a file"),
        (["https://me:secret@host/a.gz"], None, "5:13: expected an address without a user or password"),
        (["a.gz"], "https://host/?key=secret", "7:11: expected an address without a query"),
        (
            ["memory://bucket/none/*.gz"],
            None,
            'expected files like "*.gz", found none below memory://bucket/none',
        ),
        (
            ["@list"],
            None,
            "list:1: expected a relative path, got https://host/x/a.gz?...; add  root: https://host/x",
        ),
        (["@list"], "https://host", "list:1: expected an address without a query"),
        (["@list"], ".", "list:1: expected a path below"),
        (["@memory://bucket/none"], None, "memory://bucket/none: expected a readable list of paths"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(tmp_path, paths, root, what):
    (tmp_path / "list").write_text("https://host/x/a.gz?key=secret\n")
    message = refusal(tmp_path, *paths, root=root)
    assert what in message
    assert f"recipe.yaml:{7 if what.startswith('7:') else 5}:" in message
    assert "secret" not in message
