"""HTTPS in front of the server, as Caddy or nginx would be; its certificate is a private CA's."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

READY_S, CHUNK = 30, 65536


@contextlib.contextmanager
def https_before(port: int, certificate: Path, key: Path) -> Iterator[int]:
    """The port, on the loopback interface, whose connections are decrypted and go to `port`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop, found, ready = asyncio.new_event_loop(), [], threading.Event()

    async def serve() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _forward(reader, writer, port)

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        found.append(server.sockets[0].getsockname()[1])
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, name="https", daemon=True)
    thread.start()
    if not ready.wait(READY_S):
        raise OSError("the HTTPS front does not start")
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(READY_S)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Both ways, until either end closes."""
    with contextlib.suppress(OSError, ssl.SSLError):
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, behind_writer), _copy(behind_reader, writer))
    writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while more := await reader.read(CHUNK):
            writer.write(more)
            await writer.drain()
    writer.close()
