"""A server that does not read lives as long as it answers TCP's questions; one that is gone is found."""
import os
import threading
import time

import pytest

import holdfast

USER_TIMEOUT = 6  # seconds; the least for which a closed window is looked at in time


def has_passed(seconds):
    begun = time.monotonic()
    holdfast.until(lambda: time.monotonic() - begun > seconds, "time", seconds + 5)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network of its own")
def test_a_server_that_does_not_read_lives_and_one_that_is_gone_is_found(daemon, network, figure):
    port = holdfast.free_port()
    sent = os.urandom(1 << 20)
    with network.listen(port) as listener:
        one = daemon(holdfast.fixed("s", f"127.0.0.1:{port}", f"keepalive: {{ user_timeout = {USER_TIMEOUT}; }}; "
                                    "warm = 0;"), wrapper=network.wrapper)
        with one.client("s", 60) as client:
            work = threading.Thread(target=client.send, args=(sent,))
            work.start()
            server = listener.accept()[0]
            server.settimeout(holdfast.BOUND)
            has_passed(3 * USER_TIMEOUT)
            received = b""
            while len(received) < len(sent):
                more = server.recv(65536)
                assert more, f"ended after {len(received)} bytes"
                received += more
            work.join()
            assert received == sent
            client.send(b"still there?")
            assert server.recv(100) == b"still there?"
            has_passed(6)  # that it reads again is noticed
            network.run("ip", "link", "set", "lo", "down")
            client.send(b"and now?")
            begun = time.monotonic()
            assert client.at_end()
            took = time.monotonic() - begun
            figure(f"found after {took:.1f} s, user_timeout = {USER_TIMEOUT}")
            assert took > USER_TIMEOUT / 2
        server.close()
