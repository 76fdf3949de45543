"""The background process, which reads the arguments of each command and does what they say.

process.py       its life: one instance, signals, idle time-out, stop
claim.py         one instance: the lock and the listening socket
service.py       one command, from its first frame to its exit code
conversation.py  its half of the conversation with one command
verbs.py         what each command does, with the help of
exchange.py        a request and its response
load/              a page and what it needs, as a browser would fetch it
ping.py            round trips, one or a series
reports.py         what lists and --json print
session.py       the connections, which of them is current, fields set by the user
hinted.py        responses that a 103 named
progress.py      how far an upload or a download is
figures.py       sizes and times as people read them
"""
