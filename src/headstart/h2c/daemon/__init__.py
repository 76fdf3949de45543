"""The background process: it parses the arguments of each command and runs it.

process.py       its life: one instance, signals, idle time-out, stop
claim.py         one instance: the lock and the listening socket
service.py       one command, from its first frame to its exit code
conversation.py  its side of the conversation with one command
verbs.py         runs each command, with the help of
requesting.py      a request and its response
load/              a page and its assets, fetched as a browser would
ping.py            round trips, one or a series
reports.py         what lists and --json print
session.py       the connections, the current one, and headers set by the user
hinted.py        responses named by a 103
progress.py      the progress of an upload or a download
figures.py       sizes and times as people read them
"""
