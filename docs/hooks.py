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

from speech2face.cli.commands import app
from speech2face.cli.help_pages import describe_parameter, usage_of
from speech2face.model_folders import find_model
from speech2face.serving.static_page import RUNTIME, RUNTIME_FOLDER, write_static_page

ROOT = Path(__file__).resolve().parents[1]
FROM_ROOT = {
    "MODEL_CARD.md": "model-card.md",
    "DATA_CARD.md": "data-card.md",
    "RESPONSIBLE_USE.md": "responsible-use.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
EXAMPLE = re.compile(r"<!-- examples/(\w+\.py) -->")
FIGURE = re.compile(r'<img alt="([^"]*)" src="figures/([\w-]+\.svg)" ?/?>')
MENTION = re.compile(r"(\]\()?(?<![\w/\[])(?:docs/([\w-]+\.md)|([A-Z_]+\.md))(?![\w\]])")
TRY_IT = "<!-- try it -->"
TRY_FOLDER = "try-it"
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
    elif page.file.src_uri == "browser.md" and can_draw():
        markdown = markdown.replace(TRY_IT, f'<a href="{TRY_FOLDER}/index.html">Try it</a>')
    pages = {file.src_uri for file in files.documentation_pages()} - {page.file.src_uri}
    return link_mentions(markdown, pages)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put figures into the page, where they follow its colours."""

    def inline(found: re.Match[str]) -> str:
        drawing = (ROOT / "docs" / "figures" / found[2]).read_text(encoding="utf-8")
        return f'<figure role="img" aria-label="{found[1]}">{drawing}</figure>'

    return FIGURE.sub(inline, html)


def on_post_build(config: MkDocsConfig) -> None:
    """Put the page that draws in the browser beside the documentation."""
    if can_draw():
        write_static_page(Path(config.site_dir) / TRY_FOLDER, find_model(), force=True)


def can_draw() -> bool:
    """Whether `make web` has fetched what the page runs on, as `make docs` does."""
    return (RUNTIME_FOLDER / RUNTIME).is_file()


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
    """A command's section: its help, its usage, and a table of its arguments and options."""
    parameters = sorted(command.params, key=lambda p: p.param_type_name)  # arguments first
    words = [usage_of(p) for p in parameters if p.param_type_name == "argument"]
    words += [describe_parameter(p)[0] for p in parameters if p.required and p.opts[0][0] == "-"]
    usage = " ".join([name, *words, "[OPTIONS]"])
    if hasattr(command, "commands"):
        usage = f"{name} [COMMAND …]" if command.invoke_without_command else f"{name} COMMAND …"
    rows = [_row(*describe_parameter(parameter)) for parameter in parameters]
    level = "##" if name.count(" ") < 2 else "###"
    parts = [f"{level} {name}", _escape(command.help), f"```text\n{usage}\n```"]
    if rows:
        parts.append("| | |\n|--|--|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _row(name: str, words: str) -> str:
    """A line of a table: each name of an option and its value as code, and what it is."""
    return f"| {', '.join(f'`{part}`' for part in name.split(', '))} | {_escape(words)} |"


def _escape(text: str) -> str:
    """Help is plain text: in Markdown -- would be a dash, * emphasis, and {} attributes."""
    return re.sub(r"(?<= )--(?=\w)|[*{}]", lambda found: re.sub(r"(.)", r"\\\1", found[0]), text)


def show_example(name: str) -> str:
    """A script of examples/: what it says of itself, and its code."""
    code = (ROOT / "examples" / name).read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(code)) or ""
    below = code.split('"""', 2)[2].lstrip()
    return f"{said}\n\n```python\n{below}```\n"
