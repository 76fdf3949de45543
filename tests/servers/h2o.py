"""h2o: pushes by Link header, Upgrade, and an echo in its own Ruby."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port
from tests.servers import running
from tests.servers.running import Server
from tests.servers.site import PAGE, SCRIPT, STYLE

_CONFIGURATION = """
num-threads: 1
error-log: {path}/log
listen:
  host: 127.0.0.1
  port: {clear}
listen:
  host: 127.0.0.1
  port: {tls}
  ssl:
    certificate-file: {certfile}
    key-file: {keyfile}
http2-max-concurrent-requests-per-connection: {streams}
hosts:
  default:
    paths:
      {page}:
        mruby.handler: |
          Proc.new do |env|
            [399, {{"link" => "<{style}>; rel=preload\\n<{script}>; rel=preload"}}, []]
          end
        file.file: {root}{page}
      /echo:
        mruby.handler: |
          Proc.new do |env|
            [200, {{"content-type" => "application/octet-stream"}}, [env["rack.input"].read]]
          end
      /:
        file.dir: {root}
"""
STREAMS = 8


@contextmanager
def h2o() -> Iterator[Server]:
    """An h2o that runs until the block ends; /echo answers what it is sent."""
    with running.folder() as place:
        clear, tls = (free_port() for _ in range(2))
        configuration = place.write(
            "h2o.yaml",
            _CONFIGURATION.format(
                path=place.path,
                root=place.root,
                certfile=place.certfile,
                keyfile=place.keyfile,
                clear=clear,
                tls=tls,
                page=PAGE,
                style=STYLE,
                script=SCRIPT,
                streams=STREAMS,
            ),
        )
        with running.process(place, "h2o", ["-c", str(configuration)], [clear, tls]):
            yield place.server(clear, tls)
