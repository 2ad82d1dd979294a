"""Models fetched by their address, from real servers, with what may go wrong on the way."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.command import COMMAND, refuse, succeed
from helpers.file_server import FileServer, Served, serve_files
from speech2face import downloads, model_cache
from speech2face.doctor import examine
from speech2face.errors import ModelError, UsageError
from speech2face.files import hash_file
from speech2face.model_cache import find_cache, find_kept, list_kept
from speech2face.model_folders import FILES, Card, find_model, name_models, save_card

COMMIT = "0123456789" * 4


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("SPEECH2FACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder: its card fits its files, which nobody runs here."""
    folder = tmp_path / "small"
    folder.mkdir()
    for place, name in enumerate(FILES):
        (folder / name).write_bytes(random.Random(place).randbytes(100_000))
    hashes = {name: hash_file(folder / name) for name in FILES}
    save_card(folder, Card("small", "1.2.3", "MIT", "A small one", "dlib", hashes, {}))
    (folder / "LICENSE").write_text("as you like")
    return folder


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve_files() as server:
        yield server


def pack(folder: Path, top: str = ".") -> bytes:
    """What `tar czf - FOLDER` writes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, top)
    return buffer.getvalue()


def pack_members(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def publish(server: FileServer, body: bytes, path: str = "/small.tar.gz", **how) -> str:
    """Serve an archive; gives its address."""
    server.files[path] = Served(body, **how)
    return f"{server.url}{path}#sha256={hashlib.sha256(body).hexdigest()}"


def refusal(address: str) -> str:
    with pytest.raises(ModelError) as caught:
        find_model(address)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def list_cache(cache: Path) -> list[str]:
    """What lies in the cache, but for locks."""
    return sorted(p.name for p in (cache / "models").iterdir() if p.suffix != ".lock")


@pytest.mark.parametrize("top", [".", "small-1.2.3"])
def test_a_model_is_fetched_once_and_used_without_a_network(
    server: FileServer, folder: Path, top: str
) -> None:
    address = publish(server, pack(folder, top))
    told = []
    model = find_model(address, lambda *words: told.append(words))
    assert {p.name for p in model.folder.iterdir()} == {*FILES, "card.json", "LICENSE"}
    assert (model.folder / FILES[0]).read_bytes() == (folder / FILES[0]).read_bytes()
    assert told[-1][0] == "downloading, MB"
    server.files.clear()
    assert find_model(address) == model
    assert len(server.asked) == 1


def test_the_same_bytes_are_one_model_wherever_they_come_from(
    server: FileServer, folder: Path
) -> None:
    body = pack(folder)
    one, other = publish(server, body), publish(server, body, "/mirror.tar.gz")
    assert find_model(one) == find_model(other)
    assert [kept.address for kept in list_kept()] == [one]


def test_a_cut_connection_is_gone_on_with(server: FileServer, folder: Path) -> None:
    body = pack(folder)
    address = publish(server, body, cuts=[50_000, 70_000])
    find_model(address)
    assert [part for _, part in server.asked] == [None, "bytes=50000-", "bytes=120000-"]


def test_a_server_without_parts_is_asked_for_all_again(server: FileServer, folder: Path) -> None:
    find_model(publish(server, pack(folder), cuts=[50_000], ranges=False))
    assert [part for _, part in server.asked] == [None, "bytes=50000-"]


def test_a_download_that_is_cut_too_often_is_told_and_gone_on_with(
    server: FileServer, folder: Path, cache: Path
) -> None:
    address = publish(server, pack(folder), cuts=[9_000] * downloads.TRIES)
    reason = refusal(address)
    assert f"cut after {9_000 * downloads.TRIES:,} bytes" in reason
    assert "again to go on" in reason
    (partial,) = list_cache(cache)
    assert (cache / "models" / partial).stat().st_size == 9_000 * downloads.TRIES
    find_model(address)
    assert server.asked[-1][1] == f"bytes={9_000 * downloads.TRIES}-"
    assert partial not in list_cache(cache)


@pytest.mark.parametrize("left", [b"of another file" * 1_000, None])
def test_what_does_not_fit_a_begun_download_is_begun_anew(
    server: FileServer, folder: Path, cache: Path, left: bytes | None
) -> None:
    body = pack(folder)
    address = publish(server, body)
    partial = cache / "models" / f".{hashlib.sha256(body).hexdigest()}.download"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(left or body + b"and more")
    find_model(address)
    assert server.asked[-1][1] is None


@pytest.mark.parametrize(
    "change", [lambda body: body[:-1] + b"x", lambda body: body[: len(body) // 2], lambda _: b""]
)
def test_another_file_than_the_address_says_is_refused(
    server: FileServer, folder: Path, cache: Path, change: Callable[[bytes], bytes]
) -> None:
    body = pack(folder)
    address = publish(server, body)
    server.files["/small.tar.gz"].body = change(body)
    reason = refusal(address)
    assert "not the file that its address says" in reason
    assert hashlib.sha256(change(body)).hexdigest() in reason
    assert list_cache(cache) == []


@pytest.mark.parametrize("says_length", [True, False])
def test_too_large_a_file_is_not_fetched(
    server: FileServer, folder: Path, cache: Path, says_length: bool, monkeypatch
) -> None:
    monkeypatch.setattr(model_cache, "MOST_BYTES", 100_000)
    assert "100,000" in refusal(publish(server, pack(folder), says_length=says_length))
    assert list_cache(cache) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(
    server: FileServer, cache: Path, monkeypatch
) -> None:
    monkeypatch.setattr(model_cache, "MOST_BYTES", 100_000)
    body = pack_members((tarfile.TarInfo("card.json"), bytes(10_000_000)))
    assert len(body) < 100_000
    assert "unpacked it has more than 100,000 bytes" in refusal(publish(server, body))
    assert list_cache(cache) == []


def make_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "member",
    [
        make_member("../card.json"),
        make_member("./../card.json"),
        make_member("../../card.json"),
        make_member("/elsewhere/card.json"),
        make_member("a/b/card.json"),
        make_member("a/../card.json"),
        make_member("card.json", tarfile.SYMTYPE, "/etc/passwd"),
        make_member("card.json", tarfile.LNKTYPE, "/etc/passwd"),
        make_member("card.json", tarfile.FIFOTYPE),
        make_member("card.json", tarfile.CHRTYPE),
        make_member("..."),
        make_member("karte\n.json"),
    ],
)
def test_an_archive_may_hold_plain_files_only(
    server: FileServer, cache: Path, member: tarfile.TarInfo
) -> None:
    reason = refusal(publish(server, pack_members((member, b""))))
    assert "which is not a plain file" in reason
    assert list_cache(cache) == []
    assert sorted(p.name for p in cache.parent.iterdir()) == ["cache"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>no archive</html>", "not a .tar.gz of a model"),
        (b"", "not a .tar.gz of a model"),
        (gzip.compress(b"no archive" * 100), "not a .tar.gz of a model"),
        (gzip.compress(b"whole" * 10_000)[:-20], "not a .tar.gz of a model"),
        (pack_members(), "card.json is missing"),
        (pack_members((tarfile.TarInfo("card.json"), b"{}")), "not a model's card"),
        (pack_members(*[(tarfile.TarInfo("card.json"), b"{}")] * 2), "twice"),
        (pack_members(*[(tarfile.TarInfo(f"{n}"), b"") for n in range(40)]), "more than 32 files"),
    ],
    ids=[
        *("a page", "nothing", "no archive", "a cut archive", "no card", "no card's fields"),
        *("a card twice", "too many files"),
    ],  # bytes would be named by what they hold, which is the time, too
)
def test_what_is_no_model_is_told(server: FileServer, cache: Path, body: bytes, told: str) -> None:
    address = publish(server, body)
    reason = refusal(address)
    assert told in reason
    assert reason.startswith(f"{address}: ")
    assert str(cache) not in reason
    assert list_cache(cache) == []


def test_a_model_whose_files_are_not_those_of_its_card_is_refused(
    server: FileServer, folder: Path, cache: Path
) -> None:
    (folder / FILES[0]).write_bytes(b"changed")
    assert "voice_encoder.onnx is not the file on its card" in refusal(
        publish(server, pack(folder))
    )
    assert list_cache(cache) == []


def test_answers_of_servers_are_told(server: FileServer, folder: Path) -> None:
    digest = "0" * 64
    assert "404 Not Found" in refusal(f"{server.url}/none.tar.gz#sha256={digest}")
    server.files["/busy"] = Served(status=503)
    assert "503" in refusal(f"{server.url}/busy#sha256={digest}")
    assert len(server.asked) == 1 + downloads.TRIES
    with serve_files() as gone:
        url = gone.url
    assert f"{url.removeprefix('http://')}: cannot be reached" in refusal(
        f"{url}/m#sha256={digest}"
    )


def test_a_redirect_to_another_host_is_followed_and_to_a_file_is_not(
    server: FileServer, folder: Path
) -> None:
    with serve_files() as other:
        address = publish(other, pack(folder))
        moved = address.replace(other.url, server.url)
        for status, location in ((302, f"{other.url}/small.tar.gz"), (302, "file:///etc/passwd")):
            server.files["/small.tar.gz"] = Served(status=status, location=location)
            if location.startswith("file"):
                shutil.rmtree(find_cache())
                assert "not allowed" in refusal(moved)
            else:
                assert find_model(moved).card.name == "small"


def test_https_is_checked(folder: Path, tmp_path: Path, monkeypatch) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    with serve_files(both) as server:
        address = publish(server, pack(folder))
        assert "certificate verify failed" in refusal(address)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert find_model(address).card.name == "small"


def test_two_processes_at_once_fetch_a_model_once(server: FileServer, folder: Path) -> None:
    address = publish(server, pack(folder), delay=1.0)
    both = [
        subprocess.Popen(
            [*COMMAND, "models", "add", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.startswith(b"small  1.2.3")
    assert len(server.asked) == 1


def test_a_killed_process_leaves_what_the_next_goes_on_with(
    server: FileServer, folder: Path, cache: Path
) -> None:
    address = publish(server, pack(folder))
    key = address[-64:]
    (cache / "models" / f".{key}.part").mkdir(parents=True)  # half unpacked
    (cache / "models" / f".{key}.part" / "card.json").write_text("{}")
    find_model(address)
    assert list_cache(cache) == [key, f"{key}.json"]
    (cache / "models" / f"{key}.json").unlink()  # killed between the folder and its record
    assert find_kept(address) is None
    find_model(address)
    assert len(server.asked) == 1
    assert find_kept(address)


def test_a_kept_model_needs_no_cache_that_can_be_written(
    server: FileServer, folder: Path, monkeypatch
) -> None:
    address = publish(server, pack(folder))
    find_model(address)

    def refuse_to_write(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse_to_write)
    assert find_model(address).card.name == "small"


def test_a_cache_that_cannot_be_written_is_told(
    server: FileServer, folder: Path, tmp_path: Path, monkeypatch
) -> None:
    address = publish(server, pack(folder))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPEECH2FACE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cannot be written .* let SPEECH2FACE_CACHE name"):
        find_model(address)
    assert server.asked == []


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path: Path) -> None:
    assert find_cache() == tmp_path / "cache"
    monkeypatch.delenv("SPEECH2FACE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert find_cache() == tmp_path / "xdg" / "speech2face"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_cache() == tmp_path / ".cache" / "speech2face"


def test_a_damaged_model_is_told_with_what_helps(server: FileServer, folder: Path) -> None:
    address = publish(server, pack(folder))
    for damage in (FILES[1], "card.json"):
        succeed("models", "add", address)
        (find_model("small").folder / damage).unlink()
        reason = refusal("small")
        assert "is missing" in reason
        assert "Remove it by `speech2face models remove small`, and fetch it again." in reason
        done = succeed("models", "remove", "small")
        assert done.stdout.startswith("removed small from ")
    assert list_kept() == []


def test_models_are_added_listed_and_removed_by_name(
    server: FileServer, folder: Path, cache: Path
) -> None:
    address = publish(server, pack(folder))
    assert succeed("models", "add", address).stdout.startswith("small  1.2.3  0.2 MB  MIT")
    assert find_model("small") == find_model(address)
    listed = succeed("models").stdout
    assert listed.startswith("default  ")
    assert f"small  1.2.3  0.2 MB  MIT\n    A small one\n    {address}" in listed
    rows = list(map(json.loads, succeed("models", "--json").stdout.splitlines()))
    assert [(row["name"], row["address"]) for row in rows] == [
        ("default", None),
        ("small", address),
    ]
    succeed("models", "add", address, "--name", "tiny")  # another name for the same one
    assert "Did you mean tiny?" in refusal("tinny")
    assert "Did you mean tiny?" in refuse(2, "models", "remove", "tinny")
    succeed("models", "remove", "tiny")
    assert list_cache(cache) == []
    assert "small" not in succeed("models").stdout


def test_a_fetched_model_is_not_calibrated_but_a_copy_is(
    server: FileServer, folder: Path, tmp_path: Path
) -> None:
    address = publish(server, pack(folder))
    succeed("models", "add", address)
    kept = find_model("small").folder
    for given in ("small", address, str(kept), os.path.relpath(kept)):
        told = refuse(2, "calibrate", given, "--pairs", str(tmp_path / "none"))
        assert "kept as it was published. Copy the folder" in told
    shutil.copytree(kept, tmp_path / "copy")
    told = refuse(5, "calibrate", str(tmp_path / "copy"), "--pairs", str(tmp_path / "none"))
    assert "published" not in told  # what is wrong now is the card


def test_the_doctor_examines_fetched_models(server: FileServer, folder: Path) -> None:
    address = publish(server, pack(folder))
    succeed("models", "add", address, "--name", "tiny")
    lines: list[str] = []
    assert examine(lines.append)
    assert "✓ model tiny 1.2.3, 0.2 MB, files verified" in lines
    (find_model("tiny").folder / FILES[1]).write_bytes(b"damaged")
    lines.clear()
    assert not examine(lines.append)
    (bad,) = (line for line in lines if line.startswith("✗"))
    assert "speech2face models remove tiny" in bad


def test_pictures_of_a_fetched_model_are_known_by_its_name(
    server: FileServer, folder: Path
) -> None:
    model = find_model(publish(server, pack(folder)))
    number = model.card.number
    assert "small 1.2.3" in name_models(number)
    (model.folder / "card.json").write_text("{}")
    assert "small 1.2.3" not in name_models(number)


def test_names_that_are_taken_or_none_are_refused(server: FileServer, folder: Path) -> None:
    address = publish(server, pack(folder))
    assert "model of the package" in refuse(2, "models", "add", address, "--name", "default")
    assert "begins with a letter" in refuse(2, "models", "add", address, "--name", "../x")
    assert server.asked == []
    succeed("models", "add", address)
    (folder / "LICENSE").write_text("another one")
    other = publish(server, pack(folder))
    assert "another model is called small" in refuse(2, "models", "add", other)
    succeed("models", "add", other, "--name", "small-2")
    assert "cannot be removed" in refuse(2, "models", "remove", "default")
    assert "add #sha256=" in refuse(2, "models", "add", f"{server.url}/small.tar.gz")
    assert "404" in refuse(5, "models", "add", f"{server.url}/none#sha256={'0' * 64}")


def test_a_command_takes_an_address_for_its_model(server: FileServer, folder: Path) -> None:
    """It is fetched; that these bytes are no network is found afterwards."""
    address = publish(server, pack(folder))
    line = refuse(5, "reconstruct", "examples/emma.flac", "--model", address)
    assert "not a model that can be run" in line
    assert find_kept(address)
    assert "give an address" in refuse(2, "embed", "x.wav", "--model", "ftp://example.org/m")


def serve_hub(server: FileServer, folder: Path) -> dict[str, str]:
    """Serve a folder as a hub's repository; gives the environment that makes the hub this one."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    siblings = [{"rfilename": p.name, "size": p.stat().st_size} for p in files]
    siblings.append({"rfilename": ".gitattributes", "size": 10})
    about = {"id": "owner/small", "sha": COMMIT, "siblings": siblings}
    as_json = {"Content-Type": "application/json"}
    server.files[f"/api/models/owner/small/revision/{COMMIT}"] = Served(
        json.dumps(about).encode(), headers=as_json
    )
    for path in files:
        headers = {"ETag": f'"{hash_file(path)}"', "X-Repo-Commit": COMMIT}
        place = f"/owner/small/resolve/{COMMIT}/{path.name}"
        server.files[place] = Served(path.read_bytes(), headers=headers)
    return {"HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def test_a_model_comes_from_a_hub(server: FileServer, folder: Path, cache: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="comes with the extra hub")
    environment = os.environ | serve_hub(server, folder) | {"HF_HOME": str(cache.parent / "hf")}
    program = (
        "from speech2face.model_folders import find_model\n"
        "from speech2face.errors import ModelError\n"
        f"there = find_model('hf:owner/small@{COMMIT}')\n"
        "print(there.card.name, sorted(p.name for p in there.folder.iterdir()))\n"
        "try: find_model('hf:owner/none@' + 40 * '0')\n"
        "except ModelError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found, refused = done.stdout.splitlines()
    assert found == f"small {sorted([*FILES, 'LICENSE', 'card.json'])}"
    assert refused.startswith(f"hf:owner/none@{'0' * 40}: cannot be fetched (")
    assert "404 Not Found" in refused
    assert find_model(f"hf:owner/small@{COMMIT}").card.name == "small"  # without the hub


def test_a_hub_asks_for_its_extra(monkeypatch) -> None:
    from speech2face import extras

    monkeypatch.setattr(extras, "list_packages", lambda extra: ["huggingface-hub"])
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    reason = refusal(f"hf:owner/name@{COMMIT}")
    assert "huggingface-hub not installed: pip install '.[hub]' in a checkout." in reason
