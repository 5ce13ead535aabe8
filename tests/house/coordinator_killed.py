"""kill -9 anywhere, restart, same final model: the coordinator of five rounds of four clients is killed at its writes, its
sends and receipts, and where it seals, opens, adds up and digests, so that each phase of a round is met."""
import house
import killer


def a_kill_at_any_write_changes_nothing():
    with house.Scene(train=200, test=50) as scene:
        names = killer.Killer(scene, "fedavg-coordinator", "the coordinator", nodes=1).run_all(
            "disk", lambda k: (False, True) if house.LONG else (k % 2 == 0,), step=7)
        wanted = {"write", "pwrite", "fsync", "fdatasync", "ftruncate64", "rename", "unlink", "unlinkat"}
        house.check(not house.LONG or wanted <= set(names), f"never killed at {wanted - set(names)}")


def a_kill_at_any_send_changes_nothing():
    with house.Scene(train=200, test=50) as scene:
        killer.Killer(scene, "fedavg-coordinator", "the coordinator", nodes=1).run_all("net", lambda k: (False,))


def a_kill_at_any_receipt_changes_nothing():
    with house.Scene(train=200, test=50) as scene:
        killer.Killer(scene, "fedavg-coordinator", "the coordinator", nodes=1).run_all("recv", lambda k: (False,), step=12)


def a_kill_in_any_phase_changes_nothing():
    """BROADCAST seals the model, COLLECT opens updates, AGGREGATE digests the mean; PICK and COMMIT write, IDLE waits."""
    with house.Scene(train=200, test=50) as scene:
        names = killer.Killer(scene, "fedavg-coordinator", "the coordinator", nodes=1).run_all("crypto", lambda k: (False,),
                                                                                               step=5)
        phases = {f"crypto_aead_xchacha20poly1305_ietf_{what}" for what in ("encrypt", "decrypt")}
        phases.add("crypto_generichash_blake2b_init")
        house.check(not house.LONG or phases <= set(names), f"never killed at {phases - set(names)}")


if not killer.available():
    house.skip("nothing can be preloaded in this build")
house.main(a_kill_at_any_write_changes_nothing, a_kill_at_any_send_changes_nothing, a_kill_at_any_receipt_changes_nothing,
           a_kill_in_any_phase_changes_nothing)
