"""on_down = "refuse": nobody waits for a service that is known to be down."""
import socket
import time

import holdfast


def test_who_came_during_the_attempt_is_refused_when_it_fails(daemon):
    """Nobody answers at the address: its backlog of one is full, so the attempt hangs until connect_timeout."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        one = daemon(holdfast.fixed("s", f"127.0.0.1:{address[1]}",
                                    'on_down = "refuse"; connect_timeout = 1; hold_timeout = 60;'))
        began = time.monotonic()
        with one.client("s") as client:
            assert client.at_end()
        assert time.monotonic() - began < 5
        assert one.status("s")["refused"]["down"] == 1
        for filler in fillers:
            filler.close()
