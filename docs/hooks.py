"""What mkdocs cannot copy: pages made of the commands, the examples and the repository's cards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from speech2face.cli import app

ROOT = Path(__file__).resolve().parents[1]
FROM_ROOT = {
    "MODEL_CARD.md": "model-card.md",
    "DATA_CARD.md": "data-card.md",
    "RESPONSIBLE_USE.md": "responsible-use.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
VALUES = {"int": "N", "float": "X", "Path": "PATH"}  # any other is TEXT
EXAMPLE = re.compile(r"<!-- examples/(\w+\.py) -->")
FIGURE = re.compile(r'<img alt="([^"]*)" src="figures/([\w-]+\.svg)" ?/?>')
MENTION = re.compile(r"(\]\()?(?<![\w/\[])(?:docs/([\w-]+\.md)|([A-Z_]+\.md))(?![\w\]])")
CODE = re.compile(r"(^```.*?^```$|^    .*?$|<!--.*?-->|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie in the repository's root."""
    for source, page in FROM_ROOT.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is made of the code, and link the pages that a page mentions."""
    if page.file.src_uri == "command-line.md":
        markdown += "\n" + describe_commands()
    elif page.file.src_uri == "examples.md":
        markdown = EXAMPLE.sub(lambda found: show_example(found[1]), markdown)
    pages = {file.src_uri for file in files.documentation_pages()} - {page.file.src_uri}
    return link_mentions(markdown, pages)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put figures into the page, where they follow its colours."""

    def inline(found: re.Match[str]) -> str:
        drawing = (ROOT / "docs" / "figures" / found[2]).read_text(encoding="utf-8")
        return f'<figure role="img" aria-label="{found[1]}">{drawing}</figure>'

    return FIGURE.sub(inline, html)


def link_mentions(markdown: str, pages: set[str]) -> str:
    """Plain mentions of a page, `docs/x.md` or a file of the root, become links; links go to it."""

    def link(found: re.Match[str]) -> str:
        target = found[2] or FROM_ROOT.get(found[3], "")
        if target not in pages:
            return found[0]
        return f"]({target}" if found[1] else f"[{found[0]}]({target})"

    parts = CODE.split(markdown)  # every second one is code
    parts[::2] = (MENTION.sub(link, part) for part in parts[::2])
    return "".join(parts)


def find_commands(command: Any, name: str = "speech2face") -> Iterator[tuple[str, Any]]:
    """Each command with its whole name, groups before what is in them."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from find_commands(inner, f"{name} {word}")


def describe_commands() -> str:
    """A section for each command, from the commands themselves."""
    return "\n".join(
        _describe(name, command) for name, command in find_commands(typer.main.get_command(app))
    )


def _describe(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    words = [p.metavar or p.name.upper() for p in arguments]
    words = [w if p.required else f"[{w}]" for w, p in zip(words, arguments, strict=True)]
    words += [f"{p.opts[-1]} {_value(p)}" for p in options if p.required]
    optional = any(not p.required for p in options)
    if hasattr(command, "commands"):
        words, optional = ["COMMAND", "…"], False
    usage = " ".join([name, *words, *["[OPTIONS]"] * optional])
    rows = [f"| `{w.strip('[]')}` | {_words(p)} |" for w, p in zip(words, arguments, strict=False)]
    rows += [f"| {_names(p)} | {_words(p)} |" for p in options]
    level = "##" if name.count(" ") < 2 else "###"
    help_text = re.sub(r" --(?=\w)", r" \\-\\-", command.help)
    parts = [f"{level} {name}", help_text, f"```text\n{usage}\n```"]
    if rows:
        parts.append("| | |\n|--|--|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _names(option: Any) -> str:
    value = "" if option.is_flag else f" {_value(option)}"
    return ", ".join(f"`{name}{value}`" for name in option.opts)


def _value(option: Any) -> str:
    annotation = str(option.type_descriptor.annotation)
    return next((word for kind, word in VALUES.items() if kind in annotation), "TEXT")


def _words(parameter: Any) -> str:
    words, default = parameter.help or "", parameter.default
    if parameter.min is not None and parameter.max is not None:
        words += f" From {parameter.min} to {parameter.max}."
    elif parameter.min is not None:
        words += f" {parameter.min} or more."
    words = re.sub(r"\[default: (\S+)\]", r"Default: `\1`.", words.strip())
    told = re.sub(r"\[default: (.+)\]", r"Default: \1.", words)
    if parameter.required:
        return f"{told} Required." if parameter.param_type_name == "option" else told
    if default is None or default is False:
        return told
    return f"{told} Default: `{default}`.".strip()


def show_example(name: str) -> str:
    """A script of examples/: what it says of itself, and its code."""
    code = (ROOT / "examples" / name).read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(code)) or ""
    below = code.split('"""', 2)[2].lstrip()
    return f"{said}\n\n```python\n{below}```\n"
