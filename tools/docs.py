"""Build the documentation site, and fail if reading it would load anything from others.

`make docs` calls it. MkDocs is strict: a link, an anchor or a reference that leads nowhere fails.

Reads:   mkdocs.yml, docs/, src/
Changes: site/
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
# Relations of a <link> that fetch something when the page is opened.
FETCHED = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "prefetch", "manifest"}


class Loads(HTMLParser):
    """The URLs that a page loads when it is opened, as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the URL of an element that loads something."""
        given = {name: value or "" for name, value in attrs}
        if "src" in given:
            self.urls.append(given["src"])
        if tag == "link" and FETCHED & set(given.get("rel", "").split()):
            self.urls.append(given.get("href", ""))


def foreign(html: str) -> list[str]:
    """Return the URLs of other sites that a page loads."""
    loads = Loads()
    loads.feed(html)
    return [url for url in loads.urls if url.startswith("//") or "://" in url]


def found(site: Path) -> Iterator[str]:
    """Yield each page with a URL of another site that it loads."""
    for page in sorted(site.rglob("*.html")):
        for url in foreign(page.read_text()):
            yield f"{page.relative_to(site)} loads {url}"


def main() -> int:
    """Build the site; return 1 if something is wrong with it."""
    # With --quiet, --strict would not count the warnings.
    command = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--clean"]
    # Else it recommends its successor at each build.
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        return 1
    loaded = list(found(SITE))
    if loaded:
        print(*loaded, sep="\n", file=sys.stderr)
        return 1
    print("docs: site/index.html. For the search: python3 -m http.server -d site")
    return 0


if __name__ == "__main__":
    sys.exit(main())
