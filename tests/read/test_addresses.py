"""An address names a place and no secret; what cannot be read says what is missing."""

import pytest
from fsspec.registry import known_implementations

from manifests.errors import RecipeError
from pipelines.inputs import find_files
from pipelines.places import check_address
from pipelines.remote.stream import look_up


@pytest.mark.parametrize(
    "address",
    [
        "https://me:hunter2@host/a.gz",
        "https://hunter2@host/a.gz",
        "s3://key:hunter2@bucket/a.gz",
        "https://host/a.gz?X-Amz-Signature=hunter2",
        "https://host/a.gz?hunter2",
        "abfs://box@account/a.gz?sig=hunter2",
    ],
)
def test_an_address_with_a_secret_is_refused_and_the_secret_not_repeated(address):
    with pytest.raises(RecipeError, match="credentials are taken from") as caught:
        check_address(address)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["hf://datasets/org/name@main/data/*.parquet", "abfs://box@account.dfs/a", "s3://bucket/a?.gz"]
)
def test_an_at_sign_or_a_wildcard_is_no_secret(address):
    assert check_address(address) == address


@pytest.mark.parametrize(
    ("pattern", "root"),
    [
        ("https://me:hunter2@host/b/x.gz?sig=hunter2", "https://host/a"),
        ("https://host/b/x.gz?sig=hunter2", "crawl"),
        ("/x?sig=hunter2", "https://host/a"),
        ("@list.txt", "https://host/a"),
    ],
)
def test_an_address_outside_the_root_is_refused_and_its_secret_not_repeated(pattern, root, tmp_path):
    (tmp_path / "list.txt").write_text("https://me:hunter2@other/b.gz?sig=hunter2\n")
    with pytest.raises(RecipeError) as caught:
        find_files(pattern, root=root, folder=tmp_path)
    assert "hunter2" not in str(caught.value)


def test_chained_protocols_are_refused():
    with pytest.raises(RecipeError, match="streamed, never stored"):
        check_address("simplecache::s3://bucket/a")


def test_a_missing_client_is_named_with_the_command_that_brings_it(monkeypatch):
    for name, place in (("far", "farfs.FarFileSystem"), ("near", "fsspec.implementations.no.Near")):
        monkeypatch.setitem(known_implementations, name, {"class": place, "err": "Install nearlib"})
    with pytest.raises(RecipeError, match="client for far://, found none; run  pip install farfs"):
        look_up("far://bucket/a")
    with pytest.raises(RecipeError, match="client for near://, found none: Install nearlib"):
        look_up("near://bucket/a")
    with pytest.raises(RecipeError, match="known protocol, got nonsense://"):
        look_up("nonsense://bucket/a")
