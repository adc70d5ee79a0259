#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of how dure's code reads that a program can hold for us.

    audit.py [--root FOLDER] [--include FOLDER]... RULE...
    audit.py --list

Each rule reads the tree and reports what breaks it as FILE:LINE: what is wrong. The exit status is
0 when nothing does, 1 when something does, 77 when the rule cannot be looked at here (a tool is
missing), 2 for a wrong call.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

SKIPPED = 77

# Which rooms a room may include from. Arrows of the tree: base <- iocp <- net <- cluster <- node,
# base <- wire <- cluster; programs and tools stand on all of them.
ROOMS = {
    "base": set(),
    "iocp": {"base"},
    "net": {"base", "iocp"},
    "wire": {"base"},
    "cluster": {"base", "iocp", "net", "wire"},
    "node": {"base", "iocp", "net", "wire", "cluster"},
}

PLATFORM_FILE = re.compile(r"_(posix|linux|win32|uring|epoll)\.[ch]$")
PLATFORM_MACRO = re.compile(
    r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(_WIN32|WIN32|_WIN64|__linux__|linux|__APPLE__|__unix__"
    r"|__FreeBSD__|__MINGW32__|__MINGW64__|_MSC_VER|_POSIX_VERSION)\b")
SYSTEM_HEADER = re.compile(
    r"^\s*#\s*include\s*<((?:sys|netinet|arpa|linux|net|asm)/[^>]+|unistd\.h|pthread\.h|fcntl\.h"
    r"|poll\.h|netdb\.h|ftw\.h|dirent\.h|dlfcn\.h|spawn\.h|termios\.h|pwd\.h|grp\.h|syslog\.h"
    r"|sched\.h|semaphore\.h|liburing\.h|seccomp\.h|windows\.h|winsock2\.h|ws2tcpip\.h|mswsock\.h"
    r"|process\.h|io\.h)>")

BANNED = {
    "strcpy": "copies without a size", "strcat": "appends without a size",
    "sprintf": "writes without a size", "vsprintf": "writes without a size",
    "strtok": "keeps hidden state", "atoi": "cannot tell an error", "atol": "cannot tell an error",
    "atof": "cannot tell an error", "gets": "reads without a size",
    "rand": "is one generator for all; use base/rng.h", "srand": "is one generator for all",
    "time": "is a hidden clock; ask the core", "gmtime": "keeps hidden state",
    "localtime": "keeps hidden state", "ctime": "keeps hidden state", "asctime": "keeps hidden state",
}
HEAP = {"malloc", "calloc", "realloc", "free", "strdup", "strndup"}
SOCKETS = {"socket", "socketpair", "recv", "recvfrom", "recvmsg", "send", "sendto", "sendmsg",
           "accept", "accept4", "connect", "bind", "listen", "shutdown"}
SLEEP = re.compile(r"\b(?:sleep|usleep|nanosleep|clock_nanosleep|Sleep|thrd_sleep)\s*\(")
# Written apart, so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")

TYPE_WORDS = {"void", "char", "short", "int", "long", "float", "double", "signed", "unsigned",
              "bool", "_Bool", "size_t", "const", "volatile", "restrict", "struct", "enum", "union"}
C_WORDS = {"if", "while", "for", "switch", "return", "sizeof", "defined", "else", "do", "case"}

SKIP_FOLDERS = {".git", "build", "var", "__pycache__", "node_modules"}
TEXT_ENDINGS = (".c", ".h", ".py", ".sh", ".cmake", ".md", ".txt", ".json", ".dure", ".in")


class Tree:
    """The files under a root, as paths from the root with forward slashes, and their texts."""

    def __init__(self, root, include=()):
        self.root = root
        self.include = list(include)
        self.paths = sorted(self._walk())
        self._texts = {}
        self._codes = {}

    def _walk(self):
        for folder, names, files in os.walk(self.root):
            names[:] = [n for n in names if n not in SKIP_FOLDERS]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.root).replace(os.sep, "/")

    def under(self, folders, endings):
        return [p for p in self.paths
                if p.split("/", 1)[0] in folders and p.endswith(endings)]

    def text(self, path):
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def code(self, path):
        if path not in self._codes:
            self._codes[path] = strip(self.text(path))
        return self._codes[path]


def strip(text):
    """The text with comments and the insides of literals blanked, line feeds kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[0]
        return re.sub(r"[^\n]", " ", piece)

    return pattern.sub(blank, text)


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "framework" and len(parts) > 2 else None


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


# ---- declarations of a header ----

class Declaration:
    def __init__(self, line, text, documented):
        self.line = line
        self.text = text
        self.documented = documented

    def name_and_params(self):
        """The name and the parameter list where this is a function, else (None, None)."""
        match = re.search(r"\b([A-Za-z_]\w*)\s*\(", re.sub(r"DURE_PRINTF\s*\([^)]*\)", "", self.text))
        if self.text.startswith(("typedef", "#", "struct {", "enum", "union")) or match is None:
            return None, None
        text = re.sub(r"DURE_PRINTF\s*\([^)]*\)", "", self.text)
        depth = 0
        for at in range(match.end() - 1, len(text)):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if depth == 0:
                return match.group(1), text[match.end():at]
        return None, None


def declarations(source):
    """The top-level declarations of a header. Documented is one with a comment right above it, or
    that follows a documented one without a blank line."""
    code = strip(source)
    code = re.sub(r"(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  code)
    code = re.sub(r'extern\s+"\s*"\s*\{', lambda m: " " * len(m.group(0)), code)
    lines = source.split("\n")
    found = []
    at = 0
    while at < len(code):
        if code[at].isspace() or code[at] in ";}":
            at += 1
            continue
        end, brace = declaration_end(code, at)
        text = code[at:end]
        head = text[:brace - at] if brace is not None else text
        first = line_of(code, at)
        above = lines[first - 2].strip() if first >= 2 else ""
        documented = above.endswith("*/")
        if not documented and above and found:
            documented = found[-1].documented
        found.append(Declaration(first, " ".join(head.split()), documented))
        at = end
    return found


def declaration_end(code, at):
    """Where a declaration ends, and where its body begins if it has one."""
    depth = 0
    brace = None
    for end in range(at, len(code)):
        char = code[end]
        if char in "{(":
            brace = end if char == "{" and depth == 0 and brace is None else brace
            depth += 1
        elif char in "})":
            depth -= 1
            is_function = brace is not None and code[at:brace].rstrip().endswith(")")
            if char == "}" and depth == 0 and is_function:
                return end + 1, brace
        elif char == ";" and depth == 0:
            return end + 1, brace
    return len(code), brace


def split_params(params):
    out, depth, last = [], 0, 0
    for at, char in enumerate(params):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            out.append(params[last:at])
            last = at + 1
    return [p.strip() for p in out + [params[last:]]]


def param_is_named(param):
    if param in ("void", "...", ""):
        return True
    if re.search(r"\(\s*\*\s*[A-Za-z_]\w*\s*\)", param):
        return True
    words = re.findall(r"[A-Za-z_]\w*|\*", re.sub(r"\[[^\]]*\]", "", param))
    if not words or words[-1] == "*" or words[-1] in TYPE_WORDS:
        return False
    before = [w for w in words[:-1] if w not in ("const", "volatile", "restrict")]
    return bool(before) and before != ["struct"] and before != ["enum"] and before != ["union"]


# ---- the rules: each yields (path, line, message) ----

def public_headers(tree):
    return [p for p in tree.under({"framework"}, (".h",)) if not p.endswith("_impl.h")]


def rule_layers(tree):
    """#include "room/file.h" points only downward; *_impl.h stays in its room."""
    for path in tree.under({"framework", "nodes", "tools"}, (".c", ".h")):
        room = room_of(path)
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not match:
                continue
            target = match.group(1)
            other = target.split("/")[0]
            if other in ROOMS and "/" in target:
                if target.endswith("_impl.h") and other != room:
                    yield path, number, f"{target} is for {other}/ alone"
                elif room in ROOMS and other != room and other not in ROOMS[room]:
                    yield path, number, f"{room}/ may not include {target}"
            elif room in ROOMS and (other in ("nodes", "tools", "tests", "proto")):
                yield path, number, f"{room}/ may not include {target}"


def rule_platform(tree):
    """Platform macros and system headers only in files with a platform's ending."""
    for path in tree.under({"framework", "nodes", "tools"}, (".c", ".h")):
        if PLATFORM_FILE.search(path):
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            match = SYSTEM_HEADER.match(line) or PLATFORM_MACRO.match(line)
            if match:
                yield path, number, f"{match.group(1)} belongs in a file ending in _posix, _linux ..."


def rule_headers(tree):
    """Each header compiles alone, also twice."""
    headers = [p for p in tree.under({"framework", "nodes", "tools"}, (".h",))
               if not p.endswith("_win32.h")]
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        print("no C compiler: not looked at")
        sys.exit(SKIPPED)
    flags = ["-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
             "-DDURE_DEBUG=1", "-x", "c", "-"]
    folders = [os.path.join(tree.root, "framework"), tree.root] + tree.include

    def compile_alone(path):
        local = os.path.join(tree.root, os.path.dirname(path))
        include = f'#include "{os.path.join(tree.root, path)}"\n'
        done = subprocess.run(
            [compiler] + [f"-I{f}" for f in folders + [local]] + flags,
            input=include + include + "typedef int not_empty;\n", capture_output=True, text=True)
        return None if done.returncode == 0 else (done.stderr.strip().split("\n") or ["?"])[0]

    with ThreadPoolExecutor(2) as pool:
        for path, error in zip(headers, pool.map(compile_alone, headers)):
            if error is not None:
                yield path, 1, f"does not compile alone: {error}"


def rule_guards(tree):
    """The guard of framework/net/session.h is DURE_NET_SESSION_H."""
    for path in tree.under({"framework", "nodes", "tools", "tests"}, (".h",)):
        parts = path.split("/")
        parts = parts[1:] if parts[0] == "framework" and len(parts) > 2 else parts
        wanted = "DURE_" + re.sub(r"[^A-Z0-9]", "_", "_".join(parts).upper())
        if parts[0] == "framework":
            wanted = wanted.replace("DURE_FRAMEWORK_", "").replace("DURE_H", "DURE_H")
            wanted = wanted if wanted.startswith("DURE_") else "DURE_" + wanted
        guards = {wanted, wanted.replace("DURE_DURE_", "DURE_")}
        match = re.search(r"^#ifndef (\w+)\n#define (\w+)$", tree.text(path), re.M)
        if not match or match.group(1) != match.group(2) or match.group(1) not in guards:
            yield path, 1, f"the guard is to be {wanted}"


def rule_heads(tree):
    """Each C file begins with its licence and says what it is for."""
    for path in tree.under({"framework", "nodes", "tools", "tests"}, (".c", ".h")):
        text = tree.text(path)
        if not text.startswith("/* SPDX-License-Identifier: MIT\n *\n * "):
            yield path, 1, "begins with /* SPDX-License-Identifier: MIT, an empty line, its purpose"


def rule_promises(tree):
    """Each function of a public header has a comment above it that says what it promises."""
    for path in public_headers(tree):
        for item in declarations(tree.text(path)):
            name, _ = item.name_and_params()
            if name is not None and not item.documented:
                yield path, item.line, f"{name} has no comment above it"


def rule_checked(tree):
    """Each function of a header that returns dure_err is marked DURE_CHECKED."""
    for path in tree.under({"framework", "nodes", "tools"}, (".h",)):
        for item in declarations(tree.text(path)):
            name, _ = item.name_and_params()
            if name is None or item.text.startswith("static"):
                continue
            if re.match(r"dure_err\s+\w+\s*\(", item.text):
                yield path, item.line, f"{name} returns dure_err and is not DURE_CHECKED"


def rule_params(tree):
    """Parameters in prototypes are named."""
    for path in tree.under({"framework", "nodes", "tools"}, (".h",)):
        for item in declarations(tree.text(path)):
            name, params = item.name_and_params()
            if name is None:
                continue
            for param in split_params(params):
                if not param_is_named(param):
                    yield path, item.line, f"{name}: the parameter '{param}' has no name"


def calls(code):
    """(name, offset) of what looks like a call of a plain function."""
    for match in re.finditer(r"(?<![\w.>*&])([A-Za-z_]\w*)\s*\(", code):
        name = match.group(1)
        before = code[:match.start()].rstrip()
        if name not in C_WORDS and not before.endswith((".", "->")):
            yield name, match.start()


# A datagram to the service manager is no connection that the completion core could carry.
NOT_OF_THE_NETWORK = {"framework/node/service_manager_posix.c"}


def rule_calls(tree):
    """Banned calls; the heap only through base/mem.h; sockets of the system only in iocp/."""
    for path in tree.under({"framework", "nodes", "tools", "tests"}, (".c", ".h")):
        code = tree.code(path)
        is_test = path.startswith("tests/")
        for name, at in calls(code):
            line = line_of(code, at)
            if name in BANNED:
                yield path, line, f"{name} {BANNED[name]}"
            elif is_test:
                continue
            elif name in HEAP and path != "framework/base/mem.c":
                yield path, line, f"{name}: memory comes from base/mem.h"
            elif name in SOCKETS and room_of(path) != "iocp" and path not in NOT_OF_THE_NETWORK:
                yield path, line, f"{name}: sockets of the system belong to iocp/"
            elif name == "close" and not PLATFORM_FILE.search(path):
                yield path, line, "close belongs in a file with a platform's ending"


def rule_unfinished(tree):
    """Nothing in the tree says that it is yet to be done: that is an issue, or nothing."""
    for path in tree.paths:
        if not path.endswith(TEXT_ENDINGS) and "." in path.rsplit("/", 1)[-1]:
            continue
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            match = UNFINISHED.search(line)
            if match:
                yield path, number, f"{match.group(1)} does not belong in the tree"


def rule_sleep(tree):
    """No test sleeps: it runs the sim clock, or waits for a state with a bound. Tests of whole
    processes (tests/cluster*, tests/checker, and what starts them) may pause between two looks."""
    for path in tree.under({"tests"}, (".c", ".h", ".py", ".sh")):
        if path.startswith(("tests/cluster", "tests/checker/", "tests/audit/", "tests/support/programs.py")):
            continue
        code = tree.code(path) if path.endswith((".c", ".h")) else tree.text(path)
        for number, line in enumerate(code.split("\n"), 1):
            if SLEEP.search(line) or (path.endswith(".sh") and re.match(r"\s*sleep\s", line)):
                yield path, number, "a test does not sleep"


def rule_locks(tree):
    """Locks live in base/, iocp/ and node/ and nowhere else of the framework."""
    for path in tree.under({"framework"}, (".c", ".h")):
        if room_of(path) in ("base", "iocp", "node", None):
            continue
        for name, at in calls(tree.code(path)):
            if re.match(r"(dure_mutex_|dure_cond_|pthread_)", name):
                yield path, line_of(tree.code(path), at), f"{name}: this room lives on one worker"


def rule_errors(tree):
    """Each error of base/err.h has a paragraph in docs/errors.md, and the page has no others."""
    page = "docs/errors.md"
    listed = re.findall(r"^\s*X\((\w+),", tree.text("framework/base/err.h"), re.M)
    if page not in tree.paths:
        yield page, 1, "is missing"
        return
    described = {}
    for number, line in enumerate(tree.text(page).split("\n"), 1):
        match = re.match(r"#+\s+`?([A-Z][A-Z_]+)`?\b", line)
        if match:
            described[match.group(1)] = number
    for name in listed:
        if name not in described:
            yield page, 1, f"has no paragraph on {name}"
    for name, number in described.items():
        if name not in listed:
            yield page, number, f"{name} is not in framework/base/err.h"


def rule_pages(tree):
    """C in a page compiles: each ```c block of a Markdown file that begins with an #include."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        print("no C compiler: not looked at")
        sys.exit(SKIPPED)
    folders = [os.path.join(tree.root, "framework"), tree.root] + tree.include
    for path in [p for p in tree.paths if p.endswith(".md")]:
        text = tree.text(path)
        for match in re.finditer(r"^```c\n(.*?)^```", text, re.S | re.M):
            block = match.group(1)
            if not re.match(r"(\s|/\*.*?\*/)*#\s*include", block, re.S):
                continue
            done = subprocess.run(
                [compiler] + [f"-I{f}" for f in folders] +
                ["-std=c11", "-fsyntax-only", "-Wall", "-Wno-unused", "-D_GNU_SOURCE",
                 "-DDURE_DEBUG=0", "-x", "c", "-"], input=block, capture_output=True, text=True)
            if done.returncode != 0:
                error = (done.stderr.strip().split("\n") or ["?"])
                error = next((e for e in error if "error" in e), error[0])
                yield path, line_of(text, match.start()), f"does not compile: {error}"


def rule_format(tree):
    """The layout is that of .clang-format, as version 14 reads it."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = ""
    if program is not None:
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    if " 14." not in version:
        print("clang-format 14 is not installed: not looked at")
        sys.exit(SKIPPED)
    paths = tree.under({"framework", "nodes", "tools", "tests"}, (".c", ".h"))

    def look(path):
        done = subprocess.run([program, "--dry-run", "--Werror", "--style=file", path],
                              cwd=tree.root, capture_output=True, text=True)
        match = re.search(r":(\d+):\d+: error", done.stderr)
        return None if done.returncode == 0 else int(match.group(1)) if match else 1

    with ThreadPoolExecutor(2) as pool:
        for path, line in zip(paths, pool.map(look, paths)):
            if line is not None:
                yield path, line, f"run: clang-format -i {path}"


RULES = {name[len("rule_"):]: value for name, value in list(globals().items())
         if name.startswith("rule_")}


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), "..", ".."))
    parser.add_argument("--include", action="append", default=[],
                        help="another folder of headers, for the rules that compile")
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    parser.add_argument("rules", nargs="*", metavar="RULE", help="all, when none is named")
    given = parser.parse_args(arguments)
    if given.list:
        for name, rule in RULES.items():
            print(f"{name:11} {' '.join(rule.__doc__.split())}")
        return 0
    unknown = [r for r in given.rules if r not in RULES]
    if unknown:
        print(f"no rule is called {unknown[0]}", file=sys.stderr)
        return 2
    tree = Tree(os.path.abspath(given.root), [os.path.abspath(i) for i in given.include])
    broken = 0
    for name in given.rules or RULES:
        for path, line, message in RULES[name](tree):
            print(f"{path}:{line}: {message} [{name}]")
            broken += 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
