"""The assets that a page's own HTML names, as plain values.

Frozen, and made of strings and booleans alone: `records` sends them to other workers. `pages` makes
them from a response, `naming` keeps them beside the votes, and `deliver` writes links of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.learn.safety import Kind


@dataclass(frozen=True, slots=True)
class Named:
    """An asset of the page's own origin, as an element of the page names it.

    Attributes:
        target: Path and query. Of an image with candidates, the one in `src`.
        kind: How the page uses it.
        module: It is a JavaScript module, whose link is a `modulepreload`.
        crossorigin: "anonymous" or "use-credentials" where it is fetched in CORS mode, else "".
        integrity, fetchpriority, media: The attributes of the element, or "".
        imagesrcset, imagesizes: An image's candidates, of which a browser chooses, or "".
        late: The page is drawn without waiting for it: an `async` or `defer` script.
        sheet: Of a font, the page's stylesheet that names it, itself or by an import, or "". A
            browser fetches it only if text of the page is set in it.
        nonced: The element has a nonce, so the page's Content-Security-Policy asks for one.
    """

    target: str
    kind: Kind
    module: bool = False
    crossorigin: Literal["", "anonymous", "use-credentials"] = ""
    integrity: str = ""
    fetchpriority: Literal["", "high", "low"] = ""
    media: str = ""
    imagesrcset: str = ""
    imagesizes: str = ""
    late: bool = False
    nonced: bool = False
    sheet: str = ""


@dataclass(frozen=True, slots=True)
class OtherOrigin:
    """An origin that the page loads stylesheets, scripts or fonts from.

    Attributes:
        url: Scheme and authority.
        cors: The connection is for requests without credentials, which browsers make over one of
            its own.
    """

    url: str
    cors: bool = False
