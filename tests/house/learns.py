"""A simulated federation learns, and says so in the lines that are promised."""
import json

import house


def well_formed(process, rounds):
    """stdout holds nothing but objects, one a line, with every promised key."""
    events = [json.loads(line) for line in process.out]
    house.check(all(isinstance(event, dict) and "event" in event for event in events), "a line is not an event")
    house.check(events[0]["event"] == "start" and house.START_KEYS <= events[0].keys(), f"start: {events[0]}")
    house.check(events[-1]["event"] == "done" and house.DONE_KEYS <= events[-1].keys(), f"done: {events[-1]}")
    said = [event for event in events if event["event"] == "round"]
    house.check([event["round"] for event in said] == list(range(1, rounds + 1)), "not one line a round, in order")
    for event in said:
        house.check(house.ROUND_KEYS <= event.keys(), f"round: {event}")
        house.check(len(bytes.fromhex(event["model"])) == 32, f"model digest: {event['model']}")
    house.check(events[-1]["model"] == said[-1]["model"], "done does not name the last round's model")
    return said


def a_non_iid_federation_learns_to_read_digits():
    with house.Scene() as scene:
        task = scene.task(partition={"kind": "shards", "shards_per_client": 2}, algorithm={"rounds": 30})
        process = scene.result(task, "run", nodes=2).process
        said = well_formed(process, 30)
        best = max(event["accuracy"] for event in said)
        house.check(best >= 0.70, f"best accuracy after 30 rounds: {best}, where 0.70 is expected on a cut of 2,000")
        house.check(said[-1]["loss"] < said[0]["loss"], f"the loss went from {said[0]['loss']} to {said[-1]['loss']}")
        house.check(all(event["clients"] == 5 and event["attempt"] == 1 for event in said), "not five clients each round")
        house.check(all(event["bytes_down"] > 0 and event["bytes_up"] > 0 for event in said), "a round without bytes")


def a_target_ends_the_run_with_the_first_model_that_reached_it():
    with house.Scene() as scene:
        task = scene.task(algorithm={"rounds": 30, "target_accuracy": 0.6})
        result = scene.result(task, "run", nodes=2)
        reached = [event["round"] for event in result.rounds if event["accuracy"] >= 0.6]
        house.check(len(reached) == 1, f"rounds at the target: {reached}")
        house.check(result.done["target_round"] == reached[0] == result.done["rounds"], f"done: {result.done}")
        house.check(result.done["model"] == result.models[reached[0]], "the result is not the model that reached it")


def a_round_that_is_not_evaluated_says_null():
    with house.Scene() as scene:
        task = scene.task(algorithm={"rounds": 5}, round={"evaluate_every": 2})
        result = scene.result(task, "run")
        evaluated = [event["round"] for event in result.rounds if event["accuracy"] is not None]
        house.check(evaluated == [2, 4, 5], f"evaluated: {evaluated}, expected every second and the last")
        house.check(all((event["loss"] is None) == (event["accuracy"] is None) for event in result.rounds), "loss")


def fedsgd_runs_and_a_decay_of_the_learning_rate_matters():
    with house.Scene(train=500, test=100) as scene:
        def models(name, **algorithm):
            return scene.result(scene.task(name, algorithm={"rounds": 3, **algorithm}), name).models
        plain, decayed = models("plain"), models("decayed", learning_rate_decay=0.9)
        house.check(plain[1] == decayed[1], "the decay touched the first round")
        house.check(plain[2] != decayed[2] and plain[3] != decayed[3], "the decay changed nothing")
        sgd = models("sgd", batch_size="full")
        house.check(len(set(sgd.values())) == 3 and sgd[1] != plain[1], "FedSGD trained nothing of its own")


house.main(a_non_iid_federation_learns_to_read_digits, a_target_ends_the_run_with_the_first_model_that_reached_it,
           a_round_that_is_not_evaluated_says_null, fedsgd_runs_and_a_decay_of_the_learning_rate_matters)
