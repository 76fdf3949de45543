"""`h2c`: the command, and the background process that holds its connections.

The command's own process does as little as it can, since a person waits for it to start:

    command.py       the command: asks the background process, moves bytes, exits
    terminal.py      its half of the conversation: standard streams and files
    sockets.py       where the background process listens, and whether it may be trusted
    framing.py       how the two talk
    exits.py         exit codes and messages
    launch.py        starting the background process when there is none
    local.py         what is answered without it
    completion.py    scripts that let shells complete

Everything else runs in the background process, which reads the arguments as well:

    options/         the commands and their options
    daemon.py        its life: one instance, signals, idle time-out, stop
    claim.py         one instance: the lock and the listening socket
    conversation.py  its half of the conversation
    session.py       the connections, which of them is current, fields set by the user
    verbs.py         what each command does
    exchange.py      a request and its response
    hinted.py        responses that a 103 named
    load/            a page and what it needs, as a browser would fetch it
    progress.py      how far an upload or a download is
    ping.py          round trips, one or a series
    reports.py       what lists and --json print
    figures.py       sizes and times as people read them

For `start --dump` and `wiretap`, bytes of all connections beside their way:

    dump/            decodes them: frames as text, as JSON, as an HTTP archive
    keylog.py        TLS keys, for `--keylog`
    wiretap/         forwards connections in the foreground, without a background process

To add a command: a dataclass and its declaration in `options`, a case in `verbs`.
"""
