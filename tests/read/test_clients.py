"""What the clients of stores raise: what may pass is tried again, the rest is an error with the address."""

import http.client
import sys
import types
from functools import partial

import fsspec
import pytest

import pipelines.remote.retry
from manifests.errors import InputError
from pipelines.remote.retry import BusyError, tried
from pipelines.remote.stores import list_below
from pipelines.remote.stream import look_up, open_remote


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(pipelines.remote.retry, "WAITS", [0.0, 0.01])


def failing(*errors):
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return "bytes"

    return call


def test_errors_of_clients_that_are_no_oserror_may_pass_too_and_bugs_of_ours_do_not():
    assert tried("s3://bucket/a", failing(http.client.IncompleteRead(b""), TimeoutError())) == "bytes"
    with pytest.raises(ZeroDivisionError):
        tried("s3://bucket/a", failing(ZeroDivisionError()))


def test_a_server_that_says_how_long_to_wait_is_heard_up_to_a_minute(monkeypatch):
    slept = []
    monkeypatch.setattr(pipelines.remote.retry.time, "sleep", slept.append)
    assert tried("https://host/a", failing(BusyError("busy", 7.0), BusyError("busy", 3_600.0))) == "bytes"
    assert slept == [7.0, 60.0]


def test_what_a_client_says_is_repeated_without_signatures():
    error = PermissionError("403 for https://key@cdn.host/a?X-Amz-Signature=hunter2&X-Amz-Date=1")
    with pytest.raises(InputError, match=r"403 for https://cdn\.host/a\?\.\.\.$"):
        tried("hf://datasets/org/name/a", failing(error))


@pytest.mark.parametrize(
    ("module", "name"),
    [("httpx", "TransportError"), ("httpx2", "TransportError"), ("gcsfs.retry", "HttpError")],
)
def test_a_client_s_own_connection_errors_may_pass(module, name, monkeypatch):
    loaded = types.ModuleType(module)
    setattr(loaded, name, type(name, (Exception,), {}))
    monkeypatch.setitem(sys.modules, module, loaded)
    assert tried("hf://datasets/org/name/a", failing(getattr(loaded, name)("refused"))) == "bytes"


def test_a_hub_that_is_not_reached_is_an_error_with_the_address(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("hf").clear_instance_cache()
    with pytest.raises(InputError, match=r"name/a\.gz: could not be read, tried 3 times: ConnectError"):
        look_up("hf://datasets/org/name/a.gz")


class Odd(fsspec.AbstractFileSystem):
    """A store whose client has errors of its own, from the call named by the address on."""

    protocol = "odd"
    cachable = False

    def info(self, path):
        self._fail(path, "info")
        return {"name": path, "size": 3, "type": "file"}

    def find(self, path, **_):
        self._fail(path, "find")

    def cat_file(self, path, **_):
        self._fail(path, "cat")

    def _fail(self, path, call):
        if call in path:
            raise LookupError("none at https://me:hunter2@host/a?sig=hunter2")


def opened(address):
    return open_remote(address, look_up(address)).read()


@pytest.mark.parametrize("call", ["info", "find", "cat"])
def test_whatever_a_store_s_client_raises_is_an_error_with_the_address_and_no_secret(call):
    fsspec.register_implementation("odd", Odd, clobber=True)
    expected = rf"odd://{call}: expected .* LookupError: none at https://host/a\?\.\.\.$"
    asked = partial(list_below, pattern="*") if call == "find" else opened
    with pytest.raises(InputError, match=expected):
        asked(f"odd://{call}")
