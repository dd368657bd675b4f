"""Programs that write syslog, over one connection to a real collector: rsyslog, with framing octet-counted."""
import shutil

import pytest

import asking
import holdfast
import real_servers
import storm

pytestmark = [pytest.mark.skipif(not shutil.which("rsyslogd", path="/usr/sbin:/usr/bin"),
                                 reason="needs it: apt-get install rsyslog"),
              pytest.mark.skipif(not shutil.which("logger"), reason="needs logger")]


@pytest.fixture
def rsyslog(folder):
    yield from holdfast.each_ends(lambda: real_servers.Rsyslog(folder).start(), real_servers.Rsyslog.stop)


def log(one, text):
    done = holdfast.run("logger", "--tcp", "--octet-count", "--socket", one.socket("log"), "--tag", "test", text)
    assert (done.returncode, done.stderr) == (0, "")


def test_messages_of_logger_arrive_whole_though_they_hold_newlines(daemon, rsyslog):
    collector = rsyslog()
    one = daemon(asking.shared("log", collector.address, 'replies = "none"; ', "octet-counted"))
    one.wait_connected("log")
    texts = [f"number {number}\nand its second line" for number in range(20)]
    with storm.Deaths(one, 0.05):
        for text in texts:
            log(one, text)
    holdfast.until(lambda: len(collector.messages()) == len(texts), "all arrive")
    assert sorted(collector.messages()) == sorted(text.replace("\n", "#012") for text in texts)
    one.wait_status("log", clients=0, unfinished=0, losses=0, connects=1)


def test_what_was_logged_while_the_collector_was_away_arrives_when_it_is_back(daemon, rsyslog):
    collector = rsyslog()
    one = daemon(asking.shared("log", collector.address, 'replies = "none"; ', "octet-counted"))
    log(one, "before")
    holdfast.until(lambda: collector.messages() == ["before"], "it arrives")
    collector.stop()
    one.wait_status("log", up=False)
    for number in range(5):
        log(one, f"meanwhile {number}")
    one.wait_status("log", queued=5)
    collector.start()
    holdfast.until(lambda: len(collector.messages()) == 6, "the others arrive")
    assert collector.messages()[1:] == [f"meanwhile {number}" for number in range(5)]
