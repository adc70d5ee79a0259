# SPDX-License-Identifier: MIT
"""What must hold of a journal, whatever was done to the nodes meanwhile. Each rule reads the lines of one run and gives
what breaks it as stories: which players, which lines, which rows.

Lines (`k`): intent and end of a call (joined by `id`), note (a notification), stray (an answer too many), gone (a
connection's end), fault (with `until`), died (a node that ended by itself), sample (the database during the run), status
(what a node says of itself), connections (of each link, seen from its fault proxy), final (the database afterwards), settled,
stopped (a node's exit code at the graceful stop)."""

import json

GOLD = 100  # of a new player
SAVED_SECONDS = 1.0  # a move is on disk so soon
SLACK = 1.5  # of a busy machine, on top of each promised time
BACK_SECONDS = 5.0  # after a node's return calls work again
ANSWER_SECONDS = 5.0  # the longest call
NOT_WORKING = ("UNAVAILABLE", "DEADLINE", "INTERNAL", "OUTCOME_UNKNOWN", "NOT_SENT", "STORAGE", "OVERLOADED")
OF_A_PLAYER = ("move", "chat", "give", "join", "whoami", "inventory")


class Call:
    def __init__(self, intent, end):
        self.intent, self.end = intent, end
        self.player, self.method, self.params = intent["p"], intent["m"], intent["a"]
        self.sent = intent["t"]
        self.told = end["t"] if end else float("inf")
        self.outcome = end["o"] if end else "unknown"
        self.result = end["r"] if end else None

    def lines(self):
        return [self.intent] + ([self.end] if self.end else [])


class Run:
    def __init__(self, lines):
        self.lines = lines
        ends = {line["id"]: line for line in self.of("end")}
        self.calls = [Call(line, ends.get(line["id"])) for line in self.of("intent")]
        self.faults = self.of("fault")
        final = self.of("final")
        self.final = final[-1] if final else None

    def of(self, *kinds):
        return [line for line in self.lines if line["k"] in kinds]

    def is_quiet(self, since, until, node=None, grace=BACK_SECONDS):
        """Whether no fault (of that node) touches this time, nor the moment that its effects last."""
        return not any(fault["t"] < until and since < fault["until"] + grace
                       for fault in self.faults if node is None or fault["on"] == [node])

    def ok(self, *methods):
        return [call for call in self.calls if call.outcome == "ok" and call.method in methods]


def story(text, *evidence, players=()):
    return {"text": text, "players": sorted(set(players)), "evidence": [line for line in evidence if line]}


def gifts_by_key(run):
    found = {}
    for call in run.calls:
        if call.method == "give" and len(call.params) == 4:
            found.setdefault((call.player, call.params[3]), []).append(call)
    return found


def lines_of(calls):
    return [line for call in calls for line in call.lines()]


def acknowledged_writes(run):
    """No acknowledged write is lost: a gift's row, a player's row."""
    if run.final is None:
        return
    rows = {(row[0], row[1]): row for row in run.final["keys"]}
    for (player, key), calls in gifts_by_key(run).items():
        told = [call for call in calls if call.outcome == "ok"]
        if not told:
            continue
        to, item, count, _ = told[0].params
        row = rows.get((player, key))
        if row is None:
            yield story("%s was told that the gift %s to %s is done; the database has no row of it" % (player, key, to),
                        *lines_of(told), players=(player, to))
        elif list(row[2:5]) != [to, item, count]:
            yield story("the row of the gift %s of %s is another one" % (key, player), *lines_of(told), row,
                        players=(player, to))
    names = {row[0] for row in run.final["players"]}
    for call in run.ok("login"):
        if call.player not in names:
            yield story("%s was told that it is logged in; the database does not know it" % call.player,
                        *call.lines(), players=(call.player,))


def once(run):
    """A gift under a key takes effect once: every answer to it is the same, and one that was refused has no row."""
    rows = {(row[0], row[1]): row for row in (run.final or {"keys": []})["keys"]}
    for (player, key), calls in gifts_by_key(run).items():
        answers = {call.result["balance"] for call in calls if call.outcome == "ok"}
        row = rows.get((player, key))
        if len(answers) > 1:
            yield story("the gift %s of %s was answered in %d ways" % (key, player, len(answers)), *lines_of(calls), row,
                        players=(player,))
        elif row and answers and answers != {row[5]}:
            yield story("the gift %s of %s was answered otherwise than its row says" % (key, player),
                        *lines_of(calls), row, players=(player,))
        if row and all(call.outcome == "error" for call in calls):
            yield story("the gift %s of %s was refused each time and took effect" % (key, player), *lines_of(calls), row,
                        players=(player,))
    known = {(player, key) for player, key in gifts_by_key(run)}
    for row in rows.values():
        if (row[0], row[1]) not in known:
            yield story("the database has a gift that nobody meant", row, players=(row[0],))


def accounts(run):
    """Each player has what the gifts leave: one with a row counts once, one without an answer and key once or never."""
    if run.final is None:
        return
    rows = {(row[0], row[1]) for row in run.final["keys"]}
    low = {row[0]: GOLD for row in run.final["players"]}
    high = dict(low)
    lines = {player: [] for player in low}

    def apply(player, to, count, is_sure):
        for name, sign in ((player, -count), (to, count)):
            low[name] += sign if is_sure or sign < 0 else 0
            high[name] += sign if is_sure or sign > 0 else 0

    for (player, key), calls in gifts_by_key(run).items():
        if (player, key) in rows or any(call.outcome == "ok" for call in calls):
            apply(player, calls[0].params[0], calls[0].params[2], True)
        for name in {player, calls[0].params[0]} & lines.keys():
            lines[name] += lines_of(calls)
    for call in run.calls:
        if call.method == "give" and len(call.params) == 3 and call.outcome != "error":
            apply(call.player, call.params[0], call.params[2], call.outcome == "ok")
            for name in (call.player, call.params[0]):
                lines[name] += call.lines()
    has = {row[0]: row[2] for row in run.final["items"]}
    for player in low:
        if not low[player] <= has.get(player, 0) <= high[player]:
            yield story("%s has %d gold; its gifts leave %s" % (
                player, has.get(player, 0), low[player] if low[player] == high[player] else
                "%d to %d" % (low[player], high[player])), *lines[player], players=(player,))


def money(run):
    """No gold comes or goes, at any look into the database."""
    for line in run.of("sample", "final"):
        if line["gold"] != GOLD * len(line["players"]):
            yield story("%d players have %d gold together" % (len(line["players"]), line["gold"]),
                        {"k": line["k"], "t": line["t"], "gold": line["gold"]})
            return


def order(run):
    """What one player says reaches each other one in its order, and nothing twice; so do its moves, which wait for the
    next tick. The order is that of a session, over all its connections: what was on its way to a gateway that is stopped
    still arrives at the connection of a session that has been taken over elsewhere."""
    last, seen = {}, set()
    rooms = room_history(run)
    for note in run.of("note"):
        if note["m"] not in ("chat", "moved"):
            continue
        sender, number = note["a"][0], int(note["a"][1])
        if (note["p"], sender, number) in seen:
            yield story("%s got number %d of %s twice" % (note["p"], number, sender), note, players=(note["p"], sender))
        seen.add((note["p"], sender, number))
        where = (note["p"], note["s"], sender, note["m"], rooms.get((sender, number)))
        if where in last and int(last[where]["a"][1]) > number:
            yield story("%s got number %d of %s after number %s" % (note["p"], number, sender, last[where]["a"][1]),
                        last[where], note, players=(note["p"], sender))
        last[where] = note


def room_history(run):
    """In which stay of a player in a room each of its numbers was said. Notifications of two stays come from two game
    nodes, and no order is promised between those."""
    found, stay = {}, {}
    for call in run.calls:
        if call.method in ("join", "login", "resume"):
            stay[call.player] = call.intent["id"]
        elif call.method in ("chat", "move"):
            found[call.player, int(call.params[0])] = stay.get(call.player)
    return found


def one_session(run):
    """After a login was answered nothing of an older session of the player is."""
    newest = {}
    for call in sorted(run.calls, key=lambda call: call.told):
        if call.outcome != "ok":
            continue
        if call.method == "login":
            newest[call.player] = call
            continue
        login = newest.get(call.player)
        if login and call.method in OF_A_PLAYER and call.sent > login.told and \
                call.intent["s"] < login.end["s"]:
            yield story("%s acts in a session that a later login has ended" % call.player, *login.lines(),
                        *call.lines(), players=(call.player,))


def tokens(run):
    """A token whose client has been heard on the connection that it resumed resumes no more, and what was missed
    follows."""
    used, heard, resumed = {}, set(), {}
    for call in run.calls:
        if call.method == "resume" and call.outcome == "ok":
            token = call.params[0]
            if token in used and used[token].intent["c"] in heard:
                yield story("%s resumed twice with one token" % call.player, *used[token].lines(), *call.lines(),
                            players=(call.player,))
            used[token] = call
            resumed[call.intent["c"]] = call
        elif call.outcome == "ok":
            heard.add(call.intent["c"])
        if call.method != "resume" and call.outcome == "ok" and call.intent["c"] in resumed:
            before = resumed.pop(call.intent["c"])
            due = before.params[1] + before.result["missed"]
            if call.end["n"] < due:
                yield story("%s was to get %d notifications by then, and got %d" % (call.player, due, call.end["n"]),
                            *before.lines(), *call.lines(), players=(call.player,))


def owners(run):
    """A player's epoch never falls, another owner has a later one, and nobody owns ahead of the session."""
    last = {}
    for line in run.of("sample", "final"):
        for row in line["players"]:
            player, _, _, epoch, node, owner_epoch = row
            before = last.get(player)
            if owner_epoch > epoch:
                yield story("%s is owned under a later epoch than its own" % player, row, players=(player,))
            if before and before[3] > epoch:
                yield story("the epoch of %s fell" % player, before, row, players=(player,))
            elif before and node and before[4] and before[4] != node and before[5] >= owner_epoch:
                yield story("%s went to another owner and its epoch did not rise" % player, before, row,
                            players=(player,))
            last[player] = row


def saved_moves(run):
    """A place never goes back, and an acknowledged move is on disk in time unless a node was disturbed."""
    moves, last = {}, {}
    for call in run.ok("move"):
        due = call.told + SAVED_SECONDS + SLACK
        if run.is_quiet(call.told, due):
            moves.setdefault(call.player, []).append((due, call))
    for line in run.of("sample", "final"):
        for row in line["players"]:
            player, x = row[0], row[2]
            if player in last and last[player][2] > x:
                yield story("the saved place of %s went back" % player, last[player], row, players=(player,))
            last[player] = row
            owed = [call for due, call in moves.get(player, ()) if due < line["t"] and call.params[0] > x]
            if owed:
                yield story("%s was told of a move that is not saved" % player, *owed[0].lines(), row, players=(player,))
                moves[player] = []


def rooms(run):
    """The room of an answered join is the one in the database until the next is asked for."""
    if run.final is None:
        return
    joins = {}
    for call in run.calls:
        if call.method == "join":
            joins.setdefault(call.player, []).append(call)
    for line in run.of("sample", "final"):
        for row in line["players"]:
            past = [call for call in joins.get(row[0], ()) if call.sent <= line["t"] and
                    (call.outcome != "error" or call.told > line.get("t0", line["t"]))]
            if past and past[-1].outcome == "ok" and past[-1].told < line.get("t0", line["t"]) and \
                    row[1] != past[-1].params[0]:
                yield story("%s was told that it is in %s; the database says %s" % (row[0], past[-1].params[0], row[1]),
                            *past[-1].lines(), row, players=(row[0],))
                return


def ended_once(run):
    """Every call ends, once, within its deadline, unless its gateway was disturbed."""
    for line in run.of("stray"):
        yield story("%s was answered once too often" % line["p"], line, players=(line["p"],))
    for call in run.calls:
        took = call.told - call.sent
        if call.end is None:
            yield story("a call of %s has no end" % call.player, *call.lines(), players=(call.player,))
        elif (call.result == "no answer" or took > ANSWER_SECONDS + SLACK) and \
                run.is_quiet(call.sent, call.told, call.intent["g"], SLACK):
            yield story("a call of %s was open for %.1f s" % (call.player, took), *call.lines(), players=(call.player,))


def back(run):
    """Some seconds after the last fault every call works again, in the session that there is."""
    for call in run.calls:
        if call.outcome != "ok" and isinstance(call.result, list) and call.result[1] in NOT_WORKING and \
                run.is_quiet(call.sent, call.told, grace=BACK_SECONDS + SLACK):
            yield story("%s got %s although nothing is wrong" % (call.player, call.result[1]), *call.lines(),
                        players=(call.player,))


def links(run):
    """At most one link a pair of nodes, and one that the nodes know of, once what a fault left behind is gone."""
    for line in run.of("connections"):
        if not run.is_quiet(line["t"], line["t"], grace=BACK_SECONDS + SLACK):
            continue
        for dialer, listener, count in line["links"]:
            if count != 1:
                yield story("%s has %d links to %s" % (dialer, count, listener), line)


def nodes(run):
    """Nodes end when they are told to, and only then; and when it is quiet nothing stays open in them."""
    for line in run.of("died"):
        yield story("%s ended by itself with %s" % (line["node"], line["code"]), line)
    for line in run.of("stopped"):
        if line["code"] != 0:
            yield story("%s ended with %s when it was told to stop" % (line["node"], line["code"]), line)
    for line in run.of("settled"):
        if not line["ok"]:
            yield story("not everything works again: " + line["why"], line, players=line["players"])
    if run.final is not None and run.final.get("integrity", "ok") != "ok":
        yield story("the database file is damaged: " + run.final["integrity"])


RULES = (acknowledged_writes, once, accounts, money, order, one_session, tokens, owners, saved_moves, rooms, ended_once,
         back, links, nodes)


def check(lines):
    """What is broken: [(rule, story)]."""
    run = Run(lines)
    return [(rule.__name__, found) for rule in RULES for found in rule(run)]


def show(broken, out, most=3, evidence=12):
    """Prints the first stories of each rule."""
    names = [name for name, _ in broken]
    for name in dict.fromkeys(names):
        stories = [found for its, found in broken if its == name]
        print("BROKEN %s (%d)" % (name, len(stories)), file=out)
        for found in stories[:most]:
            print("  " + found["text"], file=out)
            for line in found["evidence"][-evidence:]:
                print("    " + json.dumps(line), file=out)
