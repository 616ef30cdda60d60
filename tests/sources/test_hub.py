"""The Hub as a source: one commit, what its files are called by, and why one gets nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zoostore import environment
from zoostore.digest import DigestHasher
from zoostore.environment import HubToken
from zoostore.errors import (
    DisabledModel,
    GatedModel,
    MalformedObject,
    NoAccess,
    TokenRefused,
    TransferFailed,
    UnknownRevision,
    UnknownStub,
    UnsafePath,
    ZooError,
)
from zoostore.sources import hub_api
from zoostore.sources.base import Upstream
from zoostore.sources.hub import HubSource
from zoostore.stubs import parse_stub
from zoostore.transport.http import HttpClient
from zoostore.transport.patience import Patience

if TYPE_CHECKING:
    from tests.hub import Handler, Hub

Resolve = Callable[..., Upstream]

SECRET = "hf_secret"
LARGE = (".safetensors", ".bin")
FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 300,
    "empty": b"",
    "empty.bin": b"",
    "sub/deep er/ü #1?%41+&=;.txt": b"odd",
    "sub/100%.bin": b"w" * 5000,
}


@pytest.fixture
def source(hub: Hub) -> Iterator[Callable[..., HubSource]]:
    """Makes a source for the Hub, with a token or without."""
    with ExitStack() as stack:

        def make(token: str = "", endpoint: str = "") -> HubSource:
            client = stack.enter_context(HttpClient(Patience(tries=2, first_pause=0.001)))
            found = HubToken(token, "HF_TOKEN") if token else None
            return HubSource(endpoint or hub.url, found, client)

        yield make


@pytest.fixture
def resolve(source: Callable[..., HubSource]) -> Resolve:
    def of(stub: str, token: str = "", endpoint: str = "") -> Upstream:
        found = source(token, endpoint).resolve(parse_stub(stub))
        assert found is not None
        return found

    return of


def listing(*lines: Mapping[str, object]) -> list[dict[str, object]]:
    """A tree of files that are as they should be but for what is said."""
    usual = {"type": "file", "path": "a", "size": 1, "oid": "0" * 40}
    return [{**usual, **line} for line in lines]


def tree_path(commit: str) -> str:
    return f"/api/models/org/name/tree/{commit}"


# What is found


@pytest.mark.parametrize("name", ["org/name", "datasets/org/name", "name"])
def test_a_repository_is_resolved_to_a_commit_and_its_files(
    hub: Hub, resolve: Resolve, name: str
) -> None:
    commit = hub.commit(name, FILES)
    hub.commit(name, {"later": b""}, to="other")

    found = resolve(f"hf:{name}")

    assert (found.stub, found.revision) == (f"hf:{name}", commit)
    assert found.source == f"{hub.url}/{name}"
    assert found.time == hub.repository(name).commits[commit].time
    assert found.notes == ()
    assert {file.path: file.wanted.size for file in found.files} == {
        path: len(content) for path, content in FILES.items()
    }


def test_every_file_can_be_had_where_it_says_and_has_the_digest_it_says(
    hub: Hub, resolve: Resolve
) -> None:
    hub.commit("org/name", FILES)

    with HttpClient() as client:
        for file in resolve("hf:org/name").files:
            (place,) = file.wanted.places
            content = client.read(place.url, place.headers, limit=1 << 20).data
            assert content == FILES[file.path]
            (digest,) = file.wanted.digests
            assert digest.algorithm == ("sha256" if file.path.endswith(LARGE) else "git-sha1")
            hasher = DigestHasher({digest.algorithm}, len(content))
            hasher.update(content)
            assert hasher.digests()[digest.algorithm] == digest
            assert file.wanted.name == file.path
            assert set(file.wanted.compute) == {"sha256"}


def test_a_tree_of_many_pages_is_read_whole(hub: Hub, resolve: Resolve) -> None:
    files = {f"folder{number % 7}/{number}": b"%d" % number for number in range(40)}
    hub.commit("org/name", files)
    hub.page_size = 3

    assert {file.path for file in resolve("hf:org/name").files} == files.keys()
    assert len([path for path in hub.paths if "/tree/" in path]) == 16


def test_a_repository_may_be_empty(hub: Hub, resolve: Resolve) -> None:
    hub.commit("org/name", {})

    assert resolve("hf:org/name").files == ()


def test_revisions_are_branches_tags_commits_and_pull_requests(hub: Hub, resolve: Resolve) -> None:
    first = hub.commit("org/name", {"a": b"1"})
    second = hub.commit("org/name", {"a": b"2"}, to="refs/pr/1")
    third = hub.commit("org/name", {"a": b"3"}, to="feature/x")
    hub.repository("org/name").refs["v1.0"] = first

    expected = {"main": first, "refs/pr/1": second, "feature/x": third, "v1.0": first}
    expected |= {first: first, second[:7]: second, third[:12]: third}
    for revision, commit in expected.items():
        assert resolve(f"hf:org/name@{revision}").revision == commit


def test_the_same_commit_is_the_same_state_whatever_came_after(hub: Hub, resolve: Resolve) -> None:
    commit = hub.commit("org/name", FILES)
    before = resolve(f"hf:org/name@{commit}")
    hub.commit("org/name", {"other": b""})

    assert resolve(f"hf:org/name@{commit}") == before


def test_a_branch_that_moves_meanwhile_changes_nothing(hub: Hub, resolve: Resolve) -> None:
    first = hub.commit("org/name", {"a": b"1"})

    def push(handler: Handler) -> None:
        hub.commit("org/name", {"b": b"2"})
        handler.serve()

    hub.answers[tree_path(first)] = [push]

    found = resolve("hf:org/name")

    assert [file.path for file in found.files] == ["a"]
    assert f"/resolve/{first}/" in found.files[0].wanted.places[0].url


def test_a_hub_that_does_not_know_when_a_commit_was_made_gives_no_time(
    hub: Hub, resolve: Resolve
) -> None:
    commit = hub.commit("org/name", FILES)
    path = f"/api/models/org/name/commits/{commit}"
    hub.says(path, {"error": "what?"}, 404)
    assert resolve("hf:org/name").time == 0

    odd: list[Any] = [{}, [], [{}], [{"id": commit, "date": 3}], [{"id": commit, "date": "now"}]]
    odd += [[{"id": "0" * 40, "date": "2024-01-01T00:00:00Z"}], [{"id": commit}], None]
    odd += [
        [{"id": commit, "date": "2024-01-01T00:00:00"}],
        [{"id": commit, "date": "1900-01-01Z"}],
    ]
    for value in odd:
        hub.says(path, value)
        assert resolve("hf:org/name").time == 0


def test_a_renamed_repository_is_found_and_its_new_name_said(hub: Hub, resolve: Resolve) -> None:
    hub.commit("new/called", FILES)
    hub.renamed["old/name"] = "new/called"

    found = resolve("hf:old/name")

    assert found.stub == "hf:old/name"
    assert found.source == f"{hub.url}/new/called"
    assert found.notes == (
        f"hf:old/name is now called hf:new/called at {hub.url.removeprefix('http://')}.",
    )
    assert all("/new/called/resolve/" in file.wanted.places[0].url for file in found.files)


def test_an_endpoint_may_have_a_path_a_slash_and_a_login(hub: Hub, resolve: Resolve) -> None:
    commit = hub.commit("org/name", FILES)
    for path in (
        "/api/models/org/name/revision/main",
        tree_path(commit),
        f"/api/models/org/name/commits/{commit}",
    ):

        def below(handler: Handler, path: str = path) -> None:
            handler.asked.target = path
            handler.serve()

        hub.answers[f"/mirror{path}"] = [below]
    endpoint = hub.url.replace("://", "://me:pass@") + "/mirror/"

    found = resolve("hf:org/name", endpoint=endpoint)

    assert found.source == f"{hub.url}/mirror/org/name"
    assert found.files[0].wanted.places[0].url.startswith(f"{endpoint}org/name/resolve/{commit}/")
    assert {asked.headers["authorization"][:6] for asked in hub.requests} == {"Basic "}
    with pytest.raises(ZooError) as raised:
        resolve("hf:org/missing", endpoint=endpoint)
    assert "pass" not in f"{raised.value} {raised.value.facts}"


def test_what_is_no_address_of_a_hub_cannot_be_read(resolve: Resolve) -> None:
    for endpoint in ("ftp://host", "host", "http://", "http://[", "file:///etc"):
        with pytest.raises(TransferFailed, match="no http or https address"):
            resolve("hf:org/name", endpoint=endpoint)


def test_it_is_called_by_its_host_and_knows_only_its_own(
    source: Callable[..., HubSource], hub: Hub
) -> None:
    assert source(endpoint="https://me:pass@hub.example:8000/x/").name == "hub.example:8000"
    assert source().resolve(parse_stub("zoo:model")) is None
    assert source().locate(parse_stub("hf:org/name")) is None
    assert hub.requests == []


# Why one gets nothing


def refused(resolve: Resolve, error: type[ZooError], stub: str, token: str = "") -> str:
    with pytest.raises(error) as raised:
        resolve(stub, token)
    assert type(raised.value) is error
    assert SECRET not in f"{raised.value} {raised.value.facts}"
    return raised.value.message


def test_what_is_missing_and_what_is_private_cannot_be_told_apart(
    hub: Hub, resolve: Resolve
) -> None:
    hub.tokens.add(SECRET)
    hub.commit("org/private", FILES)
    hub.repository("org/private").is_private = True

    for name in ("org/private", "org/missing", "datasets/org/missing"):
        message = refused(resolve, UnknownStub, f"hf:{name}")
        assert f"hf:{name} does not exist at {hub.url}, or is private" in message
        assert message.endswith("No token was sent.")
        message = refused(resolve, UnknownStub, f"hf:{name}", SECRET)
        assert message.endswith("The token from HF_TOKEN was used.")


def test_who_may_read_a_private_repository_reads_it(hub: Hub, resolve: Resolve) -> None:
    hub.tokens.add(SECRET)
    hub.commit("org/name", FILES)
    repository = hub.repository("org/name")
    repository.is_private, repository.readers = True, {SECRET}

    found = resolve("hf:org/name", SECRET)

    assert {asked.token for asked in hub.requests} == {SECRET}
    for file in found.files:
        assert file.wanted.places[0].headers == {"Authorization": f"Bearer {SECRET}"}
    assert SECRET not in repr(found)


def test_a_revision_that_is_not_there_is_said_to_be_missing(hub: Hub, resolve: Resolve) -> None:
    hub.commit("org/name", FILES)

    for revision in ("v9", "0" * 40, "refs/pr/7"):
        assert repr(revision) in refused(resolve, UnknownRevision, f"hf:org/name@{revision}")
    sent = len(hub.requests)
    refused(resolve, UnknownRevision, "hf:org/name@main~1")
    assert len(hub.requests) == sent


@pytest.mark.parametrize("is_listing_gated", [False, True])
def test_a_gated_repository_is_known_before_a_file_is_asked_for(
    hub: Hub, resolve: Resolve, is_listing_gated: bool
) -> None:
    hub.tokens |= {SECRET, "hf_reader"}
    hub.commit("org/name", FILES)
    repository = hub.repository("org/name")
    repository.gated, repository.is_listing_gated = "manual", is_listing_gated
    repository.readers = {"hf_reader"}

    for token, said in (("", "No token was sent."), (SECRET, "from HF_TOKEN was used.")):
        message = refused(resolve, GatedModel, "hf:org/name", token)
        assert f"{hub.url}/org/name" in message
        assert message.endswith(said)
    assert not any("/tree/" in path for path in hub.paths)
    assert len(resolve("hf:org/name", "hf_reader").files) == len(FILES)


def test_a_hub_without_the_question_lets_gated_files_speak_for_themselves(
    hub: Hub, resolve: Resolve
) -> None:
    hub.commit("org/name", FILES)
    hub.repository("org/name").gated = "auto"
    hub.says("/api/models/org/name/auth-check", {}, 404)

    assert len(resolve("hf:org/name").files) == len(FILES)


def test_a_disabled_repository_is_said_to_be_so(hub: Hub, resolve: Resolve) -> None:
    hub.commit("org/name", FILES)
    hub.repository("org/name").is_disabled = True

    assert "has disabled access to hf:org/name" in refused(resolve, DisabledModel, "hf:org/name")


def test_a_token_that_the_hub_does_not_know_is_said_to_be_so(hub: Hub, resolve: Resolve) -> None:
    hub.commit("org/name", FILES)

    message = refused(resolve, TokenRefused, "hf:org/name", SECRET)

    assert "Invalid credentials" in message
    assert "HF_TOKEN" in message


@pytest.mark.parametrize("token", [f"{SECRET}\nX-Evil: 1", f"{SECRET}\r", f"{SECRET}ü"])
def test_a_token_that_cannot_be_one_is_not_sent(hub: Hub, resolve: Resolve, token: str) -> None:
    hub.commit("org/name", FILES)

    refused(resolve, TokenRefused, "hf:org/name", token)

    assert hub.requests == []


def test_another_refusal_is_passed_on_in_one_line(hub: Hub, resolve: Resolve) -> None:
    headers = {"X-Error-Message": "Fine-grained token: \x1b[31mno\x07 scope." + "x" * 1000}
    hub.says("/api/models/org/name/revision/main", {}, 403, headers)

    message = refused(resolve, NoAccess, "hf:org/name", SECRET)

    assert "does not let you read hf:org/name: Fine-grained token: " in message
    assert message.isprintable()
    assert len(message) < 500


def test_a_hub_that_fails_is_asked_again_and_then_given_up(hub: Hub, resolve: Resolve) -> None:
    commit = hub.commit("org/name", FILES)
    paths = ["/api/models/org/name/revision/main", tree_path(commit)]
    for path in paths:
        hub.answers[path] = [lambda handler: handler.answer(503), None]
    assert len(resolve("hf:org/name").files) == len(FILES)

    for path in paths:
        hub.says(path, {}, 500)
        assert "status 500" in refused(resolve, TransferFailed, "hf:org/name")


# Where a token goes


def test_the_token_is_not_sent_to_where_the_hub_redirects(hub: Hub, resolve: Resolve) -> None:
    hub.tokens.add(SECRET)
    hub.commit("org/name", FILES)
    hub.page_size = 2

    with HttpClient() as client:
        for file in resolve("hf:org/name", SECRET).files:
            (place,) = file.wanted.places
            client.read(place.url, place.headers, limit=1 << 20)

    assert len(hub.asked("cdn")) == 3
    assert not any("authorization" in asked.headers for asked in hub.asked("cdn"))
    assert {asked.token for asked in hub.asked("hub")} == {SECRET}


def test_a_page_cannot_lead_the_token_to_another_host(hub: Hub, resolve: Resolve) -> None:
    hub.tokens.add(SECRET)
    commit = hub.commit("org/name", FILES)
    headers = {"Link": f'<{hub.cdn_url}/evil?cursor=2&limit=5#x>; rel="next"'}

    def first(handler: Handler) -> None:
        handler.say(listing({"path": "first"}), headers=headers)

    hub.answers[tree_path(commit)] = [first, lambda handler: handler.say(listing({}))]

    found = resolve("hf:org/name", SECRET)

    assert [file.path for file in found.files] == ["first", "a"]
    assert hub.asked("cdn") == []
    assert hub.asked("hub")[2].query == {"cursor": "2", "limit": "5"}


TOKEN_FILES = {
    "HF_HOME": ("home", "token"),
    "HF_TOKEN_PATH": ("mine/the-token", ""),
    "XDG_CACHE_HOME": ("cache", "huggingface/token"),
    "HOME": ("user", ".cache/huggingface/token"),
}


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HOME", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("variable", TOKEN_FILES)
def test_the_saved_token_is_found_where_the_library_saves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    named, below = TOKEN_FILES[variable]
    path = tmp_path / named / below if below else tmp_path / named
    path.parent.mkdir(parents=True)
    assert environment.hub_token() is None
    path.write_text(f" {SECRET}\n")
    monkeypatch.setenv("PLACE", str(tmp_path))
    for value in (tmp_path / named, f"$PLACE/{named}" if variable.startswith("HF_") else None):
        if value is not None:
            monkeypatch.setenv(variable, str(value))
            assert environment.hub_token() == HubToken(SECRET, str(path))


@pytest.mark.usefixtures("nobody")
def test_a_token_in_the_environment_goes_first_and_can_be_forbidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text("saved")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "older")
    assert environment.hub_token() == HubToken("older", "HUGGING_FACE_HUB_TOKEN")
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\n")
    assert environment.hub_token() == HubToken(SECRET, "HF_TOKEN")
    assert SECRET not in repr(environment.hub_token())
    monkeypatch.setenv("HF_TOKEN", "  ")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN")
    assert environment.hub_token() == HubToken("saved", str(tmp_path / "token"))
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert environment.hub_token() is None
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert environment.hub_token() is None


@pytest.mark.usefixtures("nobody")
def test_the_endpoint_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.hub_endpoint() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    assert environment.hub_endpoint() == "http://mirror"


# What nobody should believe


NAMES = ["", "/", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "./a", "a\0b", ".zoostore/x"]
NAMES += ["\ud800", "n" * 2000, "d/" * 600 + "x"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_that_no_snapshot_may_hold_is_refused(hub: Hub, resolve: Resolve, name: str) -> None:
    commit = hub.commit("org/name", FILES)
    for line in ({"path": name}, {"path": name, "type": "directory"}):
        hub.says(tree_path(commit), listing({"path": "fine"}, line))

        message = refused(resolve, UnsafePath, "hf:org/name")

        assert f"{hub.url}{tree_path(commit)} lists the path" in message


LINES: dict[str, dict[str, object]] = {
    "no path": {"path": None},
    "path of another type": {"path": ["a"]},
    "size of another type": {"size": "1"},
    "half a size": {"size": 1.0},
    "size that is a truth": {"size": True},
    "no size": {"size": None},
    "negative size": {"size": -1},
    "huge size": {"size": 1 << 60},
    "no digest": {"oid": None},
    "short digest": {"oid": "0" * 39},
    "long digest": {"oid": "0" * 64},
    "digest that is none": {"oid": "x" * 40},
    "submodule": {"type": "commit"},
    "link": {"type": "symlink"},
    "type of another type": {"type": []},
    "large file of another type": {"lfs": "yes"},
    "large file without a digest": {"lfs": {"size": 1}},
    "large file with a short digest": {"lfs": {"size": 1, "oid": "0" * 40}},
    "large file of another size": {"lfs": {"size": 2, "oid": "0" * 64}},
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_makes_no_sense_is_refused(hub: Hub, resolve: Resolve, line: str) -> None:
    commit = hub.commit("org/name", FILES)
    hub.says(tree_path(commit), listing({"path": "fine"}, LINES[line]))

    assert "does not answer as a Hub does" in refused(resolve, MalformedObject, "hf:org/name")


BODIES = [b"", b"{", b"[" * 100_000, b"{}", b"[1]", b"[null]", b"\xff", b"[" + b"9" * 5000 + b"]"]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body)[:12])
def test_an_answer_of_another_kind_is_refused(hub: Hub, resolve: Resolve, body: bytes) -> None:
    commit = hub.commit("org/name", FILES)
    hub.answers[tree_path(commit)] = [lambda handler: handler.answer(200, body)]

    refused(resolve, MalformedObject, "hf:org/name")


def test_a_path_that_is_listed_twice_is_refused(hub: Hub, resolve: Resolve) -> None:
    commit = hub.commit("org/name", FILES)
    hub.says(tree_path(commit), listing({}, {}))

    assert "lists 'a' twice" in refused(resolve, MalformedObject, "hf:org/name")


STATES: dict[str, object] = {
    "no commit": {"id": "org/name"},
    "short commit": {"sha": "abc"},
    "commit of another type": {"sha": 1},
    "upper case": {"sha": "A" * 40},
    "path for a commit": {"sha": "../" + "a" * 37},
    "name that leads elsewhere": {"sha": "a" * 40, "id": "../../evil"},
    "name with a revision": {"sha": "a" * 40, "id": "org/name@main"},
    "name of another type": {"sha": "a" * 40, "id": 3},
    "name of another kind": {"sha": "a" * 40, "id": "a/b/c"},
    "no object": [],
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_makes_no_sense_is_refused(hub: Hub, resolve: Resolve, state: str) -> None:
    hub.says("/api/models/org/name/revision/main", STATES[state])

    refused(resolve, MalformedObject, "hf:org/name")


def test_a_commit_means_itself_whatever_the_hub_says(hub: Hub, resolve: Resolve) -> None:
    asked, other = hub.commit("org/name", FILES), hub.commit("org/name", {"a": b""})
    hub.says(f"/api/models/org/name/revision/{asked}", {"sha": other, "id": "org/name"})

    assert other in refused(resolve, MalformedObject, f"hf:org/name@{asked}")


def test_pages_that_have_no_end_come_to_one(
    hub: Hub, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.commit("org/name", FILES)
    path = tree_path(commit)
    hub.says(path, [], headers={"Link": '<?cursor=1>; rel="next"'})
    assert "pages without an end" in refused(resolve, MalformedObject, "hf:org/name")
    assert hub.paths.count(path) == 2

    monkeypatch.setattr(hub_api, "MAX_PAGES", 5)
    hub.requests.clear()

    def another(handler: Handler) -> None:
        cursor = int(handler.asked.query.get("cursor", "0")) + 1
        handler.say([], headers={"Link": f'<?cursor={cursor}>; rel="next"'})

    hub.answers[path] = [another]
    assert "pages without an end" in refused(resolve, MalformedObject, "hf:org/name")
    assert hub.paths.count(path) == 5


def test_a_tree_has_a_bound(hub: Hub, resolve: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.commit("org/name", {f"f/{number}": b"" for number in range(9)})
    hub.page_size = 4

    monkeypatch.setattr(hub_api, "MAX_ENTRIES", 10)
    assert len(resolve("hf:org/name").files) == 9
    monkeypatch.setattr(hub_api, "MAX_ENTRIES", 9)
    assert "more than 9 files and folders" in refused(resolve, MalformedObject, "hf:org/name")


def test_an_endless_page_is_not_read(
    hub: Hub, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.commit("org/name", FILES)
    monkeypatch.setattr(hub_api, "MAX_PAGE_BYTES", 5000)
    hub.answers[tree_path(commit)] = [lambda handler: handler.answer(200, b"[" + b" " * 5000)]

    assert "longer than the 5000 bytes" in refused(resolve, TransferFailed, "hf:org/name")
