"""A catalog on an object store: everything that a folder can, and two writers that share no disk.

The store is moto's server on loopback. Requests are let in one by one: moto looks whether an object is there and then
writes it, and an object store does both in one.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lance
import pytest

from conftest import draw_garment, draw_items
from focusedfashion import cli, settings, store
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.errors import CatalogError
from focusedfashion.indexing import index_items
from focusedfashion.items import Failure
from focusedfashion.lock import Lease, Turn
from focusedfashion.server.feedback import Feedback
from focusedfashion.server.keys import Keys
from focusedfashion.store import Store
from test_durability import HOLD, start

boto3 = pytest.importorskip(
    "boto3", reason="moto[server,s3] is not installed: catalogs on an object store are NOT tested"
)

SHORT_LEASE = "settings.LEASE_SECONDS = 1.5\n"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with the bucket `shops`; the environment says where it is."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    application, one = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def serve_one(environ: Any, start_response: Any) -> Any:
        with one:
            return application(environ, start_response)

    listener = make_server("127.0.0.1", 0, serve_one, threaded=True)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, address)
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="shops")
        yield address
    listener.shutdown()
    thread.join()
    listener.server_close()


def set_environment(patch: pytest.MonkeyPatch, address: str) -> None:
    patch.setenv("AWS_ENDPOINT_URL", address)
    patch.setenv("AWS_ALLOW_HTTP", "true")
    patch.setenv("AWS_ACCESS_KEY_ID", "key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("AWS_REGION", "us-east-1")
    patch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def shop(server: str, request: pytest.FixtureRequest) -> str:
    """A new place for a catalog."""
    return f"s3://shops/{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}"


def list_ids(shop: str, table: str = "items") -> list[str]:
    ids: list[str] = lance.dataset(f"{shop}/{table}.lance").to_table(columns=["item_id"]).column(0).to_pylist()
    return sorted(ids)


def test_everything_on_an_object_store(
    shop: str, tmp_path: Path, encoder_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, table = tmp_path / "photos", tmp_path / "feed.csv"
    photos.mkdir()
    for number, color in enumerate(("red", "green", "blue", "white")):
        (photos / f"{number}.jpg").write_bytes(draw_garment(color))
    (photos / "4.jpg").write_bytes(b"junk")

    def run(*argv: object) -> Any:
        code = cli.main([*map(str, argv), "--json"])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        found = json.loads(out)
        return {name: value for name, value in found.items() if value} if "seconds" in found else found

    def write(*prices: float) -> None:
        rows = [f"{number},photos/{number}.jpg,{price}" for number, price in enumerate(prices)]
        table.write_text("\n".join(["id,image,price", *rows]))

    write(1, 2, 3, 4, 5)
    first = run("index", shop, table, "--encoder", encoder_folder)
    assert {**first, "seconds": 0} == {"added": 4, "failed": 1, "seconds": 0}
    write(1, 2, 30.5, 4, 5)  # a price, and a column of whole numbers that becomes one of numbers
    (photos / "3.jpg").write_bytes(draw_garment("white", 1))
    second = run("index", shop, table)
    assert {**second, "seconds": 0} == {"updated": 2, "unchanged": 2, "failed": 1, "seconds": 0}
    (photos / "4.jpg").write_bytes(draw_garment("red", 2))
    assert {**run("index", shop, table, "--retry-failed"), "seconds": 0} == {"added": 1, "seconds": 0}
    matches = run("search", shop, photos / "2.jpg", "-k", 2, "--where", "price > 4")["matches"]
    assert matches[0]["item"]["item_id"] == "2"
    assert run("remove", shop, "0", "1") == {"removed": 2}
    assert run("failures", shop) == []
    assert run("info", shop)["items"] == 3
    assert list_ids(shop) == ["2", "3", "4"]


def test_serve_from_an_object_store(shop: str, tiny_encoder: Encoder) -> None:
    index_items(draw_items(20), tiny_encoder, Store(shop))
    with start("serve", shop, "--port", 0) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address, process.communicate()[1]

            def ask(path: str) -> Any:
                with urllib.request.urlopen(f"{address[0]}/v1/{path}", timeout=30) as answer:
                    return answer.read()

            cheap = quote(json.dumps([{"column": "price", "op": "<", "value": 10}]))
            assert json.loads(ask("catalog"))["items"] == 20
            assert len(json.loads(ask(f"items/item-000/similar?k=3&filters={cheap}"))["matches"]) == 3
            assert len(ask("items/item-000/thumbnail")) > 100
            index_items(draw_items(24), tiny_encoder, Store(shop))
            assert json.loads(ask("catalog"))["items"] == 24
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_an_empty_place_is_no_catalog(shop: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=rf"no catalog at {shop}: make one with `focusedfashion index"):
        Catalog(shop).info()
    with pytest.raises(CatalogError, match="no catalog at"):
        Catalog(shop).remove(["a"])
    with pytest.raises(ValueError, match="was not found"):  # asking made nothing
        lance.dataset(f"{shop}/writer.lance")


# Two writers


def test_a_second_writer_waits_for_the_first(shop: str, encoder_folder: Path) -> None:
    with start(shop, encoder_folder, "old", "both", program=HOLD) as first:
        assert first.stdin and first.stdout and first.stdout.readline() == "half\n"
        with start(shop, encoder_folder, "both", "new", program=HOLD) as second:
            assert second.stdin and second.stderr
            line = second.stderr.readline()
            assert re.search(rf" is being written by process {first.pid} on \S+ since 20\S+; waiting for it", line)
            for process in (first, second):
                process.stdin.close()
            assert (first.wait(60), second.wait(60)) == (0, 0)
    assert list_ids(shop) == sorted(item.item_id for name in ("old", "both", "new") for item in draw_items(60, name))


def test_a_killed_writer_keeps_others_waiting_only_for_its_lease(shop: str, encoder_folder: Path) -> None:
    with start(shop, encoder_folder, "old", program=SHORT_LEASE + HOLD) as first:
        assert first.stdout and first.stdout.readline() == "half\n"
        with start(shop, encoder_folder, "old", program=SHORT_LEASE + HOLD) as second:
            assert second.stdin and second.stderr and "waiting for it" in second.stderr.readline()
            second.stdin.close()
            time.sleep(2)  # longer than a lease that nobody renews
            assert second.poll() is None
            first.kill()
            killed = time.monotonic()
            assert second.wait(60) == 0
            assert time.monotonic() - killed < 15
    assert list_ids(shop) == [item.item_id for item in draw_items(60, "old")]


def test_a_writer_that_lost_its_turn_stops(shop: str, encoder_folder: Path) -> None:
    """One that was stopped for so long that another took over: it hears of it and every row is there once."""
    with start(shop, encoder_folder, "one", program=SHORT_LEASE + HOLD) as first:
        assert first.stdin and first.stdout and first.stderr and first.stdout.readline() == "half\n"
        first.send_signal(signal.SIGSTOP)
        with start(shop, encoder_folder, "one", program=SHORT_LEASE + HOLD) as second:
            assert second.stdin
            second.stdin.close()
            assert second.wait(60) == 0
        first.send_signal(signal.SIGCONT)
        err = first.communicate("\n", timeout=60)[1]
    assert first.returncode == 1
    assert re.search(r"CatalogError: s3://\S+ (is being written by|has not answered for)", err.splitlines()[-1])
    assert list_ids(shop) == [item.item_id for item in draw_items(60, "one")]


@pytest.mark.parametrize("index_rows", [10, 10**6])
def test_two_writers_without_any_turn_double_nothing(
    shop: str, tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch, index_rows: int
) -> None:
    """What is left should two ever write at once: who inserts second finds the rows of the first."""

    class NoLease(Turn):
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Turn:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(store, "Lease", NoLease)
    monkeypatch.setattr(settings, "INDEX_ROWS", index_rows)
    monkeypatch.setattr(settings, "COMMIT_ROWS", 4)
    index_items(draw_items(12, "old"), tiny_encoder, Store(shop))
    meeting, errors = threading.Barrier(2), []

    def write(price: float) -> None:
        meeting.wait()
        items = [replace(item, price=price) for item in draw_items(40)]
        try:
            index_items([*items, Failure("x", "read", "no")], tiny_encoder, Store(shop))
        except CatalogError as error:  # two that change the same rows at once may make one give up, and it says so
            errors.append(error)

    threads = [threading.Thread(target=write, args=(price,)) for price in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(errors) < 2, errors
    assert list_ids(shop) == sorted(item.item_id for item in [*draw_items(12, "old"), *draw_items(40)])
    assert list_ids(shop, "failures") == ["x"]


def test_the_lease(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LEASE_SECONDS", 1.0)
    place = f"{shop}/writer.lance"
    with Lease(place, shop) as one:
        time.sleep(1.5)  # renewed meanwhile
        one.check()
    with Lease(place, shop) as two:
        two.check()
        # Taken over behind its back.
        lance.dataset(place).update_config({"writer": json.dumps({"who": "process 7", "token": "7"})})
        time.sleep(0.5)
        with pytest.raises(CatalogError, match=r"is being written by process 7, which took over"):
            two.check()
    begin = time.monotonic()
    with Lease(place, shop) as three:
        assert 0.9 < time.monotonic() - begin < 10  # process 7 never came back
        assert not three.interrupted  # but it may, and may be writing: its files are not to be deleted
    assert len(lance.dataset(place).versions()) > 5
    monkeypatch.setattr(settings, "KEEP_VERSIONS", 0)
    with Lease(place, shop):
        pass
    assert len(lance.dataset(place).versions()) == 1


def test_many_take_the_lease_one_at_a_time(shop: str) -> None:
    inside, most, turns = 0, 0, []

    def take(name: int) -> None:
        nonlocal inside, most
        with Lease(f"{shop}/writer.lance", shop):
            inside += 1
            most = max(most, inside)
            turns.append(name)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=take, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, sorted(turns)) == (1, [0, 1, 2, 3])


# What can be wrong with an object store


def test_keys_and_feedback_lie_beside_the_items(shop: str, tiny_encoder: Encoder) -> None:
    Catalog(shop, tiny_encoder).index(draw_items(2))
    token = Keys(shop).add("page", write=True)
    Keys(shop).add("other")
    assert [key.name for key in Keys(shop).list()] == ["other", "page"]
    key = Keys(shop).find(token)
    assert key is not None
    assert key.write
    Keys(shop).remove("page")
    assert Keys(shop).find(token) is None
    feedback = Feedback(shop)
    assert feedback.add("request", "item-000", "like")
    feedback.close()
    assert list_ids(shop, "feedback") == ["item-000"]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    set_environment(monkeypatch, f"http://127.0.0.1:{port}")


def check_told(action: Callable[[], object], told: str, seconds: float) -> None:
    begin = time.monotonic()
    with pytest.raises(CatalogError) as caught:
        action()
    assert re.fullmatch(rf"s3://\S+ cannot be opened: {told}", str(caught.value))
    assert time.monotonic() - begin < seconds


def test_no_bucket(server: str, tiny_encoder: Encoder) -> None:
    told = "there is no such bucket: make it, or correct the name"
    check_told(lambda: Catalog("s3://nowhere/shop", tiny_encoder).index(draw_items(1)), told, 15)


def test_nobody_there(refused: None) -> None:
    check_told(
        Catalog("s3://shops/shop").info, "the object store does not answer: check the network and AWS_ENDPOINT_URL", 15
    )


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONTACT", settings.CONTACT | {"timeout": "200ms"})
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and says nothing
        set_environment(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        told = "the object store does not answer: check the network and AWS_ENDPOINT_URL"
        check_told(Catalog("s3://shops/shop").info, told, 15)


def test_http_is_not_allowed(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    told = "the address of the object store cannot be used: check AWS_ENDPOINT_URL; http:// needs AWS_ALLOW_HTTP=true"
    check_told(Catalog("s3://shops/http").info, told, 15)


def test_wrong_credentials(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.core.responses import ActionAuthenticatorMixin

    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)  # from now on it looks at them
    monkeypatch.setattr(ActionAuthenticatorMixin, "request_count", 1)
    told = "the object store refuses: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they are allowed"
    check_told(Catalog("s3://shops/auth").info, told, 15)
