#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the table of mutants, tests/mutants/*.json: each row changes one place of the code, and a suite that it names has to fail.

usage: tools/mutants.sh [--id ID]... [--room ROOM]... [--jobs N] [--list | --check [--build FOLDER]]

  --id ID          this row only (repeatable)
  --room ROOM      the rows of tests/mutants/ROOM.json only (repeatable)
  --jobs N         compilers and tests at a time (default 2)
  --list           the rows, one a line; nothing is built
  --check          whether every row still applies; nothing is built
  --build FOLDER   where --check asks ctest which suites there are (default: build/release)

The checkout is not touched: the code is copied to build/mutants/tree and built in build/mutants/build.
The last line is "N killed, N alive, N argued"; the exit status is 1 where one lives that no row argues for,
where a row does not apply or does not build, and where a suite fails without any change.
"""
import argparse
import collections
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FIELDS = ("id", "file", "function", "text", "replacement", "suite", "why")
BUILD_SECONDS = 900
BASELINE_SECONDS = 600  # for the tests of a suite without any change
HANGS = (10.0, 10)   # a mutant whose suite takes so many seconds and so many times as long as without it hangs: killed


class RowError(Exception):
    """A row that cannot be used as it stands."""


# ---- rows ----

def load(root):
    """All rows, in the order of the rooms; each has its `room` besides."""
    rows = []
    for path in sorted(glob.glob(os.path.join(root, "tests", "mutants", "*.json"))):
        room = os.path.basename(path)[:-5]
        with open(path, encoding="utf-8") as file:
            try:
                found = json.load(file)
            except ValueError as error:
                raise RowError(f"{path}: {error}") from None
        rows += [dict(row, room=room) for row in found]
    return rows


def check_form(rows):
    """What is wrong with the rows themselves: [(id, text)]."""
    faults = []
    seen = collections.Counter(row.get("id") for row in rows)
    for row in rows:
        name = f"{row['room']}: {row.get('id')}"
        missing = [field for field in FIELDS if not isinstance(row.get(field), str)]
        unknown = set(row) - set(FIELDS) - {"alive", "room"}
        if missing or unknown:
            faults.append((name, "fields that are missing: %s; unknown: %s" % (missing, sorted(unknown))))
            continue
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["id"]):
            faults.append((name, "the id is not small letters, digits and single hyphens"))
        if seen[row["id"]] > 1:
            faults.append((name, "another row has this id"))
        if row["text"] == row["replacement"]:
            faults.append((name, "the replacement changes nothing"))
        if not row["why"].strip() or not row.get("alive", "argued").strip():
            faults.append((name, "a reason is empty"))
    return faults


def c_function(text, name):
    """Where a function of our C begins and ends: its name in a line that begins in column 0, its braces in column 0."""
    for match in re.finditer(r"^[A-Za-z_][^\n;={}]*\b%s\(" % re.escape(name), text, re.M):
        opens = text.find("\n{\n", match.start())
        ends = text.find("\n}\n", match.start())
        semicolon = text.find(";", match.start())
        if opens != -1 and ends != -1 and (semicolon == -1 or opens < semicolon):
            return match.start(), ends + 3
    return None


def python_function(text, name):
    match = re.search(r"^( *)def %s\(" % re.escape(name), text, re.M)
    if match is None:
        return None
    after = re.compile(r"^ {0,%d}[^ \n)]" % len(match[1]), re.M).search(text, match.end())
    return match.start(), after.start() if after else len(text)


def apply(row, text):
    """The file's text with the row's change in it."""
    begin, end = 0, len(text)
    if row["function"]:
        find = python_function if row["file"].endswith(".py") else c_function
        found = find(text, row["function"])
        if found is None:
            raise RowError(f"{row['file']} has no function {row['function']}")
        begin, end = found
    count = text.count(row["text"], begin, end)
    if count != 1:
        raise RowError(f"its text is there {count} times in {row['function'] or 'the file'} of {row['file']}")
    at = text.index(row["text"], begin, end)
    return text[:at] + row["replacement"] + text[at + len(row["text"]):]


def mutated(root, row):
    """The file's text before and after."""
    try:
        with open(os.path.join(root, row["file"]), encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise RowError(f"{row['file']}: {error.strerror}") from None
    return text, apply(row, text)


# ---- tests ----

def tests_of(build):
    """What ctest knows in a build folder: [(name, test)]."""
    done = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, text=True, check=True)
    return [(test["name"], test) for test in json.loads(done.stdout)["tests"]]


def matching(tests, suite):
    return [test for name, test in tests if re.search(suite, name)]


def programs_of(build, tests):
    """The executables that these tests run, as targets of the build; None where a test runs more than one program."""
    found = set()
    for test in tests:
        words = test.get("command") or []
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        others = words[1:] + [str(value) for value in properties.get("ENVIRONMENT", [])]
        program = os.path.relpath(words[0], build) if words else ".."
        if program.startswith("..") or any(build in word for word in others):
            return None
        found.add(program)
    return sorted(found)


# ---- the copy ----

def sync(root, tree):
    """Copies what git knows or would add, and writes no file that is the same, so that little is built again."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                            capture_output=True, check=True).stdout.decode().split("\0")
    names = {name for name in listed if name and os.path.isfile(os.path.join(root, name))}
    for folder, _, files in os.walk(tree):
        for file in files:
            path = os.path.join(folder, file)
            if os.path.relpath(path, tree) not in names:
                os.remove(path)
    for name in names:
        source, copy = os.path.join(root, name), os.path.join(tree, name)
        with open(source, "rb") as file:
            data = file.read()
        if os.path.exists(copy):
            with open(copy, "rb") as file:
                if file.read() == data:
                    continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with open(copy, "wb") as file:
            file.write(data)
        shutil.copymode(source, copy)


def end_session(leader):
    """Ends the processes of a session of ours; some of them have a process group of their own."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                session = int(file.read().rsplit(")", 1)[1].split()[3])
            if session == leader:
                os.kill(int(pid), signal.SIGKILL)
        except (OSError, IndexError):
            pass  # it has ended meanwhile


class Bench:
    """The copy of the tree and its one build folder."""

    def __init__(self, root, jobs):
        self.tree = os.path.realpath(os.path.join(root, "build", "mutants", "tree"))
        self.build_folder = os.path.realpath(os.path.join(root, "build", "mutants", "build"))
        self.log = os.path.join(root, "build", "mutants", "log.txt")
        self.jobs = jobs
        self.seconds = {}  # that each suite took without any change
        os.makedirs(self.tree, exist_ok=True)
        sync(root, self.tree)
        with open(self.log, "w", encoding="utf-8"):
            pass
        # As users have it: assertions of debug builds alone must not be what kills. -O1 is soon built.
        if not self._run(["cmake", "-S", self.tree, "-B", self.build_folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                          "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG", "-DDURE_TESTS=ON", "-DDURE_WARNINGS_ARE_ERRORS=OFF"], BUILD_SECONDS):
            raise RowError(f"the tree cannot be configured: {self.log}")
        self.tests = tests_of(self.build_folder)

    def _run(self, command, seconds):
        """True where it ended with 0 in time."""
        with open(self.log, "a", encoding="utf-8") as log:
            log.write("\n$ %s\n" % " ".join(command))
            log.flush()
            # A session of its own, so that all that it has started, which may not end by itself, is ended with it.
            with subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True) as process:
                try:
                    return process.wait(seconds) == 0
                except subprocess.TimeoutExpired:
                    log.write("no end within %d s\n" % seconds)
                    return False
                finally:
                    end_session(process.pid)

    def build(self, suite):
        """True where what the suite's tests run could be built."""
        programs = programs_of(self.build_folder, matching(self.tests, suite))
        targets = ["all"] if programs is None else programs
        return self._run(["ninja", "-C", self.build_folder, "-j", str(self.jobs)] + targets, BUILD_SECONDS)

    def passes(self, suite):
        seconds = HANGS[0] + HANGS[1] * self.seconds[suite] if suite in self.seconds else BASELINE_SECONDS
        since = time.monotonic()
        is_good = self._run(["ctest", "--test-dir", self.build_folder, "--output-on-failure", "--stop-on-failure",
                             "--no-tests=error", "-j", str(self.jobs), "-R", suite], seconds)
        self.seconds.setdefault(suite, time.monotonic() - since)
        return is_good

    def write(self, name, text):
        with open(os.path.join(self.tree, name), "w", encoding="utf-8") as file:
            file.write(text)


def try_row(bench, row):
    """killed, alive, argued, does not build."""
    before, after = mutated(bench.tree, row)
    with open(bench.log, "a", encoding="utf-8") as log:
        log.write(f"\n==== {row['room']} {row['id']}\n")
    try:
        bench.write(row["file"], after)
        if not bench.build(row["suite"]):
            return "does not build"
        if not bench.passes(row["suite"]):
            return "killed"
        return "argued" if "alive" in row else "alive"
    finally:
        bench.write(row["file"], before)


# ---- commands ----

def check(root, rows, build):
    faults = check_form(rows)
    bad = {name for name, _ in faults}
    tests = tests_of(build) if os.path.exists(os.path.join(build, "CTestTestfile.cmake")) else None
    for row in rows:
        name = f"{row['room']}: {row.get('id')}"
        if name in bad:
            continue
        try:
            mutated(root, row)
            if tests is not None and not matching(tests, row["suite"]):
                raise RowError(f"there is no suite {row['suite']}")
        except (RowError, re.error) as error:
            faults.append((name, str(error)))
    for name, text in faults:
        print(f"{name}: {text}")
    print("%d rows, %d faults%s" % (len(rows), len(faults),
                                    "" if tests is not None else "; suites not looked at: %s is no build" % build))
    return 1 if faults else 0


def baseline(bench, rows):
    """The suites that fail without any change: a row of theirs would say nothing."""
    bad = set()
    for suite in dict.fromkeys(row["suite"] for row in rows):
        if not matching(bench.tests, suite):
            print(f"There is no suite {suite}.")
            bad.add(suite)
        elif not bench.build(suite) or not bench.passes(suite):
            print(f"{suite} fails without any change.", flush=True)
            bad.add(suite)
    return bad


def run(root, rows, jobs):
    faults = check_form(rows)
    for name, text in faults:
        print(f"{name}: {text}")
    if faults:
        return 1
    bench = Bench(root, jobs)
    bad = baseline(bench, rows)
    counts = collections.Counter()
    for number, row in enumerate(rows, 1):
        since = time.monotonic()
        try:
            outcome = "its suite fails without it" if row["suite"] in bad else try_row(bench, row)
        except RowError as error:
            outcome = f"does not apply: {error}"
        counts[outcome if outcome in ("killed", "alive", "argued") else "broken"] += 1
        print("%3d/%d  %-8s %-44s %5.1f s  %s" % (number, len(rows), row["room"], row["id"], time.monotonic() - since,
                                                  outcome.upper() if outcome == "alive" else outcome), flush=True)
    text = "%d killed, %d alive, %d argued" % (counts["killed"], counts["alive"], counts["argued"])
    print(text + (", %d broken" % counts["broken"] if counts["broken"] else ""))
    return 1 if counts["alive"] or counts["broken"] or bad else 0


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--id", action="append", default=[])
    parser.add_argument("--room", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", default=ROOT)
    parser.add_argument("--build")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    try:
        rows = load(options.root)
        names = {row.get("id") for row in rows}
        rooms = {row["room"] for row in rows}
        strange = [name for name in options.id if name not in names] + [room for room in options.room if room not in rooms]
        if strange:
            print("There is no such row or room: %s" % " ".join(strange), file=sys.stderr)
            return 2
        rows = [row for row in rows if (not options.id or row.get("id") in options.id) and
                (not options.room or row["room"] in options.room)]
        if options.check:
            return check(options.root, rows, os.path.abspath(options.build or os.path.join(options.root, "build/release")))
        if options.list:
            for row in rows:
                print("%-8s %-44s %-24s %s" % (row["room"], row["id"], row["suite"], row["why"]))
            return 0
        return run(options.root, rows, options.jobs)
    except RowError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
