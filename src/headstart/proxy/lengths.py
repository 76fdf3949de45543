"""A response's Content-Length that is given several times, always with the same value.

RFC 9110, 8.6 lets a recipient reject such a response, as llhttp and nginx do, or replace the fields
by one, as HAProxy and Go do. All readers see the same length, so that this is safe. Pure; called by
`http1` where llhttp refuses a response.
"""

from __future__ import annotations


def with_one_length(section: bytes) -> bytes | None:
    """Return a header section with one Content-Length instead of several equal ones.

    Args:
        section: The status line and the fields, without the empty line.

    Returns:
        None if the values differ, one of them is not a number, or there is one value only.
    """
    kept: list[bytes] = []
    values: list[bytes] = []
    for line in section.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and name.lower() == b"content-length":
            if not values:
                kept.append(line)
            values += (each.strip(b" \t") for each in value.split(b","))
        elif line[:1] in (b" ", b"\t") or b"\n" in line:
            return None  # it may belong to a field that is left out, or end one
        else:
            kept.append(line)
    if len(values) < 2 or len(set(values)) > 1 or not values[0].isdigit():
        return None
    one = b"content-length: " + values[0]
    return b"\r\n".join(one if line[:15].lower() == b"content-length:" else line for line in kept)
