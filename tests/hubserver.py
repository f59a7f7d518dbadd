"""A Hub on the loopback interface: the part of the protocol that `huggingface_hub` and `datasets` speak.

Clients read ``HF_ENDPOINT`` and its like when they are imported, so they run as subprocesses with the variables of
:func:`client_environment`. Files are kept in memory; the server lives in a thread of the test and records each request.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

TOKENS = {"hf_owner": "org", "hf_reader": "reader"}  # token -> account; `org` may write to org/...
DATE = "2026-01-01T00:00:00.000Z"
LARGE = re.compile(r"\.(parquet|nii\.gz|nii|png|bin|safetensors|zip)$")
GIT_LFS = "application/vnd.git-lfs+json"


@dataclass(frozen=True)
class StoredFile:
    """One file of a revision; large ones are LFS objects."""

    data: bytes
    large: bool

    @property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()

    @property
    def blob_id(self):
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data, usedforsecurity=False).hexdigest()

    @property
    def etag(self):
        return self.sha256 if self.large else self.blob_id

    def entry(self, path):
        lfs = {"lfs": {"oid": self.sha256, "size": len(self.data), "pointerSize": 130}} if self.large else {}
        return {"type": "file", "oid": self.blob_id, "size": len(self.data), "path": path, **lfs}


@dataclass
class Repo:
    """A repository: its revisions, and what branches and tags point to."""

    name: str
    private: bool = False
    gated: str | bool = False
    trees: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    suggestions: list[str] = field(default_factory=list)  # titles of pull requests; their trees are branches refs/pr/N

    def __post_init__(self):
        self.commit({}, "main")

    def commit(self, tree, branch):
        revision = hashlib.sha1(f"{self.name} {len(self.trees)}".encode(), usedforsecurity=False).hexdigest()
        self.trees[revision] = tree
        self.branches[branch] = revision
        return revision

    def resolve(self, revision):
        name = unquote(revision).removeprefix("refs/heads/")
        found = self.branches.get(name) or self.tags.get(name)
        return found or (name if name in self.trees else None)

    def tree(self, revision="main"):
        return self.trees[self.resolve(revision)]


@dataclass
class Hub:
    """The state of the server, for tests to look at and to meddle with.

    Attributes:
        requests: ``METHOD path [range]`` of every request, in order.
        uploads_left: Uploads of large files until the connection breaks; None for no end.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    uploads_left: int | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def count(self, pattern):
        return sum(re.search(pattern, request) is not None for request in self.requests)


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a Hub until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def client_environment(hub: Hub, home: Path, account: str | None = "hf_owner") -> dict[str, str]:
    """Environment of a client process: a cache of its own, and nothing of the one who runs the tests."""
    token = {} if account is None else {"HF_TOKEN": account}
    return token | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        "NO_PROXY": "127.0.0.1",
        "PATH": "/usr/bin:/bin",
    }


class _Refused(Exception):
    """Answer with an error: status, code and message."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    ROUTES = (
        (r"/api/whoami-v2", "whoami"),
        (r"/api/validate-yaml", "accept"),
        (r"/api/repos/create", "create"),
        (r"/datasets/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        (r"/lfs/(?P<oid>[0-9a-f]{64})", "store"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)", "info"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>[^/]+)", "info"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/refs", "refs"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/auth-check", "auth_check"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/discussions", "discussions"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/settings", "settings"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/tag/(?P<revision>[^/]+)", "tag"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/preupload/(?P<revision>[^/]+)", "preupload"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/commit/(?P<revision>[^/]+)", "commit"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?", "tree"),
        (r"/api/datasets/(?P<repo>[^/]+/[^/]+)/paths-info/(?P<revision>[^/]+)", "paths_info"),
        (r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "resolve"),
    )

    def log_message(self, format, *args):  # noqa: A002
        pass

    def handle_any(self):
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.body = self._read_body()
        asked = f" {self.headers['Range']}" if "Range" in self.headers else ""
        self.hub.requests.append(f"{self.command} {unquote(url.path)}{asked}")
        # Spaces and models speak as datasets do; their repositories are kept under names of their own.
        kind = re.match(r"(?:/api)?/(spaces|models)/", url.path)
        self.kind = kind[1] if kind else "datasets"
        path = url.path.replace(f"/{self.kind}/", "/datasets/", 1)
        if re.match(r"/(?!datasets/|spaces/|api/)[^/]+/[^/]+?(\.git/info/lfs|/resolve)/", url.path):
            self.kind, path = "models", f"/datasets{url.path}"  # files of models lie at the top
        for pattern, name in self.ROUTES:
            match = re.fullmatch(pattern, path)
            if match:
                try:
                    with self.hub.lock:
                        getattr(self, f"do_{name}")(**match.groupdict())
                except _Refused as refused:
                    status, code, message = refused.args
                    self.answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})
                return
        self.answer(404, {"error": "no such route"})

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def _read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def answer(self, status, value=None, headers=None):
        data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        defaults = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, text in (defaults | (headers or {})).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def account(self):
        return TOKENS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def stored_name(self, name):
        return name if self.kind == "datasets" else f"{self.kind}/{name}"

    def find(self, name, *, write=False, content=False):
        """The repository, if the caller may know of it, write to it, or read its files."""
        repo, account = self.hub.repos.get(self.stored_name(name)), self.account()
        owner = account == name.split("/")[0]
        if repo is None or (repo.private and not owner):
            raise _Refused(404 if account else 401, "RepoNotFound", "Repository not found")
        if write and not owner:
            raise _Refused(403 if account else 401, "Forbidden", "No right to write")
        if content and repo.gated and not owner:
            raise _Refused(403 if account else 401, "GatedRepo", f"Access to {name} is restricted")
        return repo

    def revision_of(self, repo, revision):
        found = repo.resolve(revision)
        if found is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def do_whoami(self):
        if self.account() is None:
            raise _Refused(401, "Unauthorized", "Invalid token")
        self.answer(200, {"type": "user", "name": self.account(), "orgs": [], "auth": {}})

    def do_accept(self):
        self.answer(200, {"errors": [], "warnings": []})

    def do_create(self):
        wanted = json.loads(self.body)
        if self.account() is None:
            raise _Refused(401, "Unauthorized", "Invalid token")
        name = f"{wanted.get('organization') or self.account()}/{wanted['name']}"
        self.kind = f"{wanted.get('type') or 'model'}s"
        url = f"{self.hub.url}/{self.kind}/{name}"
        if name.split("/")[0] != self.account():
            raise _Refused(403, "Forbidden", "No right to create a repository here")
        if self.stored_name(name) in self.hub.repos:
            self.answer(409, {"error": "exists", "url": url})
            return
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        self.hub.repos[self.stored_name(name)] = Repo(name, private=private)
        self.answer(200, {"url": url, "name": name, "id": "1"})

    def do_batch(self, repo):
        self.find(repo, write=True)
        objects = []
        for item in json.loads(self.body)["objects"]:
            href = f"{self.hub.url}/lfs/{item['oid']}"
            new = item["oid"] not in self.hub.objects
            objects.append(item | ({"actions": {"upload": {"href": href, "header": {}}}} if new else {}))
        self.answer(200, {"transfer": "basic", "objects": objects}, {"Content-Type": GIT_LFS})

    def do_store(self, oid):
        if self.hub.uploads_left == 0:
            self.close_connection = True  # as when a network goes: no answer at all
            return
        if self.hub.uploads_left is not None:
            self.hub.uploads_left -= 1
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Refused(400, "BadRequest", "sha256 differs")
        self.hub.objects[oid] = self.body
        self.answer(200)

    def do_info(self, repo, revision="main"):
        found = self.find(repo)
        commit = self.revision_of(found, revision)
        files = [{"rfilename": path} for path in sorted(found.trees[commit])]
        about = {"id": repo, "sha": commit, "private": found.private, "gated": found.gated, "siblings": files}
        self.answer(200, about | {"tags": [], "downloads": 0, "likes": 0, "lastModified": DATE, "createdAt": DATE})

    def do_refs(self, repo):
        found = self.find(repo)
        kinds = {"branches": ("heads", found.branches), "tags": ("tags", found.tags)}
        refs = {
            kind: [{"name": k, "ref": f"refs/{place}/{k}", "targetCommit": v} for k, v in names.items()]
            for kind, (place, names) in kinds.items()
        }
        self.answer(200, refs | {"converts": []})

    def do_auth_check(self, repo):
        self.find(repo, content=True)
        self.answer(200, {})

    def do_settings(self, repo):
        found, wanted = self.find(repo, write=True), json.loads(self.body)
        found.gated, found.private = wanted.get("gated", found.gated), wanted.get("private", found.private)
        self.answer(200, {})

    def do_tag(self, repo, revision):
        found, name = self.find(repo, write=True), json.loads(self.body)["tag"]
        if name in found.tags:
            raise _Refused(409, "Conflict", "Tag exists")
        found.tags[name] = self.revision_of(found, revision)
        self.answer(200, {})

    def do_preupload(self, repo, revision):
        found = self.find(repo, write=not self.is_suggestion)
        tree = found.trees[self.revision_of(found, revision)]
        files = []
        for item in json.loads(self.body)["files"]:
            mode = "lfs" if LARGE.search(item["path"]) or item["size"] > 10 * 2**20 else "regular"
            old = tree[item["path"]].etag if item["path"] in tree else None
            files.append({"path": item["path"], "uploadMode": mode, "shouldIgnore": False, "oid": old})
        self.answer(200, {"files": files})

    @property
    def is_suggestion(self):
        """Whether the caller opens a pull request, for which no right to write is needed."""
        return self.query.get("create_pr", ["0"])[0] in ("1", "true", "True")

    def do_discussions(self, repo):
        found = self.find(repo)
        about = {"status": "open", "isPullRequest": True, "author": {"name": "someone"}, "createdAt": DATE}
        about["repo"] = {"name": repo, "type": self.kind.removesuffix("s")}
        listed = [about | {"num": n, "title": title} for n, title in enumerate(found.suggestions, start=1)]
        self.answer(200, {"discussions": listed, "count": len(listed), "start": 0})

    def do_commit(self, repo, revision):
        found = self.find(repo, write=not self.is_suggestion)
        parent = self.revision_of(found, revision)
        tree = dict(found.trees[parent])
        for line in self.body.splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header" and value.get("parentCommit") not in (None, parent):
                raise _Refused(412, "PreconditionFailed", "A commit has happened since")
            if key == "file":
                tree[value["path"]] = StoredFile(base64.b64decode(value["content"]), large=False)
            elif key == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise _Refused(422, "LfsMissing", "an LFS object was not uploaded")
                tree[value["path"]] = StoredFile(self.hub.objects[value["oid"]], large=True)
            elif key == "deletedFile":
                del tree[value["path"]]
        more = {}
        if self.is_suggestion:
            found.suggestions.append(json.loads(self.body.splitlines()[0])["value"]["summary"])
            revision = f"refs/pr/{len(found.suggestions)}"
            more["pullRequestUrl"] = f"{self.hub.url}/{repo}/discussions/{len(found.suggestions)}"
        commit = found.commit(tree, unquote(revision))
        url = f"{self.hub.url}/{self.kind}/{repo}/commit/{commit}"
        self.answer(200, {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""} | more)

    def do_tree(self, repo, revision, path=None):
        found = self.find(repo, content=True)
        tree = found.trees[self.revision_of(found, revision)]
        start = f"{unquote(path).rstrip('/')}/" if path else ""
        deep = self.query.get("recursive", [""])[0].lower() in ("true", "1")
        entries = {}
        for name, file in sorted(tree.items()):
            if name.startswith(start):
                parts = name.removeprefix(start).split("/")
                for n in range(1, len(parts) if deep else min(len(parts), 2)):
                    folder = start + "/".join(parts[:n])
                    entries[folder] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
                if deep or len(parts) == 1:
                    entries[name] = file.entry(name)
        if start and not entries:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        self.answer(200, list(entries.values()))

    def do_paths_info(self, repo, revision):
        found = self.find(repo, content=True)
        tree = found.trees[self.revision_of(found, revision)]
        json_body = self.headers.get("Content-Type", "").startswith("application/json")
        paths = json.loads(self.body)["paths"] if json_body else parse_qs(self.body.decode()).get("paths", [])
        entries = []
        for path in (path.strip("/") for path in paths):
            if path in tree:
                entries.append(tree[path].entry(path))
            elif any(name.startswith(f"{path}/") for name in tree):
                entries.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": path})
        self.answer(200, entries)

    def do_resolve(self, repo, revision, path):
        found = self.find(repo, content=True)
        commit = self.revision_of(found, revision)
        file = found.trees[commit].get(unquote(path))
        if file is None:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        headers = {"ETag": f'"{file.etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data))}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None or self.command == "HEAD":
            self.answer(200, file.data, headers)
            return
        start, end = int(span[1]), min(int(span[2] or len(file.data)), len(file.data) - 1)
        if start >= len(file.data):
            raise _Refused(416, "RangeNotSatisfiable", "outside of the file")
        headers["Content-Range"] = f"bytes {start}-{end}/{len(file.data)}"
        self.answer(206, file.data[start : end + 1], headers)
