"""Access logs as the learner's input: text logs, JSON lines, HAR files, and traces.

    log = LogFile(Path("access.log"))   # or a pipe; `LogFile.standard_input()`
    for line in log: ...                # a LogLine: when it was, the request and its response

    file        LogFile: recognises the format, reads the lines, counts what cannot be read
    source      the bytes of a file or a pipe, decompressed, and its lines, each of bounded length
    text        combined logs as Apache and nginx write them, and prefixes of their lines
    json_lines  logs with a JSON object a line, with the names that servers use
    w3c         extended logs of the W3C, as IIS and CloudFront write them
    balancers   logs of AWS's load balancers, which teach nothing
    bare        formats that have no Referer, and teach nothing either
    pattern     logs in a format that the user gives
    har         HTTP archives
    lines       named fields as a LogLine

Called by `replay`. A broken line is counted and left out. Facts that a log does not hold stay open:
it has no cache headers, so assets learned from it are not `verified`, and a file name's extension
stands for the type. Strangers write a log: no line may cost more than its length.
"""

from __future__ import annotations

from headstart.learn.logs.file import LogFile, LogFormat
from headstart.learn.logs.lines import LogLine
from headstart.learn.logs.pattern import Pattern

__all__ = ["LogFile", "LogFormat", "LogLine", "Pattern"]
