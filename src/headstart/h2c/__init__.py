"""`h2c`: the command, and the background process that holds its connections.

A room for each process, which know nothing of each other's modules:

    command/         what a person types and waits for: it asks the background process
    daemon/          the background process, which does the work
    wiretap/         forwards connections, in the foreground and without a background process

What more than one of them uses:

    framing.py       how the command and the background process talk
    sockets.py       where the background process listens, and whether it may be trusted
    options/         the commands and their options
    exits.py         exit codes and messages
    failures.py      which of them an error has
    streams.py       standard streams, and what is said on them
    dump/            frames as text, as JSON, as an HTTP archive, for `start --dump` and `wiretap`
    keylog.py        TLS keys, for `--keylog`

To add a command: a dataclass and its declaration in `options`, a case in `daemon.verbs`.
"""
