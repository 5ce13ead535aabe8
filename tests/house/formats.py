"""Tables, texts and arrays are learnt from end to end, by the same models wherever they are trained."""
import json
import random
import struct

import house
from house import check


def write(scene, name, content):
    (scene.dir / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(scene.dir / name)


def run(scene, name, model, data, **algorithm):
    """The same task on one node and on three, which must make the same models."""
    path = scene.dir / f"{name}.yaml"
    path.write_text(json.dumps({
        "schema": 1, "name": name, "seed": 3, "model": model, "data": data,
        "algorithm": {"rounds": 6, "fraction": 1, "epochs": 2, "batch_size": 10, "learning_rate": 0.5, **algorithm}}))
    alone, shared = (scene.result(path, f"{name}-{nodes}", nodes=nodes) for nodes in (1, 3))
    check(alone.models == shared.models, f"{name}: one node and three made different models")
    return alone


def patients(n, seed):
    """Sick are those whose two measures add up to more than 1; each belongs to one of four wards."""
    draw, rows = random.Random(seed), ["a,ward,b,state"]
    for _ in range(n):
        a, b = draw.random(), draw.random()
        state = "sick" if a + b > 1 else "well"
        rows.append(f'{a:.4f},"ward {draw.randrange(4)}, north",{b:.4f},{state}')
    return "\r\n".join(rows) + "\r\n"


def a_table_of_words_is_learnt_ward_by_ward():
    with house.Scene(train=1, test=1) as scene:
        files = {part: write(scene, f"{part}.csv", patients(n, n)) for part, n in (("train", 400), ("test", 200))}
        data = {"format": "csv", **files, "label": "state", "group": "ward", "partition": {"kind": "natural"}}
        model = {"input": 2, "classes": ["well", "sick"], "layers": [{"units": 2}]}
        result = run(scene, "table", model, data)
        check(result.rounds[0]["clients"] == 4, f"four wards are four clients: {result.rounds[0]}")
        check(result.done["accuracy"] > 0.9, f"accuracy {result.done['accuracy']}, where 0.9 is expected")
        swapped = run(scene, "swapped", {**model, "classes": ["sick", "well"]}, data)
        check(swapped.done["accuracy"] > 0.9 and swapped.models != result.models, "the order of the classes means nothing")


def a_table_of_numbers_to_be_met_is_learnt():
    with house.Scene(train=1, test=1) as scene:
        draw, files = random.Random(1), {}
        for part, n in (("train", 400), ("test", 200)):
            pairs = [(draw.random(), draw.random()) for _ in range(n)]
            files[part] = write(scene, f"{part}.csv", "".join(f"{a},{b},{2 * a - b - 0.5:.3e}\n" for a, b in pairs))
        data = {"format": "csv", **files, "label": 3, "header": "no", "partition": {"kind": "iid", "clients": 3}}
        model = {"input": 2, "loss": "mean_squared_error", "layers": [{"units": 8, "activation": "tanh"}, {"units": 1}]}
        losses = [event["loss"] for event in run(scene, "numbers", model, data, learning_rate=0.1).rounds]
        check(losses[-1] < 0.02, f"the loss went from {losses[0]} to {losses[-1]}, where 0.02 is expected")


def texts_of_roles_are_learnt_role_by_role():
    with house.Scene(train=1, test=1) as scene:
        text = "".join(f"\f{name}\n" + line * 40 for name, line in (("ADA", "abcab abcab\n"), ("BOB", "bcbca bcbca\n")))
        data = {"format": "roles", "train": write(scene, "roles.txt", text + "\fnobody\nab\n"), "unroll": 8,
                "partition": {"kind": "natural"}}
        model = {"input": {"steps": 8}, "vocabulary": "\n abc",
                 "layers": [{"kind": "embedding", "units": 4}, {"kind": "lstm", "units": 8}, {"units": 5}]}
        result = run(scene, "roles", model, data, rounds=8, epochs=3, learning_rate=1)
        check(result.rounds[0]["clients"] == 2, f"two roles are two clients: {result.rounds[0]}")
        split = scene.command("partition", scene.dir / "roles.yaml")
        check("roles: 94 examples over 2 clients, natural, seed 3" in split and "labels a client" not in split, f"partition says {split}")
        check(result.done["accuracy"] > 0.6, f"accuracy {result.done['accuracy']} a character, where chance is 0.3")


def arrays_of_floats_are_learnt():
    def npy(descr, shape, data):
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data

    def pair(scene, name, n):
        draw = random.Random(n)
        rows = [(draw.random(), draw.random()) for _ in range(n)]
        x = npy("<f4", f"({n}, 2)", b"".join(struct.pack("<2f", *row) for row in rows))
        y = npy("<i8", f"({n},)", b"".join(struct.pack("<q", sum(row) > 1) for row in rows))
        return {"features": write(scene, f"{name}-x.npy", x), "labels": write(scene, f"{name}-y.npy", y)}

    with house.Scene(train=1, test=1) as scene:
        data = {"format": "npy", "train": pair(scene, "train", 400), "test": pair(scene, "test", 200),
                "partition": {"kind": "shards", "clients": 4, "shards_per_client": 2}}
        model = {"input": 2, "loss": "binary_cross_entropy", "layers": [{"units": 1}]}
        result = run(scene, "arrays", model, data, rounds=20)
        check(result.done["accuracy"] > 0.9, f"accuracy {result.done['accuracy']}, where 0.9 is expected")


house.main(a_table_of_words_is_learnt_ward_by_ward, a_table_of_numbers_to_be_met_is_learnt,
           texts_of_roles_are_learnt_role_by_role, arrays_of_floats_are_learnt)
