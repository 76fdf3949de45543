r"""h2o: a Ruby handler that answers 399 with a Link header, which h2o sends and pushes.

h2o 2.3 offers `rack.early_hints`, which sends a 103; it keeps it from clients over HTTP/1.1 itself.

In a Ruby string between single quotes only `\` and `'` mean anything. Each link is a field of its
own, since h2o 2.2 pushes nothing behind a link that it cannot read, such as one with a `;`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from headstart.export.formats import Format
from headstart.export.plan import LinkedPage, Reason

_USAGE: Final = (
    "h2o with mruby: name this file in the path of {origin}, before what serves it:",
    "    paths:\n"
    '      "/":\n'
    "        mruby.handler-file: /etc/h2o/headstart.rb\n"
    "        file.dir: /var/www  # or proxy.reverse.url, fastcgi.connect ...",
    "h2o pushes what the Link header names to clients that accept it. h2o 2.3 and newer send a 103 "
    "Early Hints to browsers that navigate.",
)


def fits(page: LinkedPage) -> Reason | None:
    """Return why this format cannot have the page, or None."""
    return None


def write(pages: Sequence[LinkedPage]) -> Iterator[str]:
    """Yield the lines for these pages."""
    yield "links = {"
    for page in pages:
        values = ", ".join(_quoted(link.value) for link in page.links)
        early = ", ".join(_quoted(link.early) for link in page.links if link.early)
        yield f"  {_quoted(page.path)} => [[{values}], [{early}]],"
    yield "}"
    yield "Proc.new do |env|"
    yield '  link, early = links[env["PATH_INFO"]]'
    yield '  hint = env["rack.early_hints"]'
    yield '  if hint && early && !early.empty? && env["HTTP_SEC_FETCH_MODE"] == "navigate"'
    yield '    hint.call({"link" => early.join("\\n")})'
    yield "  end"
    yield '  [399, link ? {"link" => link.join("\\n")} : {}, []]'
    yield "end"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


FORMAT: Final = Format(_USAGE, write, fits)
