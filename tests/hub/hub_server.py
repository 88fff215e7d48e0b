"""As much of the Hugging Face hub's HTTP interface as huggingface_hub asks for, on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BRANCHES = ("main", "v1", COMMIT)


class Hub:
    """Repositories by name; what was asked for, in order; `status` is answered to everything where it is not 0."""

    def __init__(self) -> None:
        self.repositories: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.asked: list[str] = []
        self.status = 0
        self.url = ""

    def list_files(self, repository: str) -> list[str]:
        folder = self.repositories[repository]
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@contextmanager
def serve_hub() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None: ...

        def do_HEAD(self) -> None:
            self.answer(send=False)

        def do_GET(self) -> None:
            self.answer(send=True)

        def answer(self, send: bool) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            hub.asked.append(path)
            words = path.split("/")
            inside = words[2:] if words[:2] == ["api", "models"] else words
            name, rest = "/".join(inside[:2]), inside[2:]
            if hub.status:
                return self.refuse(hub.status, "")
            if name not in hub.repositories:
                return self.refuse(401, "RepoNotFound")
            revision = rest[1] if len(rest) > 1 else "main"
            if revision not in BRANCHES:
                return self.refuse(404, "RevisionNotFound")
            if words[0] == "api" and "tree" not in rest:
                files = [{"rfilename": file} for file in hub.list_files(name)]
                found = {"_id": "1", "id": name, "modelId": name, "sha": COMMIT, "siblings": files, "tags": []}
                found |= {"private": False, "gated": name in hub.gated, "cardData": {"license": "mit"}}
                return self.send(json.dumps(found).encode(), send)
            if words[0] == "api":
                folder = hub.repositories[name]
                entries = [
                    {
                        "type": "file",
                        "path": file,
                        "size": (folder / file).stat().st_size,
                        "oid": hash_file(folder / file),
                    }
                    for file in hub.list_files(name)
                ]
                return self.send(json.dumps(entries).encode(), send)
            if name in hub.gated:
                return self.refuse(403, "GatedRepo")
            file = hub.repositories[name] / "/".join(rest[2:])
            if not file.is_file():
                return self.refuse(404, "EntryNotFound")
            return self.send(file.read_bytes(), send, ETag=f'"{hash_file(file)}"')

        def send(self, body: bytes, send: bool, **headers: str) -> None:
            self.send_response(200)
            for key, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if send:
                self.wfile.write(body)

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", f"no: {code}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hash_file(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
