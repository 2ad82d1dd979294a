"""The extras are those of pyproject.toml, and say themselves what they hold."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from speech2face import extras
from speech2face.errors import ModelError
from speech2face.extras import (
    PURPOSES,
    find_missing,
    list_packages,
    name_module,
    need_extras,
    read_requirements,
)

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WRITTEN = TABLE["optional-dependencies"]


def name_package(line: str) -> str:
    """The name in a requirement, as the metadata of an installed package writes it."""
    return re.split(r"[^\w-]", line)[0].replace("_", "-").lower()


def hold(extra: str) -> set[str]:
    """The packages of an extra as they stand in pyproject.toml, those of its parts with them."""
    packages: set[str] = set()
    for line in WRITTEN[extra]:
        if parts := re.fullmatch(r"speech2face\[(.*)\]", line):
            packages = packages.union(*map(hold, parts[1].split(",")))
        else:
            packages.add(name_package(line))
    return packages


@pytest.mark.parametrize("extra", WRITTEN)
def test_what_an_extra_holds_is_read_from_the_installed_package(extra: str) -> None:
    assert set(list_packages(extra)) == hold(extra), "install the package again: make test"


def test_what_the_package_itself_needs_is_read_as_well() -> None:
    needed = set(map(name_package, TABLE["dependencies"]))
    assert {requirement.name for requirement in read_requirements()} == needed


def test_training_asks_for_neither_a_cluster_nor_downloads() -> None:
    assert {"torch", "tensorboard", "webdataset", "dlib-bin"} <= hold("train")
    assert not {"ray", "yt-dlp"} & (hold("train") | hold("prepare"))
    assert hold("data") == hold("prepare") | {"ray", "yt-dlp"}  # the name of before


def test_each_extra_of_a_command_is_told_and_there() -> None:
    assert set(PURPOSES) == set(WRITTEN) - {"faces", "data", "docs", "dev"}
    named = set()
    for path in (ROOT / "src").rglob("*.py"):
        for words in re.findall(r"(?:need_extras|how_to_install)\(([^)]*)\)", path.read_text()):
            named |= set(re.findall(r'[\'"](\w+)[\'"]', words))
    assert {"train", "prepare", "youtube", "cluster", "faces", "serve", "audit"} <= named
    assert named <= set(WRITTEN)


@pytest.mark.parametrize("extra", PURPOSES)
def test_each_package_is_known_by_its_module(extra: str) -> None:
    """By importing nothing. Where a package is not installed, nothing can be said of its name."""
    from importlib.metadata import PackageNotFoundError, distribution

    for package in list_packages(extra):
        try:
            distribution(package)
        except PackageNotFoundError:
            continue
        assert find_spec(name_module(package)), f"{package} brings no module {name_module(package)}"


def test_what_is_missing_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"torch", "cv2"}
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in absent else name)
    assert find_missing("train") == ["opencv-python-headless", "torch"]
    assert find_missing("serve") == []
    need_extras("serve")
    with pytest.raises(ModelError) as told:
        need_extras("train", "prepare")
    assert str(told.value) == (
        "opencv-python-headless, torch not installed: pip install '.[train,prepare]' in a checkout."
    )
