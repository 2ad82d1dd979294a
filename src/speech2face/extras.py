"""The package's extras, which commands beyond inference need, read from its metadata."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from typing import TYPE_CHECKING

from speech2face.errors import ModelError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# Purposes of the extras. The others are parts of these (faces), all of them (data), or for those
# who work on the project (docs, dev).
PURPOSES = {
    "train": "train, export, evaluate, calibrate, audit --pairs",
    "prepare": "prepare",
    "tables": "tables and manifests in Parquet",
    "remote": "recordings, tables and sets at addresses (s3://, https://)",
    "cluster": "prepare with several workers, --ray",
    "youtube": "prepare --download",
    "serve": "serve",
    "audit": "more methods of anonymise and protect",
    "natural": "anonymise --method resynthesis-natural",
    "c2pa": "reconstruct --sign, verified content credentials in check",
    "hub": "models from the Hugging Face Hub",
}
# Modules that are not named like the package which brings them. Another package may bring them as
# well: OpenCV with windows, dlib built from source.
MODULES = {
    "c2pa-python": "c2pa",
    "dlib-bin": "dlib",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyworld-prebuilt": "pyworld",
}


def need_extras(*extras: str) -> None:
    """Raise ModelError where packages of these extras are missing: a command's first step."""
    if missing := find_missing(*extras):
        raise ModelError(f"{', '.join(missing)} not installed: {how_to_install(*extras)}.")


def how_to_install(*extras: str) -> str:
    """The command that installs extras: the end of a message about something missing."""
    return f"pip install '.[{','.join(extras)}]' in a checkout"


def find_missing(*extras: str) -> list[str]:
    """The packages of extras that are not installed."""
    packages = [package for extra in extras for package in list_packages(extra)]
    return [name for name in dict.fromkeys(packages) if not find_spec(name_module(name))]


def name_module(package: str) -> str:
    """The module by which a package is known to be installed."""
    return MODULES.get(package, package.replace("-", "_"))


def list_packages(extra: str) -> list[str]:
    """The packages that an extra brings."""
    return [requirement.name for requirement in read_requirements(extra)]


def read_requirements(extra: str = "") -> list[Requirement]:
    """The requirements of an extra, or of the package without extras.

    Nothing where the package runs from its source without being installed.
    """
    from packaging.requirements import Requirement

    try:
        lines = requires("speech2face") or ()
    except PackageNotFoundError:
        return []
    requirements = list(map(Requirement, lines))
    if not extra:
        return [r for r in requirements if _applies(r, "")]
    return [r for r in requirements if _applies(r, extra) and not _applies(r, "")]


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
