"""The image and the example for Kubernetes name what is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from helpers.service import COMMAND, Service
from speech2face.serving import limits
from speech2face.serving.limits import MIB, Limits, count_cores

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
HELP = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout


def test_the_image_copies_what_is_there_and_not_ignored() -> None:
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    sources = " ".join(copied).split()
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in kept
    packaged = re.findall(
        r"^(?:readme|license-files) = (.*)$", (ROOT / "pyproject.toml").read_text(), re.M
    )
    for name in re.findall(r'"([^"]+)"', " ".join(packaged)):
        assert name in sources  # or the package cannot be built


def test_the_image_calls_the_command_as_it_is() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    command = json.loads(entry)
    assert command[:2] == ["speech2face", "serve"]
    assert all(option in HELP for option in command if option.startswith("--"))
    assert re.search(r"^USER (?!0|root)", DOCKERFILE, re.MULTILINE)


def test_kubernetes_asks_for_what_the_server_has(service: Service) -> None:
    parts = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text())
    deployment, _, scaler = parts
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert service.client.get(container[probe]["httpGet"]["path"]).status_code == 200
    assert all(option in HELP for option in container["args"][::2])
    assert pod["terminationGracePeriodSeconds"] > 5 + Limits.stopping
    workers = int(container["args"][1])
    gibibytes = int(container["resources"]["limits"]["memory"].removesuffix("Gi"))
    assert gibibytes * 1024 * MIB >= workers * Limits.memory + Limits.protect_memory + Limits.held
    (metric,) = scaler["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"\n{name} " in service.client.get("/metrics").text


def test_the_proxy_and_the_guide_know_how_long_a_disguise_may_take() -> None:
    longest = Limits.protect_waiting + Limits.protect_working
    example = (ROOT / "deploy" / "nginx.conf").read_text()
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", example)
    assert int(patience) > longest > Limits.waiting + Limits.working
    guide = (ROOT / "docs" / "serving.md").read_text()
    assert f"**wait {patience} s**" in guide
    for row in (
        f"| a recording that is disguised | {Limits.protected:g} s | 413 |",
        f"| {Limits.protectors}; {Limits.protect_queue} requests, {Limits.protect_waiting:g} s |",
        f"| a core's time on disguising | {Limits.protect_processor} s | 415 |",
        f"| time on disguising | {Limits.protect_working:g} s | 503 |",
        f"| memory of the process that disguises | {Limits.protect_memory / 2**30:g} GiB | 415 |",
    ):
        assert row in guide


@pytest.mark.parametrize(
    ("share", "cores"), [("150000 100000", 1), ("200000 100000", 2), ("50000 100000", 1)]
)
def test_a_container_share_bounds_the_workers(
    share: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(f"{share}\n")
    monkeypatch.setattr(limits, "CONTAINER_SHARE", path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert count_cores() == cores
    path.write_text("max 100000\n")
    assert count_cores() == 8


def test_the_runtime_reports_to_nobody(recording: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"  # where its telemetry, were it on, keeps an identifier
    home.mkdir()
    command = [*COMMAND[:-1], "embed", str(recording)]
    here = {"HOME": str(home), "PATH": os.environ["PATH"]}
    subprocess.run(command, capture_output=True, check=True, env=here)
    assert list(home.rglob("*")) == []
