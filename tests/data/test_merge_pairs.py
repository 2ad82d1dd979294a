"""Several folders read as one: who is who, what is called how, and which data it is."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from speech2face.data import merge_pairs
from speech2face.data.face_unwarping import MeasuredFaces
from speech2face.data.merge_pairs import join_people, read_sets
from speech2face.data.pairs import Pair, identify_pairs, read_pairs
from speech2face.data.shard_index import INDEX
from speech2face.data.split_leaks import IdentityEmbeddings
from speech2face.data.voice_encoder_data import Voices, identify_data, join_voices
from speech2face.errors import UsageError

FACES = {"ann": 0, "bob": 1, "ben": 2, "cid": 3, "": np.nan}  # whose face a picture shows


def quiet(*_: object) -> None:
    pass


def write_set(folder: Path, rows: dict[str, tuple[str, str]]) -> Path:
    """Clip → person as the table has it, and whose face its picture shows."""
    for kind in ("audio", "face"):
        (folder / kind).mkdir(parents=True)
    for clip, (person, face) in rows.items():
        (folder / "audio" / f"{clip}.flac").write_text(f"{folder.name} {clip} {person}")
        (folder / "face" / f"{clip}.jpg").write_text(face)
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "person"), *((c, p) for c, (p, _) in rows.items())])
    return folder


@pytest.fixture(autouse=True)
def recogniser(monkeypatch) -> None:
    def measure(paths, encoder, cache, show=None, also=()):
        seen = [i for i, path in enumerate(paths) if path.read_text()]
        places = np.array([FACES[paths[i].read_text()] for i in seen], np.float32)
        faces = places[:, None] * np.eye(1, 128, dtype=np.float32)
        return MeasuredFaces(np.array(seen), np.zeros((len(seen), 468, 2)), 0 * places, faces)

    monkeypatch.setattr(merge_pairs, "measure_faces", measure)
    monkeypatch.setattr(merge_pairs, "find_recognisers", lambda: ["dlib"])


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    """Bob is in both sets, as `1` in the other; `bob` of the other set is Ben."""
    one = {"a": ("ann", "ann"), "b": ("bob", "bob"), "c": ("cid", "")}
    other = {"b": ("bob", "ben"), "d": ("1", "bob"), "e": ("cid", "cid")}
    return [write_set(tmp_path / "one", one), write_set(tmp_path / "other", other)]


def join(folders: list[Path]) -> list[Pair]:
    return join_people(read_sets(folders), Path("cache"), quiet)


def test_one_name_is_one_clip_and_one_person_whatever_the_sets_call_them(folders):
    pairs = join(folders)
    person = {(pair.set, *(pair.listed or ())): pair.person for pair in pairs}
    assert person["one", "b", "bob"] == person["other", "d", "1"]
    assert person["one", "b", "bob"] != person["other", "b", "bob"]
    assert person["one", "c", "cid"] != person["other", "e", "cid"]  # without a face nobody knows
    assert person["one", "a", "ann"] == "ann"
    assert len(set(person.values())) == 5
    clips = [pair.clip for pair in pairs]
    assert clips == sorted(set(clips))
    assert [clip for clip in clips if "~" not in clip] == ["a", "c", "d", "e"]
    assert len([clip for clip in clips if re.fullmatch(r"b~[0-9a-f]{8}", clip)]) == 2


def test_neither_order_nor_place_matters(folders, tmp_path):
    forth, back = join(folders), join(folders[::-1])
    assert forth == back
    moved = [folder.rename(tmp_path / f"moved {folder.name}") for folder in folders]
    away = join(moved)
    assert [(p.clip, p.person) for p in away] == [(p.clip, p.person) for p in forth]
    assert identify_data(moved) == identify_data(moved[::-1])


def test_a_set_is_known_among_others_as_it_is_alone(folders):
    alone = [identify_pairs(read_pairs(folder), ("audio", "face")) for folder in folders]
    whole = identify_pairs(join(folders), ("audio", "face"))
    assert whole.digest == identify_data(folders).digest
    assert sorted(one.digest for one in alone) == [one.digest for one in whole.sets]
    assert [(one.people, one.clips) for one in whole.sets] == [(3, 3), (3, 3)]
    assert (whole.people, whole.clips) == (5, 6)
    (folders[0] / "audio" / "a.flac").write_text("another sound")
    other = identify_data(folders)
    assert {name for name in whole.parts if whole.parts[name] != other.parts[name]} == {"sounds"}


def test_one_folder_is_left_as_its_table_has_it(folders, monkeypatch):
    monkeypatch.setattr(merge_pairs, "measure_faces", None)  # faces are not asked for
    assert join(folders[:1]) == read_pairs(folders[0])
    assert not identify_data(folders[:1]).sets


def test_voices_are_joined_as_pairs_are(folders):
    joined, parts = join(folders), []
    for folder in folders:
        pairs = [pair for pair in read_pairs(folder) if pair.face.read_text()]
        faces = [FACES[pair.face.read_text()] * np.eye(128, dtype=np.float32)[0] for pair in pairs]
        clips, people = [p.clip for p in pairs], [p.person for p in pairs]
        speech = [np.frombuffer(p.audio.read_bytes(), np.uint8) for p in pairs]
        digest = identify_data([folder]).digest
        looks = IdentityEmbeddings.gather({"dlib": np.array(faces)}, len(faces))
        rows = clips, people, speech, np.array(faces), digest, 3 - len(pairs)
        parts.append(Voices(*rows, seen=looks))
    voices = join_voices(parts)
    assert voices.clips == [pair.clip for pair in joined if pair.face.read_text()]
    for pair in joined:
        if pair.face.read_text():
            row = voices.clips.index(pair.clip)
            assert voices.speech[row].tobytes() == pair.audio.read_bytes()
            assert (voices.people[row] == "ann") == (pair.person == "ann")
    assert len(set(voices.people)) == 4
    assert voices.left_out == 1
    assert voices.data == identify_data(folders).digest
    told = [(one["digest"], one["clips"]) for one in voices.origin["sets"]]
    assert told == sorted((part.data, len(part)) for part in parts)
    assert join_voices(parts[:1]).origin == {"data": parts[0].data}


def test_folders_that_cannot_be_read_together_are_one_line(folders, tmp_path):
    with pytest.raises(UsageError, match=r"one is given twice; once will do\.$"):
        read_sets([*folders, folders[0]])
    with pytest.raises(UsageError, match="is given twice"):
        identify_data([folders[0], tmp_path / "other" / ".." / "one"])
    copy = write_set(tmp_path / "copy" / "one", {"a": ("ann", "ann")})
    write_set(tmp_path / "copy" / "again" / "one", {"a": ("ann", "ann")})
    with pytest.raises(UsageError, match="hold the same clips; give one of them"):
        read_sets([copy, tmp_path / "copy" / "again" / "one"])
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / INDEX).touch()
    with pytest.raises(UsageError, match=r"shards: a set of prepare, which only train voice-enc"):
        read_sets([folders[0], tmp_path / "shards"])


def test_folders_of_one_name_are_told_by_those_above(tmp_path):
    paths = [tmp_path / "a" / "pairs", tmp_path / "b" / "pairs", tmp_path / "more"]
    assert merge_pairs.name_sets(paths) == ["a/pairs", "b/pairs", f"{tmp_path.name}/more"]
    assert merge_pairs.name_sets(paths[1:]) == ["pairs", "more"]
