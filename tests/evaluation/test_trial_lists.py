"""Trial lists: read as they were meant, or refused with the line."""

import pytest

from speech2face.errors import UsageError
from speech2face.evaluation.trial_lists import (
    MatchingTrial,
    PairTrial,
    find_strata,
    read_matching_trials,
    read_pair_trials,
    read_people,
    read_traits,
)

FILES = ("a/1.wav", "a/2.wav", "b/1.wav", "a/x/1.jpg", "b/x/1.jpg", "c d, e/1.JPG")
PAIRS = [PairTrial("a/1.wav", "a/x/1.jpg", True), PairTrial("a/2.wav", "b/x/1.jpg", False)]
TRIPLETS = [
    MatchingTrial("a/1.wav", "a/x/1.jpg", ("b/x/1.jpg",)),
    MatchingTrial("b/1.wav", "b/x/1.jpg", ("a/x/1.jpg",)),
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
    assert read_matching_trials(*write(text)) == TRIPLETS


def test_triplets_without_labels_are_read_where_the_place_is_told(write):
    table = write("a/1.wav a/x/1.jpg b/x/1.jpg\nb/1.wav b/x/1.jpg a/x/1.jpg\n")
    assert read_matching_trials(*table, right=1) == TRIPLETS
    turned = [MatchingTrial(t.probe, *t.wrong, (t.right,)) for t in TRIPLETS]
    assert read_matching_trials(*table, right=2) == turned
    with pytest.raises(UsageError, match="line 1: no column can be the label"):
        read_matching_trials(*table)
    with pytest.raises(UsageError, match="a place is given, 1 to 2"):
        read_matching_trials(*table, right=0)
    table = write("a/1.wav,a/x/1.jpg,b/x/1.jpg,1\n")
    with pytest.raises(UsageError, match="only where there are files alone"):
        read_matching_trials(*table, right=1)
    faces = write("a/x/1.jpg a/1.wav b/1.wav\n")
    wanted = [MatchingTrial("a/x/1.jpg", "a/1.wav", ("b/1.wav",))]
    assert read_matching_trials(*faces, right=1) == wanted


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
        (PLAIN, "line 1: a matching trial is"),
        ("a/1.wav,a/x/1.jpg,b/x/1.jpg,1\n", "the labels are not from 0 to 1, nor from 1 to 2"),
        (
            "a/1.wav,a/x/1.jpg,b/x/1.jpg,0\na/2.wav,a/x/1.jpg,b/x/1.jpg,2\n",
            "the labels are not from 0 to 1, nor from 1 to 2",
        ),
        (
            "a/1.wav,a/x/1.jpg,b/x/1.jpg,0\na/2.wav,a/x/1.jpg,a/x/1.jpg,1\n",
            "line 2: two candidates are a/x/1.jpg",
        ),
        (
            "a/1.wav,a/x/1.jpg,b/x/1.jpg,1\na/1.wav,a/x/1.jpg,b/x/1.jpg,2\n",
            "line 2: contradicts line 1",
        ),
    ],
)
def test_unclear_triplets_are_refused_by_line(write, text, wrong):
    with pytest.raises(UsageError) as error:
        read_matching_trials(*write(text))
    assert wrong in str(error.value)


TEN = [f"f{n}/1.jpg" for n in range(10)]


@pytest.mark.parametrize("first", [0, 1])
def test_one_of_many_is_read(write, tmp_path, first):
    for name in TEN:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    probes = ("a/1.wav", "a/2.wav", "b/1.wav")
    places = [f"{p + first} {probe}" for p, probe in zip((0, 9, 4), probes, strict=True)]
    lines = [f"{place} {' '.join(TEN)}\n" for place in places]
    trials = read_matching_trials(*write("".join(lines)))
    assert [TEN.index(t.right) for t in trials] == [0, 9, 4]
    assert trials[2].wrong == (*TEN[:4], *TEN[5:])
    table = write(f"a/1.wav {' '.join(TEN)}\n")
    assert read_matching_trials(*table, right=10)[0].right == TEN[9]
    with pytest.raises(UsageError, match="a place is given, 1 to 10"):
        read_matching_trials(*table, right=11)
    unclear = [f"{p} a/{p}.wav {' '.join(TEN)}\n" for p in (1, 2)]  # from 0, or from 1?
    with pytest.raises(UsageError, match="not from 0 to 9, nor from 1 to 10"):
        read_matching_trials(*write("".join(unclear)))


def test_strata_are_of_people_who_share_something(tmp_path):
    table = tmp_path / "people.csv"
    rows = ("a,Ann,f,IE", "a/1.wav,Ann,f,IE", "b,Ben,m,IE", "c,Cy,m,", "d,Dee,f,IE")
    table.write_text("\n".join(["file,person,gender,nationality", *rows]))
    people, traits = read_people(table), read_traits(table)
    assert traits["Ben"] == {"gender": "m", "nationality": "IE"}
    trials = [
        PairTrial("a/1.wav", "a/1.jpg", True),
        PairTrial("a/1.wav", "b/1.jpg", False),
        PairTrial("b/1.wav", "c/1.jpg", False),  # of Cy's nationality nothing is known
        PairTrial("c/1.wav", "c/1.jpg", True),
        MatchingTrial("a/1.wav", "a/1.jpg", ("d/1.jpg",)),
        MatchingTrial("a/1.wav", "a/1.jpg", ("d/1.jpg", "b/1.jpg")),
        PairTrial("e/1.wav", "e/1.jpg", True),  # the table does not know whom
    ]
    assert find_strata(trials, people, traits) == {
        "gender": [0, 2, 3, 4],
        "nationality": [0, 1, 4, 5],
        "gender, nationality": [0, 4],
    }
    assert find_strata(trials, people, {}) == {}
    table.write_text("\n".join(["file,person,gender", "a,Ann,f", "b,Ann,m"]))
    with pytest.raises(UsageError, match="Ann has the gender m, but f on line 2"):
        read_traits(table)


def test_missing_files_are_named_and_a_missing_list_is_told(write, tmp_path):
    lines = [f"a/{i}.wav,b/x/1.jpg,0\n" for i in range(1, 8)]
    with pytest.raises(UsageError, match=r"5 of the 8 files .*\(a/3.wav, a/4.wav, a/5.wav …\)"):
        read_pair_trials(*write("".join(lines)))
    with pytest.raises(UsageError, match=r"none.csv: not found"):
        read_pair_trials(tmp_path / "none.csv", tmp_path)


def test_a_trial_listed_twice_counts_twice(write):
    assert read_pair_trials(*write(PLAIN + PLAIN)) == PAIRS * 2
