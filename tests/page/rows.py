"""What run.db of a run directory holds, as JSON, read without any code of ours: an independent truth for the page's tests."""
import json
import pathlib
import sqlite3
import sys

path = pathlib.Path(sys.argv[1]) / "run.db"
with sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True) as db:
    rows = db.execute("SELECT r.round, e.accuracy, e.loss, r.seconds, r.bytes_down + r.bytes_up, r.clients, hex(r.model)"
                      " FROM rounds AS r LEFT JOIN evaluations AS e USING (round) ORDER BY r.round").fetchall()
    run_id, = db.execute("SELECT lower(hex(run_id)) FROM meta").fetchone()
    nodes = db.execute("SELECT node, count(DISTINCT round) FROM updates GROUP BY node ORDER BY node").fetchall()
names = ("round", "accuracy", "loss", "seconds", "bytes", "clients", "model")
print(json.dumps({"run_id": run_id, "rounds": [dict(zip(names, row)) for row in rows], "nodes": dict(nodes)}))
