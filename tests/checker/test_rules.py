#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each rule of the checker stays silent about a true journal and speaks about each kind of lie."""

import asyncio
import os
import re
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import nodes  # noqa: E402
import player  # noqa: E402
import rules  # noqa: E402
from journal import Journal, read  # noqa: E402


class Story:
    """A hand-made journal: two players, a minute, nothing wrong unless a test adds it."""

    def __init__(self):
        self.lines, self.t, self.id = [], 0.0, 0
        self.gold = {"ann": 100, "ben": 100}
        self.keys = []
        self.rows = {"ann": ["ann", "lobby", 0, 1 << 32, "game-1", 1 << 32],
                     "ben": ["ben", "lobby", 0, 1 << 32, "game-2", 1 << 32]}
        self.session = {"ann": 1, "ben": 2}
        for name in self.rows:
            self.call(name, "login", [name], {"player": name, "resume": name + "-1"}, s=0, new_s=self.session[name])

    def line(self, kind, /, **fields):
        self.t += 0.01
        self.lines.append({"k": kind, "t": self.t, **fields})
        return self.lines[-1]

    def call(self, who, method, params, result=None, outcome="ok", took=0.01, **more):
        self.id += 1
        session = more.get("s", self.session[who])
        self.line("intent", id=self.id, p=who, c=more.get("c", session), s=session, g="gateway-1", m=method, a=params)
        self.t += took
        return self.line("end", id=self.id, o=outcome, r=result, n=more.get("n", 0), s=more.get("new_s", session))

    def give(self, count=5, key=None, outcome="ok", is_done=True, has_row=True, result=None):
        if is_done:
            self.gold["ann"] -= count
            self.gold["ben"] += count
            if key and has_row:
                self.keys.append(["ann", key, "ben", "gold", count, self.gold["ann"]])
        result = result or {"balance": self.gold["ann"]}
        if outcome == "error":
            result = [6, "NOT_ENOUGH", "no"]
        self.call("ann", "give", ["ben", "gold", count] + ([key] if key else []), result, outcome)

    def move(self, number, outcome="ok"):
        self.call("ann", "move", [number, 0], {"x": number, "y": 0}, outcome)

    def sample(self, kind="sample", **more):
        self.line(kind, players=[list(row) for row in self.rows.values()], gold=sum(self.gold.values()), **more)

    def broken(self):
        self.t += 60
        self.sample("final", items=[[name, "gold", gold] for name, gold in self.gold.items()], keys=self.keys,
                    integrity="ok")
        return sorted({name for name, _ in rules.check(self.lines)})


class EachRule(unittest.TestCase):
    def setUp(self):
        self.story = Story()

    def expect(self, *names):
        self.assertEqual(self.story.broken(), sorted(names))

    def test_a_true_story_is_believed(self):
        story = self.story
        story.give(key="k1")
        story.give(key="k1", is_done=False)
        story.give(key="k2", outcome="unknown")
        story.give(key="k3", outcome="unknown", is_done=False)
        story.give(outcome="unknown")
        story.give(outcome="unknown", is_done=False)
        story.call("ann", "give", ["ben", "gold", 500], [6, "NOT_ENOUGH", "no"], "error")
        story.move(1)
        story.rows["ann"][2] = 1
        story.call("ann", "join", ["hall"], {"room": "hall", "players": ["ann"]})
        story.rows["ann"][1] = "hall"
        story.sample(t0=story.t)
        story.line("note", p="ben", c=2, s=2, m="moved", a=["ann", 1, 0])
        story.line("note", p="ben", c=2, s=2, m="chat", a=["ann", "2"])
        story.line("connections", links=[["game-1", "db-1", 1]])
        story.line("settled", ok=True, players=[], why="")
        story.line("stopped", node="db-1", code=0)
        self.expect()

    def test_a_lost_gift_is_found(self):
        self.story.give(key="k1", is_done=False)
        self.expect("accounts", "acknowledged_writes")

    def test_a_gift_with_another_row_is_found(self):
        self.story.give(key="k1")
        self.story.keys[0][4] = 4
        self.expect("acknowledged_writes")

    def test_a_lost_player_is_found(self):
        self.story.lines[1]["p"] = self.story.lines[0]["p"] = "cat"
        self.expect("acknowledged_writes")

    def test_a_gift_that_was_applied_twice_is_found(self):
        self.story.give(key="k1")
        self.story.give(key="k1", has_row=False)
        self.expect("accounts", "once")

    def test_a_repeat_that_was_applied_twice_but_answered_alike_is_found(self):
        self.story.give(key="k1")
        self.story.give(key="k1", has_row=False, result={"balance": 95})
        self.expect("accounts")

    def test_an_answer_that_differs_from_its_row_is_found(self):
        self.story.give(key="k1", result={"balance": 7})
        self.expect("once")

    def test_an_unknown_gift_that_was_applied_twice_is_found(self):
        self.story.give(key="k1", outcome="unknown")
        self.story.give(key="k1", outcome="unknown", has_row=False)
        self.expect("accounts")

    def test_a_refused_gift_that_took_effect_is_found(self):
        self.story.give(key="k1", outcome="error")
        self.expect("once")

    def test_a_refused_gift_without_a_key_that_took_effect_is_found(self):
        self.story.give(outcome="error")
        self.expect("accounts")

    def test_a_gift_that_nobody_meant_is_found(self):
        self.story.keys.append(["ann", "k9", "ben", "gold", 1, 99])
        self.expect("once")

    def test_money_out_of_nothing_is_found(self):
        self.story.gold["ben"] += 1
        self.expect("accounts", "money")

    def test_money_that_was_gone_for_a_moment_is_found(self):
        self.story.gold["ben"] -= 1
        self.story.sample()
        self.story.gold["ben"] += 1
        self.expect("money")

    def test_notifications_in_another_order_are_found(self):
        for number in ("1", "2"):
            self.story.call("ann", "chat", [number], 1)
        for number in ("2", "1"):
            self.story.line("note", p="ben", c=2, s=2, m="chat", a=["ann", number])
        self.expect("order")

    def test_another_order_is_found_over_two_connections_of_a_session(self):
        for number in ("1", "2"):
            self.story.call("ann", "chat", [number], 1)
        for c, number in ((2, "2"), (7, "1")):
            self.story.line("note", p="ben", c=c, s=2, m="chat", a=["ann", number])
        self.expect("order")

    def test_two_sessions_have_no_order(self):
        for number in ("1", "2"):
            self.story.call("ann", "chat", [number], 1)
        for session, number in ((5, "2"), (2, "1")):
            self.story.line("note", p="ben", c=session, s=session, m="chat", a=["ann", number])
        self.expect()

    def test_a_notification_that_comes_twice_is_found(self):
        for _ in range(2):
            self.story.line("note", p="ben", c=2, s=2, m="chat", a=["ann", "1"])
        self.expect("order")

    def test_notifications_of_two_stays_have_no_order(self):
        self.story.call("ann", "chat", ["1"], 1)
        self.story.call("ann", "join", ["lobby"], {})
        self.story.call("ann", "chat", ["2"], 1)
        for number in ("2", "1"):
            self.story.line("note", p="ben", c=2, s=2, m="chat", a=["ann", number])
        self.expect()

    def test_an_older_session_that_acts_is_found(self):
        self.story.call("ann", "login", ["ann"], {"player": "ann", "resume": "t"}, s=0, new_s=3)
        self.story.call("ann", "whoami", [], {})
        self.expect("one_session")

    def test_an_older_session_that_is_refused_is_right(self):
        self.story.call("ann", "login", ["ann"], {"player": "ann", "resume": "t"}, s=0, new_s=3)
        self.story.call("ann", "whoami", [], [12, "TAKEN_OVER", ""], "error")
        self.expect()

    def test_a_token_that_works_twice_is_found(self):
        for c in (7, 8):
            self.story.call("ann", "resume", ["ann-1", 0], {"player": "ann", "resume": "x%d" % c, "missed": 0}, c=c)
            self.story.call("ann", "whoami", [], {}, c=c)
        self.expect("tokens")

    def test_a_token_whose_answer_was_lost_may_be_used_again(self):
        for c in (7, 8):
            self.story.call("ann", "resume", ["ann-1", 0], {"player": "ann", "resume": "x%d" % c, "missed": 0}, c=c)
        self.expect()

    def test_missed_notifications_that_do_not_come_are_found(self):
        self.story.call("ann", "resume", ["ann-1", 4], {"player": "ann", "resume": "x", "missed": 2}, c=7)
        self.story.call("ann", "whoami", [], {}, c=7, n=5)
        self.expect("tokens")

    def test_an_epoch_that_falls_is_found(self):
        self.story.sample()
        self.story.rows["ann"][3:] = [5, "game-1", 5]
        self.expect("owners")

    def test_a_new_owner_under_the_same_epoch_is_found(self):
        self.story.sample()
        self.story.rows["ann"][4] = "game-2"
        self.expect("owners")

    def test_an_owner_ahead_of_the_session_is_found(self):
        self.story.rows["ann"][5] += 1
        self.expect("owners")

    def test_a_move_that_is_not_saved_is_found(self):
        self.story.move(1)
        self.expect("saved_moves")

    def test_a_move_before_a_fault_may_be_lost(self):
        self.story.move(1)
        self.story.line("fault", kind="kill", on=["game-1"], until=self.story.t + 1)
        self.expect()

    def test_a_place_that_goes_back_is_found(self):
        self.story.rows["ann"][2] = 2
        self.story.sample()
        self.story.rows["ann"][2] = 1
        self.expect("saved_moves")

    def test_a_lost_join_is_found(self):
        self.story.call("ann", "join", ["hall"], {"room": "hall", "players": []})
        self.expect("rooms")

    def test_a_refused_join_that_took_effect_is_found(self):
        self.story.call("ann", "join", ["lobby"], {"room": "lobby", "players": []})
        self.story.call("ann", "join", ["hall"], [14, "REFUSED", "no"], "error")
        self.story.rows["ann"][1] = "hall"
        self.expect("rooms")

    def test_a_join_without_an_answer_may_be_lost(self):
        self.story.call("ann", "join", ["hall"], "the connection ended", "unknown")
        self.expect()

    def test_a_second_answer_is_found(self):
        self.story.line("stray", p="ann", c=1, s=1, id=1)
        self.expect("ended_once")

    def test_a_call_that_never_ends_is_found(self):
        self.story.line("intent", id=99, p="ann", c=1, s=1, g="gateway-1", m="whoami", a=[])
        self.expect("ended_once")

    def test_a_call_that_outlives_its_deadline_is_found(self):
        self.story.call("ann", "whoami", [], {}, took=8)
        self.expect("ended_once")

    def test_a_call_through_a_gateway_that_stood_still_may_take_long(self):
        self.story.line("fault", kind="pause", on=["gateway-1"], until=self.story.t + 7)
        self.story.call("ann", "whoami", [], {}, took=8)
        self.expect()

    def test_a_call_that_fails_long_after_the_last_fault_is_found(self):
        self.story.line("fault", kind="kill", on=["game-1"], until=self.story.t + 1)
        self.story.call("ann", "whoami", [], [8, "UNAVAILABLE", "no"], "error")
        self.story.t += 10
        self.story.call("ann", "whoami", [], [8, "UNAVAILABLE", "no"], "error")
        self.expect("back")

    def test_a_second_link_is_found(self):
        self.story.line("connections", links=[["game-1", "db-1", 2]])
        self.expect("links")

    def test_a_link_that_stays_away_is_found(self):
        self.story.line("connections", links=[["game-1", "db-1", 0]])
        self.expect("links")

    def test_a_second_link_while_a_fault_lasts_is_none_of_ours(self):
        self.story.line("fault", kind="cut", on=["game-1", "db-1"], until=self.story.t + 1)
        self.story.line("connections", links=[["game-1", "db-1", 2]])
        self.expect()

    def test_a_node_that_ends_by_itself_is_found(self):
        self.story.line("died", node="game-1", code=-6)
        self.expect("nodes")

    def test_a_stop_that_fails_is_found(self):
        self.story.line("stopped", node="game-1", code=1)
        self.expect("nodes")

    def test_a_cluster_that_does_not_come_back_is_found(self):
        self.story.line("settled", ok=False, players=["ann"], why="no")
        self.expect("nodes")

    def test_a_damaged_file_is_found(self):
        self.story.broken()
        self.story.lines[-1]["integrity"] = "page 3 is torn"
        self.assertEqual([name for name, _ in rules.check(self.story.lines)], ["nodes"])

    def test_every_rule_has_been_broken_above(self):
        with open(__file__) as file:
            expected = set(re.findall(r'"([a-z_]+)"', " ".join(re.findall(r"self\.expect\(.*", file.read()))))
        self.assertEqual(expected & {rule.__name__ for rule in rules.RULES}, {rule.__name__ for rule in rules.RULES})


class TheTools(unittest.TestCase):
    def test_the_same_seed_makes_the_same_faults_within_the_time(self):
        self.assertEqual(nodes.plan(7, 90), nodes.plan(7, 90))
        self.assertNotEqual(nodes.plan(7, 90), nodes.plan(8, 90))
        for seed in range(50):
            self.assertTrue(all(fault["at"] + fault["for"] < 90 for fault in nodes.plan(seed, 90)))

    def test_a_written_line_is_in_the_file_and_half_a_line_is_none(self):
        async def write(path):
            journal = Journal(path)
            await journal.write("intent", id=1)
            found = read(path)
            journal.note("end", id=1)
            journal.close()
            return found

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "journal.jsonl")
            self.assertEqual([line["k"] for line in asyncio.run(write(path))], ["intent"])
            with open(path, "a") as file:
                file.write('{"k":"e')
            self.assertEqual([line["k"] for line in read(path)], ["intent", "end"])

    def test_unknown_outcomes_are_those_of_the_page_of_errors(self):
        with open(os.path.join(nodes.cluster.ROOT, "docs", "errors.md")) as file:
            found = re.findall(r"^### (\w+)\n\n\d+, UNKNOWN:", file.read(), re.M)
        self.assertEqual(sorted(found), sorted(player.UNKNOWN_NAMES))


if __name__ == "__main__":
    unittest.main()
