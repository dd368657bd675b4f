"""A service's name may have dots, as those of Kubernetes and of SRV records have: its setting "name" says so."""
import os

import holdfast


def test_a_name_with_dots(daemon, upstream, catalog):
    """It is the name everywhere, and for a new worker, a reload and an upgrade too."""
    catalog.publish("db.prod", "one", upstream().address)
    one = daemon(f'db_prod: {{ name = "db.prod"; lookup: {{ catalog = "{catalog.folder}"; }}; }};\n')
    one.wait_connected("db.prod")
    assert os.path.exists(one.socket("db.prod")) and one.status("db.prod")["socket"] == one.socket("db.prod")
    with one.client("db.prod") as client:
        assert client.ask("x") == b"x\n"
        one.kill_worker()
        assert client.ask("x") == b"x\n"
        assert one.command("reload")["changed"] == []
        one.command("upgrade")
        holdfast.until(lambda: one.status()["upgrades"] == 1 and one.status()["ready"], "the upgrade")
        assert client.ask("x") == b"x\n"
    assert one.ctl("wait", "db.prod", "5").returncode == 0
    assert 'holdfast_up{service="db.prod"} 1' in one.ctl("metrics").stdout
    dump = holdfast.run(os.path.join(holdfast.BUILD, "holdfastd"), "-T", "-c", one.config).stdout
    with open(one.config, "w") as file:
        file.write(dump)
    assert one.command("reload")["changed"] == [], "the dump says the same"


def test_two_groups_of_one_name(daemon, upstream):
    one = daemon(holdfast.fixed("a", upstream().address))
    one.configure(holdfast.fixed("a", upstream().address) + holdfast.fixed("b", upstream().address, 'name = "a";'))
    [error] = one.command_raw("reload")["errors"]
    assert "holdfast.conf:8: services.b.name: there is a service of this name at " in error and ":7" in error
