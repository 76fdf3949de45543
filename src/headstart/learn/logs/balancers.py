"""Access logs of AWS's load balancers, which have no Referer.

Nothing can be learned from them alone; they are known so that the reason can be told.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
Called by `file`.
"""

from __future__ import annotations

import re
from typing import Final

from headstart.learn.logs.lines import Fields

_LINE: Final = re.compile(
    r"(?:(?:https?|h2|grpcs|wss?) )?(\d{4}-\d\d-\d\dT[\d:.]{8,20}Z) [^ ]{1,255} "
    r"([0-9A-Fa-f.:\[\]]{2,64}):\d{1,5} [^ ]{1,64}(?: -?[\d.]{1,20}){3} (\d{3}|-) (?:\d{3}|-) "
    r'\d{1,19} (\d{1,19}) "([A-Z-]{1,32}) ([^ "]+) ',
    re.ASCII,
)


def fields_of(line: str) -> Fields | None:
    """Return the named fields of a line of an application or a classic load balancer, or None."""
    found = _LINE.match(line)
    if found is None:
        return None
    time, client, status, size, method, url = found.groups()
    return {
        "time": time,
        "client": client,
        "status": status,
        "size": size,
        "method": method,
        "url": url,
    }
