"""Sources: folders, AVSpeech's lists and tables become clips; downloads that fail are refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.sounds import encode, noise
from helpers.synthetic_pairs import make_pairs
from speech2face.data.samples import Refusal
from speech2face.errors import UsageError
from speech2face.preparation import sources
from speech2face.preparation.sources import download, read_sources

LIST = """\
-1nRm4tQL0A,24.76,29.96,0.5,0.25
-1nRm4tQL0A,1.5,4.5,0.1,1.0

zZ_9tQL0A12,0,3,0,0
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Videos by their names; what is in the files does not matter."""
    names = ("b/two.MKV", "b/a.mp4", "one.mp4", "one.webm", "._one.mp4", ".cache/x.mp4", "read.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "odd.mp4").mkdir()
    return tmp_path


def test_a_folder_gives_a_clip_for_each_video(folder):
    clips = read_sources(folder)
    names = [clip.source.clip for clip in clips]
    assert names == ["b/a.mp4", "b/two.MKV", "one.mp4", "one.webm"]
    for clip in clips:
        assert clip.video == folder / clip.source.path
        assert clip.source.path == clip.source.person == clip.source.clip
        assert (clip.source.start, clip.source.end) == (0, math.inf)
    assert (clips[0].audio, clips[0].face, clips[0].face_centre) == (None, None, None)


@pytest.mark.parametrize(
    ("length", "pieces"),
    [(0, 1), (9, 1), (29, 1), (44, 1), (46, 2), (60, 2), (74, 2), (76, 3), (1e9, 1), (-1, 1)],
)
def test_long_videos_are_cut(length, pieces, folder, monkeypatch):
    monkeypatch.setattr(sources, "_ask_length", lambda path: length if path.stem == "a" else 0.0)
    clips = [c for c in read_sources(folder, piece_seconds=30) if c.source.path == "b/a.mp4"]
    starts = [clip.source.start for clip in clips]
    assert starts == [30.0 * i for i in range(pieces)]
    end = length if 0 < length < 1e6 else math.inf  # what cannot be is left to the stages
    assert [clip.source.end for clip in clips] == [*starts[1:], end]
    assert {clip.source.person for clip in clips} == {"b/a.mp4"}
    if pieces > 1:
        assert clips[0].source.clip == "b/a.mp4_000.000000-030.000000"
        assert clips[-1].source.clip.endswith(f"-0{length}.000000")


def test_lengths_are_asked_of_the_files(tmp_path):
    (tmp_path / "long.mp4").write_bytes(encode(noise(5.2), 16_000, "mp4", "aac", video=True))
    (tmp_path / "none.mp4").write_bytes(b"no video")
    (tmp_path / "empty.mp4").touch()
    clips = read_sources(tmp_path, piece_seconds=2)
    assert [(c.source.path, c.source.start) for c in clips] == [
        ("empty.mp4", 0),
        ("long.mp4", 0),
        ("long.mp4", 2),
        ("long.mp4", 4),
        ("none.mp4", 0),
    ]


def test_avspeech_names_times_and_faces(tmp_path):
    (tmp_path / "list.csv").write_text(LIST)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "zZ_9tQL0A12.webm").touch()
    early, late, other = read_sources(tmp_path / "list.csv", tmp_path / "videos")
    assert late.source.clip == "-1nRm4tQL0A_024.760000-029.960000"
    assert (late.source.start, late.source.end, late.face_centre) == (24.76, 29.96, (0.5, 0.25))
    assert early.source.person == late.source.person == "-1nRm4tQL0A"
    assert early.video == tmp_path / "videos" / "-1nRm4tQL0A.mp4"  # to be downloaded
    assert other.video == tmp_path / "videos" / "zZ_9tQL0A12.webm"
    assert other.source.path == "zZ_9tQL0A12.webm"
    beside = read_sources(tmp_path / "list.csv")
    assert beside[0].video == tmp_path / "-1nRm4tQL0A.mp4"


def test_a_spreadsheet_may_have_written_the_list(tmp_path):
    (tmp_path / "list.csv").write_text(LIST)
    (tmp_path / "excel.csv").write_text(
        LIST.replace(",", ";").replace(".", ",").replace("\n", "\r\n"), encoding="utf-8-sig"
    )
    assert read_sources(tmp_path / "excel.csv") == read_sources(tmp_path / "list.csv")


@given(lines=st.permutations(LIST.split()), twice=st.booleans())
def test_the_order_of_the_list_does_not_matter(lines, twice, tmp_path_factory):
    table = tmp_path_factory.mktemp("list") / "list.csv"
    table.write_text("\n".join(lines + (lines if twice else [])), encoding="utf-8-sig")
    clips = [clip.source.clip for clip in read_sources(table)]
    assert clips == sorted(set(clips))
    assert len(clips) == 3


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("-1nRm4tQL0A,24.76,29.96,0.5", "has 4 fields"),
        ("-1nRm4tQL0A,24.76,29.96,0.5,0.2,1", "has 6 fields"),
        ("../../passwd,1,2,0.5,0.5", "'../../passwd' is no YouTube id"),
        ("-1nRm4tQL0A,a,2,0.5,0.5", "must be numbers"),
        ("-1nRm4tQL0A,3,2,0.5,0.5", "3 to 2 s is no stretch of time"),
        ("-1nRm4tQL0A,-1,2,0.5,0.5", "-1 to 2 s is no stretch"),
        ("-1nRm4tQL0A,1,inf,0.5,0.5", "1 to inf s is no stretch"),
        ("-1nRm4tQL0A,nan,2,0.5,0.5", "nan to 2 s is no stretch"),
        ("-1nRm4tQL0A,1,2,0.5,50", "0.5, 50 is not between 0 and 1"),
        ("-1nRm4tQL0A,1,2,nan,0", "nan, 0 is not between 0 and 1"),
        ("zZ_9tQL0A12,0,3,0.5,0", "names zZ_9tQL0A12_000.000000-003.000000, as line 4 does"),
    ],
)
def test_a_line_that_is_wrong_is_told(line, wrong, tmp_path):
    (tmp_path / "list.csv").write_text(f"{LIST}{line}\n")
    with pytest.raises(UsageError, match=rf"list\.csv: line 5:? .*{wrong}") as error:
        read_sources(tmp_path / "list.csv")
    assert "\n" not in str(error.value)


def test_a_table_names_sound_and_face(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(
        "face,clip,person,audio,note\nf/1.jpg, b ,ann,a/1.wav,x\n/f.jpg,a,ben,/2.wav,\n"
    )
    first, second = read_sources(table)
    assert (second.source.clip, second.source.person) == ("b", "ann")
    assert (second.audio, second.face) == (tmp_path / "a/1.wav", tmp_path / "f/1.jpg")
    assert (second.source.path, second.source.end) == ("a/1.wav", math.inf)
    assert first.audio == Path("/2.wav")  # elsewhere
    assert first.source.path == "/2.wav"
    assert first.video is None


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ("a,ann,1.wav\n", "line 2: no face"),
        ("a,ann,1.wav,1.jpg\nb,,2.wav,2.jpg\n", "line 3: no person"),
        ("a,ann,,\n", "line 2: no audio and no face"),
        (
            "a,ann,1.wav,1.jpg\na,ben,1.wav,1.jpg\n",
            "line 3: a has the person ben, but ann on line 2",
        ),
        ('a,ann,"1.wav,1.jpg\n', "line 2: a quote is not closed"),
        ("a,\xff,1.wav,1.jpg\n", "line 2: not UTF-8; save the table as “CSV UTF-8”"),
        ("", "holds no rows"),
    ],
)
def test_a_table_that_is_wrong_is_told(rows, wrong, tmp_path):
    table = tmp_path / "table.csv"
    table.write_bytes(f"clip,person,audio,face\n{rows}".encode("latin-1"))
    with pytest.raises(UsageError, match=wrong):
        read_sources(table)


def test_pairs_are_read_as_they_lie(tmp_path):
    pairs = make_pairs(tmp_path, clips=1, faces=False)
    clips = read_sources(pairs / "pairs.csv")
    assert [clip.source.clip for clip in clips[:2]] == ["alex_0.000", "alpha_0.000"]
    assert clips[0].source.path == "audio/alex_0.000.flac"
    assert all(clip.audio and clip.audio.is_file() for clip in clips)
    assert all(clip.face and clip.face.is_file() for clip in clips)
    (pairs / "pairs.csv").rename(pairs / "other.csv")
    with pytest.raises(
        UsageError, match="line 1: needs the columns audio, face; it has clip, person"
    ):
        read_sources(pairs / "other.csv")


def test_what_is_no_source(tmp_path):
    with pytest.raises(UsageError, match="not found; give a folder of videos or a CSV"):
        read_sources(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no videos"):
        read_sources(tmp_path)
    with pytest.raises(UsageError, match="give a positive length"):
        read_sources(tmp_path, piece_seconds=0)
    video = tmp_path / "video.csv"
    video.write_bytes(np.random.default_rng(0).bytes(999))
    with pytest.raises(UsageError, match=r"video\.csv: "):
        read_sources(video)


class FakeYouTube:
    """In place of yt-dlp's downloader: writes a file, or fails as told."""

    error: Exception | None = None
    extension = "mp4"
    asked: tuple[str, ...] = ()

    def __init__(self, options):
        self.options = options

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def download(self, addresses):
        type(self).asked += tuple(addresses)
        path = self.options["outtmpl"]["default"].replace("%(ext)s", self.extension)
        Path(f"{path}.part").touch()
        if self.error:
            raise self.error
        if self.extension:
            Path(path).write_text("video")


@pytest.fixture
def youtube(monkeypatch):
    import yt_dlp

    fake = type("Fake", (FakeYouTube,), {})
    monkeypatch.setattr(yt_dlp, "YoutubeDL", fake)
    return fake


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "list.csv").write_text(LIST)
    return read_sources(tmp_path / "list.csv", tmp_path / "videos")[0]


def test_a_missing_video_is_fetched_once(youtube, clip, tmp_path):
    youtube.extension = "webm"
    videos = tmp_path / "videos"
    for _ in range(2):
        assert download(clip, videos) == videos / "-1nRm4tQL0A.mp4"
    assert youtube.asked == ("https://www.youtube.com/watch?v=-1nRm4tQL0A",)
    assert [path.name for path in videos.iterdir()] == ["-1nRm4tQL0A.mp4"]
    assert read_sources(tmp_path / "list.csv", videos)[0] == clip  # as before the download


def test_what_cannot_be_had_is_refused_in_a_line(youtube, clip, tmp_path):
    from yt_dlp.utils import DownloadError

    for error, reason in [
        (
            DownloadError("\x1b[0;31mERROR:\x1b[0m [youtube] -1nRm4tQL0A: Video unavailable\nmore"),
            "Video unavailable",
        ),
        (DownloadError("ERROR: Unable to download webpage"), "Unable to download webpage"),
        (TimeoutError(), "TimeoutError"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ]:
        youtube.error = error
        assert download(clip, tmp_path / "videos") == Refusal(clip.source, "download", reason)
        assert not any((tmp_path / "videos").iterdir())
    youtube.error, youtube.extension = None, "txt"
    assert download(clip, tmp_path / "videos") == Refusal(clip.source, "download", "no video came")


def test_without_yt_dlp_the_user_is_told(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yt_dlp", None)
    with pytest.raises(UsageError, match=r"pip install '.\[youtube\]' in a checkout"):
        download(clip, tmp_path / "videos")
