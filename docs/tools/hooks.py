"""Hooks of MkDocs: folders in the navigation, and Mermaid without another server.

The theme would load Mermaid from a CDN. Here a page with a diagram loads a copy of its own. The
package `mermaidx` carries the browser build of Mermaid's release on npm: it is compared with the
hash of that release and copied, and nothing of the package is imported.
"""

import hashlib
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.utils import get_relative_url

SCRIPT = "assets/javascripts/mermaid.min.js"
SETTINGS = "assets/diagrams.js"
SHA256 = "74d7c46dabca328c2294733910a8aa1ed0c37451776e8d5295da38a2b758fb9b"
"""Of `dist/mermaid.min.js` in the npm package mermaid 11.16.0."""


def on_config(config: Any) -> Any:
    """Put the pages of a folder in place of `folder/*`, and leave out pages that are not there."""
    folder = Path(config.docs_dir)
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    config.nav = [entry for each in config.nav if (entry := _expanded(each, folder, named))]
    return config


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Load Mermaid before the theme does, on pages that have a diagram."""
    del config
    if 'class="mermaid"' not in output:
        return output
    scripts = "".join(
        f'<script src="{get_relative_url(path, page.url)}"></script>' for path in (SCRIPT, SETTINGS)
    )
    return output.replace("</head>", f"{scripts}</head>", 1)


def on_post_build(config: Any) -> None:
    """Copy Mermaid into the site.

    Raises:
        PluginError: what is installed is not the release that the hash is of.
    """
    script = Path(str(distribution("mermaidx").locate_file("mermaidx/assets/mermaid.js")))
    data = script.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise PluginError(f"{script} is not Mermaid 11.16.0.")
    target = Path(config.site_dir) / SCRIPT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _expanded(entry: Any, folder: Path, named: set[str]) -> Any:
    if isinstance(entry, dict):
        [(title, inner)] = entry.items()
        if isinstance(inner, str):
            return entry
        pages: list[Any] = []
        for each in inner:
            if isinstance(each, str) and each.endswith("/*"):
                pages += _pages(folder, each.removesuffix("/*"), named)
            elif isinstance(each, str):
                pages += [each] if (folder / each).exists() else []
            elif (found := _expanded(each, folder, named)) is not None:
                pages.append(found)
        return {title: pages} if pages else None
    return entry


def _pages(folder: Path, name: str, named: set[str]) -> list[str]:
    paths = sorted(path.relative_to(folder).as_posix() for path in (folder / name).glob("*.md"))
    paths.sort(key=lambda path: not path.endswith(("/index.md", "/README.md")))
    return [path for path in paths if path not in named]
