"""`h2c`: the command, and the background process that holds its connections.

One package per process; none imports another's modules:

    command/         the process that the user starts; it asks the background process
    daemon/          the background process, which does the work
    wiretap/         forwards connections, in the foreground and without a background process

Modules that several of them use:

    ipc.py           how the command and the background process find each other, and talk
    options/         the commands and their options
    exits.py         exit codes and messages
    failures.py      maps each error to its exit code
    streams.py       messages on the standard streams
    dump/            frames as text, as JSON, as an HTTP archive, for `start --dump` and `wiretap`
    keylog.py        TLS keys, for `--keylog`
    codings.py       content without gzip or deflate

To add a command: a dataclass and its declaration in `options`, a case in `daemon.service`.
"""
