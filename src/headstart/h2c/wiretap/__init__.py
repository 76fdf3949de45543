"""`h2c wiretap`: forward the bytes between clients and a server, and show them as frames.

Bytes are forwarded unchanged (`relay`) and shown by `dump.tap`. With TLS on both sides, the client
gets the protocol that the server chose from the client's ALPN offer: its ClientHello is
read, the server is asked, and only then is the client answered.

    taps.py      the sockets for clients; each client accepted and connected to the server
    tls.py       the protocols that a client offers, and the TLS of both sides
    relay.py     the bytes of one connection, both ways

Runs in the foreground until Ctrl-C and needs no background process. Called by `command.local`.
"""

from __future__ import annotations

import asyncio

from headstart.errors import HeadstartError
from headstart.h2c import exits, keylog, streams
from headstart.h2c.dump.tap import Dump
from headstart.h2c.failures import exit_code, explanation
from headstart.h2c.options.process import Wiretap
from headstart.h2c.wiretap.taps import Taps, listen
from headstart.h2c.wiretap.tls import Tls
from headstart.wire.frames import Direction


def run(command: Wiretap) -> int:
    """Forward until Ctrl-C.

    Returns:
        The exit code.

    Raises:
        streams.Failed, BrokenPipeError: It cannot listen, or the dump cannot be written.
    """
    try:
        keylog.use(command.keylog)
        tls = Tls(command)
        listeners = listen(command.local)
    except HeadstartError as error:
        raise streams.Failed(explanation(error), exit_code(error)) from error
    dump = Dump(command.dump, named=True)
    taps = Taps(command, tls, dump)
    dump.when_failed = lambda message: taps.stop()
    asyncio.run(taps.serve(listeners))
    dump.close()
    streams.say(
        exits.TAPPED.format(
            taps.connections,
            dump.frames,
            taps.counts[Direction.SENT],
            taps.counts[Direction.RECEIVED],
        )
    )
    if dump.failure is not None:
        raise dump.failure
    return exits.OK
