"""reload --dry-run: reads, checks and plans, says what would be done, and leaves everything as it is."""
import os
import stat

import asking
import holdfast


def footprint(one):
    """All that a reload could touch and a dry run must not."""
    files = {}
    for name in sorted(os.listdir(one.folder)):
        if name != "log" and not name.startswith("holdfast.conf"):
            st = os.lstat(one.path(name))
            files[name] = (st.st_ino, st.st_mode, st.st_uid, st.st_gid)
    services = [{key: value for key, value in service.items() if not key.endswith("_seconds")}
                for service in one.status()["services"]]
    return files, services, one.status()["config_error"], one.command("config")["config"]


def plan_of(answer):
    return {key: answer[key] for key in ("added", "changed", "renewed", "removed", "changes", "daemon", "warnings")}


def test_it_tells_what_the_reload_then_does_and_touches_nothing(daemon, upstream):
    first, second = upstream(), upstream()
    one = daemon("".join(holdfast.fixed(name, first.address) for name in ("same", "place", "renew", "old")))
    for name in ("same", "place", "renew", "old"):
        one.wait_status(name, warm=1)
    one.configure(holdfast.fixed("same", first.address)
                  + holdfast.fixed("place", first.address, 'hold_timeout = 5; listen: { mode = "0666"; };')
                  + holdfast.fixed("renew", second.address) + holdfast.fixed("new", first.address),
                  top='stop_timeout = 3; control: { mode = "0666"; };')
    before = footprint(one)
    dry = one.command("reload --dry-run")
    assert footprint(one) == before
    assert dry["dry_run"]
    assert (dry["changed"], dry["renewed"], dry["removed"]) == (["place", "renew"], ["renew"], ["old"])
    assert [(added["service"], added["socket"], added["mode"]) for added in dry["added"]] == [
        ("new", one.socket("new"), "0660")]
    place, renew = dry["changes"]
    assert (place["service"], place["how"], place["effect"]) == ("place", "in place", None)
    assert place["settings"] == [{"setting": "listen.mode", "from": '"0660"', "to": '"0666"'},
                                 {"setting": "hold_timeout", "from": "60", "to": "5"}]
    assert (renew["service"], renew["how"]) == ("renew", "renewed") and "looked up again" in renew["effect"]
    assert renew["settings"] == [{"setting": "address", "from": f'"{first.address}"', "to": f'"{second.address}"'}]
    assert [change["setting"] for change in dry["daemon"]] == ["stop_timeout", "control.mode"]
    real = one.command("reload")
    assert not real["dry_run"] and plan_of(real) == plan_of(dry)
    assert stat.S_IMODE(os.stat(one.socket("place")).st_mode) == 0o666
    nothing = one.command("reload --dry-run")
    assert plan_of(nothing) == {key: [] for key in plan_of(nothing)}


def test_errors_are_told_and_not_kept(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    one.wait_status("s", warm=1)
    with open(one.path("file"), "w") as file:
        file.write("not a socket")
    before = footprint(one)
    for services, wrong in ((holdfast.fixed("s", server.address, "nonsense = 1;"), "nonsense"),
                            (holdfast.fixed("s", server.address, 'listen: { path = "file"; };'), "not a socket"),
                            (asking.shared("s", server.address, "", "line"), "mode cannot"),
                            ("s: {", "is not closed")):
        one.configure(services)
        answer = one.command_raw("reload --dry-run")
        assert answer["ok"] is False and answer["dry_run"] and wrong in str(answer), answer
        assert footprint(one) == before
    done = one.ctl("reload", "--dry-run")
    assert done.returncode == 1 and "is not closed" in done.stderr
    assert "refused" not in one.log()


def test_what_the_kernel_would_refuse_is_told(daemon, upstream):
    server = upstream()
    one = daemon(holdfast.fixed("s", server.address))
    if os.geteuid() == 0:
        place, wrong = "/proc/x.sock", "/proc/x.sock"
    else:
        place, wrong = "/x.sock", "Permission denied"
    one.configure(holdfast.fixed("s", server.address, f'listen: {{ path = "{place}"; }};'))
    answer = one.command_raw("reload --dry-run")
    assert answer["ok"] is False and wrong in str(answer)
    assert one.command_raw("reload")["ok"] is False
    for place, good in ((server.address, False), (f"unix:{one.path('metrics.sock')}", True)):
        one.configure(holdfast.fixed("s", server.address), top=f'metrics: {{ listen = "{place}"; }};')
        assert one.command_raw("reload --dry-run")["ok"] is good
        assert not os.path.exists(one.path("metrics.sock"))


def test_secrets_are_not_shown(daemon, upstream):
    server = upstream()

    def hello(word):
        return holdfast.fixed("s", server.address, f'hello = ( {{ send = "xy{word}\\n"; expect = "xy"; }} );')

    one = daemon(hello("first-secret"))
    one.configure(hello("second-secret"))
    answer = one.command_raw("reload --dry-run")
    assert answer["ok"] and answer["renewed"] == ["s"]
    done = one.ctl("reload", "--dry-run")
    assert "***" in done.stdout and "not shown" in done.stdout
    for text in (str(answer), done.stdout, str(one.command("reload")), one.log()):
        assert "-secret" not in text


def test_holdfastctl_prints_the_plan(daemon, upstream):
    server, other = upstream(), upstream()
    one = daemon(holdfast.fixed("s", server.address) + holdfast.fixed("old", server.address))
    one.configure(holdfast.fixed("s", other.address, "warm = 2;") + holdfast.fixed("new", server.address))
    done = one.ctl("reload", "--dry-run")
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"added new: {one.socket('new')}, mode 0660, owner ")
    assert lines[1].startswith("changed s, renewed: connections kept ready are dropped")
    assert lines[2:4] == [f'  address: "{server.address}" -> "{other.address}"', "  warm: 1 -> 2"]
    assert lines[4].startswith("removed old: attached clients stay until they end, or its drain_timeout")
    assert lines[5] == "nothing was changed: this was a dry run"
    assert one.ctl("reload").stdout.splitlines()[-1] == "the configuration is in force"
