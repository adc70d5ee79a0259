#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dure check and dure graph from outside: exit codes, places, overrides, and that the published
schema accepts the demo (where a validator is installed) and names every key that is shown.

    check_and_graph.py PROGRAM ROOT
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM, ROOT = sys.argv[1:3]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from programs import command_of  # noqa: E402

DEMO = "config/demo.json"


def dure(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DURE_")}
    return subprocess.run([*command_of(PROGRAM), *arguments], cwd=ROOT, env={**clean, **environment},
                          capture_output=True, encoding="utf-8", timeout=60)


def check_good():
    run = dure("check", DEMO)
    assert run.returncode == 0 and run.stderr == "", run
    run = dure("check", DEMO, "--json")
    assert run.returncode == 0 and json.loads(run.stdout)["diagnostics"] == [], run


def check_mistakes():
    with open(os.path.join(ROOT, DEMO)) as file:
        text = file.read()
    line = [number for number, each in enumerate(text.splitlines(), 1) if "7777" in each][0]
    column = text.splitlines()[line - 1].index("7777") + 1
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bad.json")
        with open(path, "w") as file:
            file.write(text.replace("7777", "70000"))
        run = dure("check", path)
        assert run.returncode == 78, run
        expected = f"{path}:{line}:{column}: nodes[0].client_port: 70000 is above 65535\n"
        assert run.stderr == expected, run
        for command in ("graph", "up", "status", "down"):
            assert dure(command, path).returncode == 78, command
    assert dure("check", "no/such.json").returncode == 78
    run = dure("check", "config")
    assert (run.returncode, run.stderr) == (78, "config: a folder, not a file\n"), run
    for timeout in ("0", "-5", "", "1s", "99999999999999999999"):
        assert dure("call", DEMO, "ping", "--timeout", timeout).returncode == 2, timeout
    run = dure("call", DEMO, "echo", r'["a\u0000b"]')
    assert run.returncode == 2 and "cannot be passed on" in run.stderr, run
    assert dure("check").returncode == 2
    assert dure("check", "--nonsense", DEMO).returncode == 2
    assert dure("nonsense").returncode == 2


def check_overrides():
    run = dure("check", DEMO, "--set", "nodes[0].client_port=70000")
    assert run.returncode == 78, run
    assert run.stderr == "--set: nodes[0].client_port: 70000 is above 65535\n", run
    run = dure("check", "--show", DEMO, "--set", "nodes[0].client_port=7000",
               DURE_SET="heartbeat_ms=1000;nodes[0].client_port=7001",
               DURE_SECRET="a secret of enough bytes")
    assert run.returncode == 0 and "enough bytes" not in run.stdout + run.stderr, run
    assert re.search(r"^nodes\[0\]\.client_port +7000 +--set$", run.stdout, re.M), run
    assert re.search(r"^heartbeat_ms +1000 +DURE_SET$", run.stdout, re.M), run
    assert re.search(r'^cluster +"demo" +config/demo\.json:3:14$', run.stdout, re.M), run
    assert re.search(r"^drain_ms +10000 +default$", run.stdout, re.M), run


def check_graph():
    run = dure("graph", DEMO)
    assert run.returncode == 0, run
    for node in ("gateway-1", "game-1", "game-2", "db-1"):
        assert node in run.stdout, run
    run = dure("graph", "--dot", DEMO)
    assert run.returncode == 0 and run.stdout.startswith("digraph"), run


def check_schema():
    with open(os.path.join(ROOT, "config/cluster.schema.json")) as file:
        schema = json.load(file)
    with open(os.path.join(ROOT, DEMO)) as file:
        demo = json.load(file)
    shown = dure("check", "--show", DEMO).stdout.split("\n")
    for line in filter(None, shown):
        key, value, place = line.split()
        top = re.split(r"[.\[]", key)[0]
        assert top in schema["properties"], key
        if place == "default" and top == key:
            assert schema["properties"][key]["default"] == json.loads(value), line
    try:
        import jsonschema
    except ImportError:
        print("no jsonschema: the demo was not validated")
        return
    jsonschema.validate(demo, schema)
    demo["clutser"] = 1
    try:
        jsonschema.validate(demo, schema)
    except jsonschema.ValidationError:
        return
    raise AssertionError("the schema takes an unknown key")


def check_names():
    """Paths are UTF-8, whatever the system's code page is."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "J\u00fcrgen \ud55c\uae00.json")
        shutil.copy(os.path.join(ROOT, DEMO), path)
        run = dure("check", path)
        assert run.returncode == 0 and run.stdout.startswith(path + ": right"), run


for check in (check_good, check_names, check_mistakes, check_overrides, check_graph, check_schema):
    check()
    print(check.__name__, "passed")
