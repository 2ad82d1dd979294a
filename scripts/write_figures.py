"""Write the figures of README, cards and docs anew, from the results that they come from.

python scripts/write_figures.py            writes benchmarks/figures.json, then the pages
python scripts/write_figures.py --check    changes nothing, says what is not up to date, exit code 1

benchmarks/sentences.toml lists the figures, each with the result it is, and for each page the
pieces of sentences that hold figures. A piece must stand in its page once, whatever its numbers.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from speech2face.files import write_text_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks"
FIGURES = RESULTS / "figures.json"
NUMBER = r"[+−-]?\d*(?:[.,]\d+)*"
PLACEHOLDER = re.compile(r"\{(\w+)(?::([\d%]*|abs))?\}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the figures of README, cards and docs.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if old")
    options = parser.parse_args()
    figures = read_figures()
    if options.check:
        old = find_old(figures)
        sys.exit(f"not up to date: {'; '.join(old)}" if old else 0)
    write_text_atomically(FIGURES, json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    for name, pieces in read_definitions()["pages"].items():
        text, changed = fill(name, pieces, figures)
        write_text_atomically(ROOT / name, text)
        for line in changed:
            print(f"{name}: {line}")


def find_old(figures: dict[str, dict[str, Any]]) -> list[str]:
    """What the files say that the results do not, a line each."""
    pages = read_definitions()["pages"].items()
    old = [f"{name}: {line}" for name, pieces in pages for line in fill(name, pieces, figures)[1]]
    if not FIGURES.is_file() or json.loads(FIGURES.read_text(encoding="utf-8")) != figures:
        old.append(FIGURES.name)
    return old


def read_definitions() -> dict[str, Any]:
    return tomllib.loads((RESULTS / "sentences.toml").read_text(encoding="utf-8"))


def read_figures() -> dict[str, dict[str, Any]]:
    """Each figure by name: where it comes from, its value and, where there is one, its interval."""
    figures, results = {}, {}
    for name, place in read_definitions()["figures"].items():
        path, *keys = place.split("/")
        if path not in results:
            results[path] = json.loads((RESULTS / path).read_text(encoding="utf-8"))
        found: Any = results[path]
        for key in keys:
            found = found[int(key)] if isinstance(found, list) else found[key]
        if not isinstance(found, dict):
            found = {"value": found}
        kept = {key: found[key] for key in ("value", "low", "high") if key in found}
        figures[name] = {"from": place, **kept}
    return figures


def fill(page: str, pieces: list[str], figures: dict[str, dict[str, Any]]) -> tuple[str, list[str]]:
    """A page with the figures of its pieces as they are now, and the pieces that were others.

    Raises ValueError where a piece does not stand in the page exactly once.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    changed = []
    for piece in pieces:
        pattern, words = make_pattern(piece), fill_piece(piece, figures)
        found = pattern.findall(text)
        if len(found) != 1:
            raise ValueError(f"{page}: {piece!r} stands {len(found)} times in it, not once")
        if " ".join(found[0].split()) != words:
            changed.append(f"{' '.join(found[0].split())} → {words}")
            text = pattern.sub(lambda m, w=words: keep_lines(m[0], w), text)
    return text, changed


def make_pattern(piece: str) -> re.Pattern[str]:
    """What finds a piece of a sentence, whatever its numbers are and wherever its lines end."""
    parts = PLACEHOLDER.split(piece)  # words, name, format, words, …
    interval = rf"{NUMBER}(?: \[{NUMBER}, {NUMBER}\])?"
    words = [re.escape(part) for part in parts[::3]]
    return re.compile(interval.join(words).replace(r"\ ", r"\s+").replace(" ", r"\s+"))


def fill_piece(piece: str, figures: dict[str, dict[str, Any]]) -> str:
    return PLACEHOLDER.sub(lambda m: write_figure(figures[m[1]], m[2] or ""), piece)


def write_figure(figure: dict[str, Any], form: str) -> str:
    """A figure in words: `3` is decimal places with the interval, `3%` without it, `%` of 100,
    `abs` a whole number without its sign.

    >>> write_figure({"value": 0.8351, "low": 0.823, "high": 0.847}, "3")
    '.835 [.823, .847]'
    >>> write_figure({"value": 0.8651}, "%")
    '87'
    """
    if form == "%":
        return f"{100 * figure['value']:.0f}"
    if form == "abs":
        return write_number(abs(figure["value"]), 0)
    places = int(form.rstrip("%") or 0)
    numbers = [write_number(figure[k], places) for k in ("value", "low", "high") if k in figure]
    if form.endswith("%") or len(numbers) == 1:
        return numbers[0]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def write_number(number: float, places: int) -> str:
    text = f"{number:,.{places}f}".replace("-", "−")
    return re.sub(r"^(−?)0\.", r"\1.", text)


def keep_lines(old: str, new: str) -> str:
    """The new words with the line breaks of the old, which have as many words."""
    gaps = re.findall(r"\s+", old)
    words = new.split(" ")
    if len(gaps) != len(words) - 1:
        return new
    return "".join(word + gap for word, gap in zip(words, [*gaps, ""], strict=True))


if __name__ == "__main__":
    main()
