"""kill -9 anywhere, restart, same final model: the coordinator is killed at its writes, and at its sends."""
import house
import killer


def a_kill_at_any_write_changes_nothing():
    with house.Scene(train=200, test=50) as scene:
        killer.Killer(scene, "fedavg-coordinator", "the coordinator", nodes=1).run_all(
            "disk", lambda k: (False, True) if house.LONG else (k % 2 == 0,))


def a_kill_at_any_send_changes_nothing():
    with house.Scene(train=200, test=50) as scene:
        killer.Killer(scene, "fedavg-coordinator", "the coordinator", nodes=1).run_all("net", lambda k: (False,))


if not killer.available():
    house.skip("nothing can be preloaded in this build")
house.main(a_kill_at_any_write_changes_nothing, a_kill_at_any_send_changes_nothing)
