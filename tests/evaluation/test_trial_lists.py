"""Trial lists: read as they were meant, or refused with the line."""

import pytest

from speech2face.errors import UsageError
from speech2face.evaluation.trial_lists import (
    PairTrial,
    TripletTrial,
    read_pair_trials,
    read_triplet_trials,
)

FILES = ("a/1.wav", "a/2.wav", "b/1.wav", "a/x/1.jpg", "b/x/1.jpg", "c d, e/1.JPG")
PAIRS = [PairTrial("a/1.wav", "a/x/1.jpg", True), PairTrial("a/2.wav", "b/x/1.jpg", False)]
TRIPLETS = [
    TripletTrial("a/1.wav", "a/x/1.jpg", "b/x/1.jpg"),
    TripletTrial("b/1.wav", "b/x/1.jpg", "a/x/1.jpg"),
]


@pytest.fixture
def write(tmp_path):
    """Writes a list; its files lie beside it."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def write(text: str | bytes):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "list.csv").write_bytes(data)
        return tmp_path / "list.csv", tmp_path

    return write


PLAIN = "a/1.wav,a/x/1.jpg,1\na/2.wav,b/x/1.jpg,0\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "voice,face,label\n" + PLAIN,
        ("voice,face,label\n" + PLAIN).replace("\n", "\r\n").encode("utf-8-sig"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "  ").strip(),
        "\n" + PLAIN.replace("\n", "\n\n"),
        '"a/1.wav","a/x/1.jpg","1"\n"a/2.wav", b/x/1.jpg ,0\n',
        "1 a/x/1.jpg a/1.wav\n0 b/x/1.jpg a/2.wav\n",
        # As those of Learnable PINs: here three columns hold nothing but 0 and 1.
        "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path\n"
        "0,1,1,1,a/1.wav,a/x/1.jpg\n1,1,0,0,a/2.wav,b/x/1.jpg\n",
        "17,a/1.wav,a/x/1.jpg,1,good\n18,a/2.wav,b/x/1.jpg,0,bad\n",
    ],
)
def test_pairs_are_read_from_lists_of_many_forms(write, text):
    assert read_pair_trials(*write(text)) == PAIRS


def test_quoted_names_hold_separators(write):
    table = write('a/1.wav,"c d, e/1.JPG",0\n')
    assert read_pair_trials(*table) == [PairTrial("a/1.wav", "c d, e/1.JPG", False)]


@pytest.mark.parametrize(
    "text",
    [
        "a/1.wav,a/x/1.jpg,b/x/1.jpg,1\nb/1.wav,a/x/1.jpg,b/x/1.jpg,2\n",
        "a/1.wav,a/x/1.jpg,b/x/1.jpg,0\nb/1.wav,a/x/1.jpg,b/x/1.jpg,1\n",
        "probe,one,two,label\na/1.wav,b/x/1.jpg,a/x/1.jpg,2\nb/1.wav,b/x/1.jpg,a/x/1.jpg,1\n",
    ],
)
def test_triplets_are_read(write, text):
    assert read_triplet_trials(*write(text)) == TRIPLETS


def test_triplets_without_labels_are_read_where_the_place_is_told(write):
    table = write("a/1.wav a/x/1.jpg b/x/1.jpg\nb/1.wav b/x/1.jpg a/x/1.jpg\n")
    assert read_triplet_trials(*table, right=1) == TRIPLETS
    turned = [TripletTrial(t.probe, t.wrong, t.right) for t in TRIPLETS]
    assert read_triplet_trials(*table, right=2) == turned
    with pytest.raises(UsageError, match="line 1: no column can be the label"):
        read_triplet_trials(*table)
    with pytest.raises(UsageError, match="a place is given, 1 or 2"):
        read_triplet_trials(*table, right=0)
    table = write("a/1.wav,a/x/1.jpg,b/x/1.jpg,1\n")
    with pytest.raises(UsageError, match="only where there are files alone"):
        read_triplet_trials(*table, right=1)
    faces = write("a/x/1.jpg a/1.wav b/1.wav\n")
    wanted = [TripletTrial("a/x/1.jpg", "a/1.wav", "b/1.wav")]
    assert read_triplet_trials(*faces, right=1) == wanted


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (PLAIN + "a/1.wav,b/x/1.jpg\n", "line 3: 2 fields where others have 3"),
        (PLAIN + "a/1.wav,b/x/1.jpg,2\n", "line 3: the label is '2', not 0 or 1"),
        (PLAIN + "a/1.wav,b/x/1.jpg,\n", "line 3: the label is '', not 0 or 1"),
        (PLAIN + "b/x/1.jpg,a/1.wav,0\n", "line 3: 'b/x/1.jpg' stands where a voice's file should"),
        (PLAIN + "a/1.wav,b,0\n", "line 3: 'b' stands where a face's file should"),
        (PLAIN + '"a/1.wav,b/x/1.jpg,0\n', "line 3: a quote is not closed"),
        (PLAIN + "a/1.wav,a/x/1.jpg,0\n", "line 3: contradicts line 1"),
        ("x,voice,face,label\n" + PLAIN, "line 2: 3 fields under a header of 4"),
        ("a/1.wav,a/x/1.jpg\n", "line 1: no column can be the label"),
        ("1,a/1.wav,a/x/1.jpg,1\n", "line 1: several columns can be the label"),
        ("a/1.wav,a/2.wav,1\n", "line 1: a pair is one voice's file and one face's"),
        ("voice,face,label\n", "holds no trials"),
        ("", "holds no trials"),
        (b"\xff\xfe\x00", "line 1: not UTF-16"),
    ],
)
def test_unclear_pairs_are_refused_by_line(write, text, wrong):
    with pytest.raises(UsageError) as error:
        read_pair_trials(*write(text))
    assert wrong in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (PLAIN, "line 1: a triplet is"),
        ("a/1.wav,a/x/1.jpg,b/x/1.jpg,1\n", "the labels are not 0 and 1, nor 1 and 2"),
        (
            "a/1.wav,a/x/1.jpg,b/x/1.jpg,0\na/2.wav,a/x/1.jpg,b/x/1.jpg,2\n",
            "the labels are not 0 and 1, nor 1 and 2",
        ),
        (
            "a/1.wav,a/x/1.jpg,b/x/1.jpg,0\na/2.wav,a/x/1.jpg,a/x/1.jpg,1\n",
            "line 2: both candidates are a/x/1.jpg",
        ),
        (
            "a/1.wav,a/x/1.jpg,b/x/1.jpg,1\na/1.wav,a/x/1.jpg,b/x/1.jpg,2\n",
            "line 2: contradicts line 1",
        ),
    ],
)
def test_unclear_triplets_are_refused_by_line(write, text, wrong):
    with pytest.raises(UsageError) as error:
        read_triplet_trials(*write(text))
    assert wrong in str(error.value)


def test_missing_files_are_named_and_a_missing_list_is_told(write, tmp_path):
    lines = [f"a/{i}.wav,b/x/1.jpg,0\n" for i in range(1, 8)]
    with pytest.raises(UsageError, match=r"5 of the 8 files .*\(a/3.wav, a/4.wav, a/5.wav …\)"):
        read_pair_trials(*write("".join(lines)))
    with pytest.raises(UsageError, match=r"none.csv: not found"):
        read_pair_trials(tmp_path / "none.csv", tmp_path)


def test_a_trial_listed_twice_counts_twice(write):
    assert read_pair_trials(*write(PLAIN + PLAIN)) == PAIRS * 2
