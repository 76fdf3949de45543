"""Host names with other letters than ASCII, as the DNS has them.

Follows UTS #46 with the options that browsers use (WHATWG URL, 3.3): non-transitional, symbols such
as emoji allowed. IDNA 2003, which Python's own codec implements, would send a request for
`straße.de` to `strasse.de`, which may belong to somebody else. Called by all parts that connect to
a host that a user names.
"""

from __future__ import annotations

from headstart.errors import ConfigurationError

# RFC 1035, 2.3.4, as text. Punycode takes more than linear time, and a hostile page may have links
# with names of any length.
_MOST_LETTERS = 253


def ascii_host(name: str) -> str:
    """Return a host name in lower case and with its labels in Punycode (RFC 5890, A-labels).

    The result is not checked any further: it can contain any ASCII character.

    Raises:
        ConfigurationError: The name has letters that no host name may have, or that may not stand
            where they do.
    """
    if name.isascii():
        return name.lower()
    if len(name) > _MOST_LETTERS:
        raise ConfigurationError("The host name is too long", hint="Check the name.")
    # Only some users need this, and its tables take 5 ms to read.
    import idna

    try:
        labels = idna.uts46_remap(name, std3_rules=False).split(".")
        is_bidi = any(map(_is_right_to_left, labels))
        return ".".join(_encoded(label, is_bidi) for label in labels)
    except UnicodeError as error:
        raise ConfigurationError(
            f"{name!r} is not a host name: {error}", hint="Check the name."
        ) from None


def _encoded(label: str, is_bidi: bool) -> str:
    """Return one label in Punycode (UTS #46, 4.1 has these checks)."""
    import idna

    if label:
        idna.check_bidi(label, check_ltr=is_bidi)
    if label.isascii():
        return label
    idna.check_initial_combiner(label)
    for position, letter in enumerate(label):
        if letter in "\u200c\u200d" and not idna.valid_contextj(label, position):
            raise UnicodeError(f"a joiner may not be at position {position + 1} of {label!r}")
    return "xn--" + label.encode("punycode").decode("ascii")


def _is_right_to_left(label: str) -> bool:
    import unicodedata

    return any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in label)
