"""Sizes and times as people read them. Pure; called by `h2c` and by the admin pages."""

from __future__ import annotations

_UNITS = ("kB", "MB", "GB", "TB")


def size(octets: float) -> str:
    """Bytes with three digits or so: `999 B`, `1.5 kB`, `12 MB`, `1.07 GB`."""
    if octets < 999.5:
        return f"{octets:.0f} B"
    for unit in _UNITS:
        octets /= 1000
        if octets < 999.5 or unit == _UNITS[-1]:
            break
    digits = 2 if octets < 9.995 else 1 if octets < 99.95 else 0
    return f"{octets:.{digits}f} {unit}"


def time(seconds: float) -> str:
    """Return a duration as text: `<0.1 ms`, `12 ms`, `1.23 s`, `2:05 min`, `1:02:05 h`."""
    if seconds < 0.00005:
        return "<0.1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.{1 if seconds < 0.00995 else 0}f} ms"
    if seconds < 59.5:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
