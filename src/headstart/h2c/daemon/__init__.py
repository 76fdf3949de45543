"""The background process: it parses the arguments of each command and runs it.

process.py       its life: one instance, signals, idle time-out, stop
service.py       one command, from its first frame to its exit code
conversation.py  its side of the conversation with one command
requesting.py    a request, sent, sent again and redirected
transfer.py      the content of a request and its response, and their progress
load/            a page and its assets, fetched as a browser would
ping.py          round trips, one or a series
reports.py       the lines of lists and of --json
session.py       the connections, the current one, headers set by the user, responses kept
"""
