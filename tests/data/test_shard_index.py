"""The index of a set: a damaged shard is found, and what is no index is refused."""

import pytest

from helpers.finished_samples import damage, make_outcomes, make_set
from speech2face.data.shard_index import read_index, verify_shards
from speech2face.errors import UsageError


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_damage_is_told_in_a_line(harm, tmp_path):
    index = make_set(tmp_path, make_outcomes(8))
    path = tmp_path / index.shards[0].name
    damage(path, harm)
    with pytest.raises(UsageError, match=f"{path.name} is (missing|damaged or changed); copy") as e:
        verify_shards(index)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards": [1]}', '{"shards": [], "who": 1}'])
def test_what_is_no_index(text, tmp_path):
    with pytest.raises(UsageError, match=r"no index\.json; give a folder that"):
        read_index(tmp_path)
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(UsageError, match="not an index of shards"):
        read_index(tmp_path)
