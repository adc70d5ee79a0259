#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a schema (docs/schema.md) into C: structs, encoders, decoders, call stubs and the table of
methods. Refuses what would break a peer that speaks an accepted earlier form of the same schema.

The way through this file: Reader (text to tokens), Parser (tokens to Schema), check_schema (what
the grammar alone cannot say), check_accepted (what was promised before), Header, Source and Role
(the three generated files), methods_page (docs), main.
"""
import argparse
import hashlib
import json
import os
import re
import sys

SCALARS = {
    "bool": "bool", "i32": "int32_t", "i64": "int64_t", "u32": "uint32_t", "u64": "uint64_t",
    "f64": "double", "num": "double", "str": "dure_str", "bin": "dure_slice", "any": "dure_slice",
}
RANGES = {
    "i32": (-2**31, 2**31 - 1), "i64": (-2**63, 2**63 - 1),
    "u32": (0, 2**32 - 1), "u64": (0, 2**64 - 1),
}
FLAGS = {
    "client": "DURE_METHOD_CLIENT", "no_login": "DURE_METHOD_NO_LOGIN",
    "idempotent": "DURE_METHOD_IDEMPOTENT", "key_param": "DURE_METHOD_KEY_PARAM",
    "admin": "DURE_METHOD_ADMIN", "keyed": "DURE_METHOD_KEYED",
    "barrier": "DURE_METHOD_BARRIER",
}
# What a caller has to know of a method: whether a call of it may be made again.
CALLER_FLAGS = ("idempotent", "keyed")
# Below 100 service numbers belong to dure.
BUILT_IN = {"gateway": 1, "game": 2, "db": 3, "node": 4}
SERVICE_MAX = 16000000 // 256
SIZE_MAX = 2**32 - 1
FIELDS_MAX = 255
KEYWORDS = set("""auto break case char const continue default do double else enum extern float for
goto if inline int long register restrict return short signed sizeof static struct switch typedef
union unsigned void volatile while bool true false""".split())


class Mistake(Exception):
    """A mistake in a schema, at a place of its text."""

    def __init__(self, where, text):
        super().__init__(text)
        self.where = where


# ---- text to tokens ----

TOKEN = re.compile(r"""
    (?P<space>[ \t\r]+) | (?P<newline>\n) | (?P<comment>//[^\n]*) |
    (?P<word>[A-Za-z_][A-Za-z0-9_]*) |
    (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?) |
    (?P<string>"(?:[^"\\\n]|\\["\\])*") |
    (?P<punct>[{}<>,;=])
""", re.VERBOSE)


class Token:
    def __init__(self, kind, text, where, note):
        self.kind = kind      # word, number, string, punct, end
        self.text = text
        self.where = where    # (file, line, column), from 1
        self.note = note      # the comment lines right above it


def read_tokens(path, text):
    tokens = []
    line, start, at = 1, 0, 0
    note = []
    fresh = True              # nothing but space so far on this line
    while at < len(text):
        where = (path, line, at - start + 1)
        match = TOKEN.match(text, at)
        if match is None:
            raise Mistake(where, "%r does not belong in a schema" % text[at])
        kind, at = match.lastgroup, match.end()
        if kind == "newline":
            if fresh and note and note[-1] is None:
                note = []     # an empty line parts a comment from what follows
            elif note:
                note.append(None)
            line, start, fresh = line + 1, at, True
        elif kind == "comment":
            if fresh:
                note = [n for n in note if n is not None] + [match.group()[2:].strip()]
        elif kind != "space":
            lines = [n for n in note if n is not None]
            tokens.append(Token(kind, match.group(), where, " ".join(lines)))
            note, fresh = [], False
    tokens.append(Token("end", "the end of the file", (path, line, at - start + 1), ""))
    return tokens


# ---- the schema ----

class Type:
    def __init__(self, where, kind, element=None, record=None):
        self.where = where
        self.kind = kind          # a scalar, "list", "map" or "record"
        self.element = element    # of a list or map
        self.record = record      # the Record's name, until check_schema puts the Record there
        self.low = None           # min and max as written
        self.high = None
        self.plain = False

    def text(self):
        """As it is written, without its limits."""
        if self.kind == "list":
            return "list<%s>" % self.element.text()
        if self.kind == "map":
            return "map<str,%s>" % self.element.text()
        return self.record_name() if self.kind == "record" else self.kind

    def record_name(self):
        return self.record if isinstance(self.record, str) else self.record.name

    def limits(self):
        limits = {}
        if self.low is not None:
            limits["min"] = self.low
        if self.high is not None:
            limits["max"] = self.high
        if self.plain:
            limits["plain"] = True
        return limits

    def full_text(self):
        words = [self.text()]
        words += ["%s %s" % (k, v) for k, v in self.limits().items() if k != "plain"]
        return " ".join(words + (["plain"] if self.plain else []))


class Field:
    def __init__(self, number, name, kind, where, note):
        self.number, self.name, self.type = number, name, kind
        self.where, self.note = where, note
        self.optional = False
        self.default = None


class Record:
    def __init__(self, name, fields, where, note):
        self.name, self.fields, self.where, self.note = name, fields, where, note
        self.inline = False       # a method's params or result, or an event
        self.as_map = False       # clients may see it
        self.as_array = False     # nodes may see it


class Method:
    def __init__(self, name, number, where, note, is_notify):
        self.name, self.number, self.where, self.note = name, number, where, note
        self.is_notify = is_notify
        self.flags = []
        self.params = None        # Record
        self.result = None        # Type; None for a notify

    def is_outside(self):
        """Whether clients or people call it, so that its records are maps."""
        return "client" in self.flags or "admin" in self.flags


class Schema:
    def __init__(self, path):
        self.path = path
        self.service, self.number, self.prefix = None, None, ""
        self.where, self.note = (path, 1, 1), ""
        self.records, self.methods, self.events = [], [], []


# ---- tokens to the schema ----

class Parser:
    def __init__(self, path, text):
        self.tokens = read_tokens(path, text)
        self.at = 0
        self.schema = Schema(path)

    def peek(self):
        return self.tokens[self.at]

    def next(self):
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def is_next(self, text):
        token = self.peek()
        return token.text == text and token.kind in ("word", "punct")

    def take(self, text):
        if self.is_next(text):
            self.next()
            return True
        return False

    def expect(self, text):
        token = self.next()
        if token.text != text or token.kind == "string":
            raise Mistake(token.where, "expected %r, got %s" % (text, self.shown(token)))
        return token

    @staticmethod
    def shown(token):
        return token.text if token.kind == "end" else repr(token.text)

    def word(self, what, pattern):
        token = self.next()
        if token.kind != "word" or not re.fullmatch(pattern, token.text):
            raise Mistake(token.where, "expected %s, got %s" % (what, self.shown(token)))
        return token

    def name(self, what):
        token = self.word("%s in lower case, such as send_all" % what, r"[a-z][a-z0-9_]*")
        if token.text in KEYWORDS:
            raise Mistake(token.where, "%s is a word of C and cannot be a name" % token.text)
        return token

    def integer(self, what, low, high):
        token = self.next()
        if token.kind != "number" or not re.fullmatch(r"-?[0-9]+", token.text):
            raise Mistake(token.where, "expected %s, got %s" % (what, self.shown(token)))
        value = int(token.text)
        if not low <= value <= high:
            raise Mistake(token.where, "%s is from %d to %d, not %d" % (what, low, high, value))
        return value

    def parse(self):
        schema = self.schema
        schema.note = self.peek().note
        schema.where = self.expect("service").where
        token = self.name("the service's name")
        schema.service = token.text
        where = self.peek().where
        schema.number = self.integer("the service's number", 1, SERVICE_MAX)
        if schema.number < 100 and BUILT_IN.get(schema.service) != schema.number:
            raise Mistake(where, "service numbers below 100 are dure's own; take one from 100 on")
        self.expect(";")
        while self.peek().kind != "end":
            self.declaration()
        return schema

    def declaration(self):
        token = self.next()
        kind = token.text if token.kind == "word" else None
        if kind == "prefix":
            self.schema.prefix = self.name("a prefix").text
            self.expect(";")
        elif kind == "record":
            name = self.word("the record's name, such as PlayerName", r"[A-Z][A-Za-z0-9]*").text
            self.schema.records.append(Record(name, self.fields(), token.where, token.note))
        elif kind in ("method", "notify"):
            self.method(token, kind == "notify")
        elif kind == "event":
            name = self.name("the event's name").text
            event = Record(name, self.fields(), token.where, token.note)
            event.inline = True
            self.schema.events.append(event)
        else:
            raise Mistake(token.where, "expected record, method, notify, event or prefix, got %s"
                          % self.shown(token))
        self.take(";")

    def method(self, token, is_notify):
        name = self.name("the method's name").text
        number = self.integer("the method's number", 1, 255)
        method = Method(name, number, token.where, token.note, is_notify)
        while self.peek().kind == "word":
            flag = self.next()
            if flag.text not in FLAGS:
                raise Mistake(flag.where, "%r is not a flag; these are: %s"
                              % (flag.text, ", ".join(sorted(FLAGS))))
            if flag.text in method.flags:
                raise Mistake(flag.where, "the flag %s is given twice" % flag.text)
            method.flags.append(flag.text)
        if is_notify:
            method.params = self.inline_record(method)
        else:
            self.method_body(method)
        self.schema.methods.append(method)

    def inline_record(self, method):
        where = self.peek().where
        record = Record(method.name, self.fields(), where, "")
        record.inline = True
        return record

    def method_body(self, method):
        if self.take("{"):
            while not self.take("}"):
                token = self.next()
                if token.text == "params" and method.params is None:
                    method.params = self.inline_record(method)
                elif token.text == "result" and method.result is None:
                    method.result = self.result(method)
                else:
                    raise Mistake(token.where, "expected params { ... }, result or '}', each once,"
                                  " got %s" % self.shown(token))
        elif not self.is_next(";"):
            raise Mistake(self.peek().where, "expected a flag, '{' or ';', got %s"
                          % self.shown(self.peek()))
        if method.params is None:
            method.params = Record(method.name, [], method.where, "")
            method.params.inline = True
        if method.result is None:
            method.result = self.record_type(method, [])

    def record_type(self, method, fields):
        record = Record(method.name, fields, method.where, "")
        record.inline = True
        return Type(method.where, "record", record=record)

    def result(self, method):
        if self.is_next("{"):
            result = self.record_type(method, self.fields())
            self.take(";")
            return result
        result = self.type()
        while not self.take(";"):
            if not self.limit(result):
                token = self.next()
                raise Mistake(token.where, "expected ';', got %s" % self.shown(token))
        return result

    def fields(self):
        self.expect("{")
        fields = []
        while not self.take("}"):
            fields.append(self.field(fields))
        if len(fields) > FIELDS_MAX:
            raise Mistake(fields[-1].where, "more than %d fields" % FIELDS_MAX)
        return fields

    def field(self, before):
        start = self.peek()
        number = self.integer("a field's number", 1, SIZE_MAX)
        if number != len(before) + 1:
            raise Mistake(start.where, "fields are numbered in order from 1: expected %d, got %d"
                          % (len(before) + 1, number))
        token = self.name("the field's name")
        if token.text in [f.name for f in before]:
            raise Mistake(token.where, "the field %s is there twice" % token.text)
        field = Field(number, token.text, self.type(), start.where, start.note)
        while not self.take(";"):
            self.attribute(field)
        return field

    def attribute(self, field):
        if self.limit(field.type):
            return
        token = self.next()
        if token.text == "optional" and token.kind == "word" and not field.optional:
            field.optional = True
        elif token.text == "=" and token.kind == "punct" and field.default is None:
            field.default = self.default(field.type)
        else:
            raise Mistake(token.where, "expected min, max, plain, optional, '=' or ';', got %s"
                          % self.shown(token))
        if field.optional and field.default is not None:
            raise Mistake(token.where, "a field is optional or has a default, not both")

    def limit(self, kind):
        token = self.peek()
        if token.kind != "word" or token.text not in ("min", "max", "plain"):
            return False
        self.next()
        if token.text == "plain":
            if kind.kind != "str":
                raise Mistake(token.where, "plain is for str, not for %s" % kind.text())
            kind.plain = True
            return True
        value = self.bound(kind, token)
        if token.text == "min":
            kind.low = value
        else:
            kind.high = value
        if kind.low is not None and kind.high is not None and kind.low > kind.high:
            raise Mistake(token.where, "min %s is above max %s" % (kind.low, kind.high))
        return True

    def bound(self, kind, token):
        if kind.kind in RANGES:
            low, high = RANGES[kind.kind]
            return self.integer("a limit of %s" % kind.kind, low, high)
        if kind.kind in ("str", "bin", "list", "map"):
            return self.integer("a limit", 0, SIZE_MAX)
        if kind.kind == "num":
            return self.number()
        raise Mistake(token.where, "%s has no %s" % (kind.text(), token.text))

    def number(self):
        token = self.next()
        if token.kind != "number":
            raise Mistake(token.where, "expected a number, got %s" % self.shown(token))
        value = float(token.text)
        if value in (float("inf"), float("-inf")):
            raise Mistake(token.where, "%s is too large" % token.text)
        return int(token.text) if re.fullmatch(r"-?[0-9]+", token.text) else value

    def default(self, kind):
        token = self.peek()
        if kind.kind in RANGES:
            low, high = RANGES[kind.kind]
            value = self.integer("a value of %s" % kind.kind, low, high)
        elif kind.kind in ("num", "f64"):
            value = self.number()
        elif kind.kind == "bool":
            value = self.word("true or false", "true|false").text == "true"
        elif kind.kind == "str" and self.next().kind == "string":
            value = re.sub(r"\\(.)", r"\1", token.text[1:-1])
        else:
            raise Mistake(token.where, "%s cannot have this default" % kind.text())
        return value

    def type(self):
        token = self.next()
        if token.kind != "word":
            raise Mistake(token.where, "expected a type, got %s" % self.shown(token))
        if token.text in SCALARS:
            return Type(token.where, token.text)
        if token.text == "list":
            self.expect("<")
            element = self.type()
            self.expect(">")
            return Type(token.where, "list", element=element)
        if token.text == "map":
            self.expect("<")
            key = self.next()
            if key.text != "str":
                raise Mistake(key.where, "the keys of a map are str, not %s" % self.shown(key))
            self.expect(",")
            element = self.type()
            self.expect(">")
            return Type(token.where, "map", element=element)
        return Type(token.where, "record", record=token.text)


# ---- what the grammar alone cannot say ----

def record_fields_types(record):
    for field in record.fields:
        yield field.type


def inner_record(kind):
    while kind.element is not None:
        kind = kind.element
    return kind.record if kind.kind == "record" else None


def resolve(kind, by_name):
    while kind.element is not None:
        kind = kind.element
    if kind.kind == "record" and isinstance(kind.record, str):
        if kind.record not in by_name:
            raise Mistake(kind.where, "%r is no type and no record of this file" % kind.record)
        kind.record = by_name[kind.record]


def unique(things, what):
    seen = {}
    for thing in things:
        if thing.name in seen:
            raise Mistake(thing.where, "%s %s is there twice" % (what, thing.name))
        seen[thing.name] = thing
    return seen


def order_records(records):
    """Records after those that they contain, so that C knows each before it is used."""
    done, doing, ordered = set(), [], []

    def visit(record, where):
        if record.name in done:
            return
        if record.name in doing:
            raise Mistake(where, "the record %s contains itself" % record.name)
        doing.append(record.name)
        for kind in record_fields_types(record):
            inner = inner_record(kind)
            if inner is not None:
                visit(inner, kind.where)
        doing.pop()
        done.add(record.name)
        ordered.append(record)

    for record in records:
        visit(record, record.where)
    return ordered


def mark_forms(record, outside):
    if record.as_map if outside else record.as_array:
        return
    if outside:
        record.as_map = True
    else:
        record.as_array = True
    for kind in record_fields_types(record):
        inner = inner_record(kind)
        if inner is not None:
            mark_forms(inner, outside)


def check_flags(method):
    flags = method.flags
    if "no_login" in flags and "client" not in flags:
        raise Mistake(method.where, "no_login is for methods of clients")
    if "barrier" in flags and "client" not in flags:
        raise Mistake(method.where, "barrier is for methods of clients")
    if "admin" in flags and "client" in flags:
        raise Mistake(method.where, "a method is for clients or for admins, not for both")
    if method.is_notify and "idempotent" in flags:
        raise Mistake(method.where, "a notify is never repeated, so it cannot be idempotent")
    if method.is_notify and "keyed" in flags:
        raise Mistake(method.where, "a notify is never repeated, so it needs no key")
    if "idempotent" in flags and "keyed" in flags:
        raise Mistake(method.where, "what is idempotent needs no key")
    if "key_param" in flags:
        first = method.params.fields[0] if method.params.fields else None
        if first is None or first.type.kind != "str" or first.optional:
            raise Mistake(method.where, "key_param needs a first parameter that is a str")


def check_order(fields, method):
    """Parameters that may be missing stand last."""
    missing = None
    for field in fields:
        if field.optional or field.default is not None:
            missing = field
        elif missing is not None:
            raise Mistake(field.where, "the parameter %s must be given, but %s before it may be"
                          " missing" % (field.name, missing.name))


def is_allowed_zero(kind):
    """Whether what a field is when nothing was sent, zero or empty, keeps the field's limits."""
    if kind.kind == "record":
        return not any(must_be_given(field) for field in kind.record.fields)
    return (kind.low is None or kind.low <= 0) and (kind.high is None or kind.high >= 0)


def must_be_given(field):
    """Whether a message without the field is refused."""
    return not field.optional and field.default is None and not is_allowed_zero(field.type)


def check_default(field):
    low, high, value = field.type.low, field.type.high, field.default
    if value is None:
        return
    size = len(value) if isinstance(value, str) else value
    if (low is not None and size < low) or (high is not None and size > high):
        raise Mistake(field.where, "the default of %s is outside its limits" % field.name)


def all_records(schema):
    for record in schema.records + schema.events:
        yield record
    for method in schema.methods:
        yield method.params
        if method.result is not None and method.result.kind == "record" \
                and not isinstance(method.result.record, str) and method.result.record.inline:
            yield method.result.record


def check_schema(schema):
    by_name = unique(schema.records, "the record")
    unique(schema.methods, "the method")
    unique(schema.events, "the event")
    numbers = {}
    for method in schema.methods:
        if method.number in numbers:
            raise Mistake(method.where, "method %s has the number %d of %s"
                          % (method.name, method.number, numbers[method.number]))
        numbers[method.number] = method.name
        check_flags(method)
        if method.result is not None:
            resolve(method.result, by_name)
        if method.is_outside():
            check_order(method.params.fields, method)
    for record in all_records(schema):
        for field in record.fields:
            resolve(field.type, by_name)
            check_default(field)
    schema.records = order_records(schema.records)
    for event in schema.events:
        mark_forms(event, True)
    for method in schema.methods:
        mark_forms(method.params, method.is_outside())
        inner = inner_record(method.result) if method.result is not None else None
        if inner is not None:
            mark_forms(inner, method.is_outside())
    for record in schema.records:
        if not record.as_map:
            mark_forms(record, False)
    check_names(schema)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def check_names(schema):
    """No two things of the schema may become one name in C."""
    seen = {}
    names = [(snake(r.name), r) for r in schema.records]
    names += [(e.name + "_event", e) for e in schema.events]
    for method in schema.methods:
        names.append((method.name + "_params", method))
        if not method.is_notify:
            names.append((method.name + "_result", method))
    for name, thing in names:
        if name in seen or name in KEYWORDS or name in SCALARS:
            other = " as %s" % seen[name].name if name in seen else " as a word of C"
            raise Mistake(thing.where, "%s would have the same name in C%s: %s"
                          % (thing.name, other, name))
        seen[name] = thing


# ---- what was promised before ----

def fields_state(fields):
    state = []
    for field in fields:
        row = {"name": field.name, "type": field.type.text()}
        row.update(field.type.limits())
        if field.optional:
            row["optional"] = True
        if field.default is not None:
            row["default"] = field.default
        state.append(row)
    return state


def result_state(kind):
    if kind.kind == "record" and kind.record.inline:
        return {"fields": fields_state(kind.record.fields)}
    state = {"type": kind.text()}
    state.update(kind.limits())
    return state


def method_state(method):
    state = {"kind": "notify" if method.is_notify else "method", "number": method.number,
             "flags": sorted(method.flags), "params": fields_state(method.params.fields)}
    if method.result is not None:
        state["result"] = result_state(method.result)
    return state


def schema_state(schema):
    """All that travels or that a peer relies on, and nothing else."""
    return {
        "service": schema.service, "number": schema.number,
        "records": {r.name: fields_state(r.fields) for r in schema.records},
        "methods": {m.name: method_state(m) for m in schema.methods},
        "events": {e.name: fields_state(e.fields) for e in schema.events},
    }


def schema_hash(schema):
    text = json.dumps(schema_state(schema), sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


class Compatibility:
    """Collects every way in which a schema breaks what was accepted."""

    def __init__(self, schema, accepted):
        self.schema, self.accepted = schema, accepted
        self.mistakes = []

    def say(self, where, text):
        self.mistakes.append(Mistake(where, text))

    def check(self):
        old, schema = self.accepted, self.schema
        for key, now in (("service", schema.service), ("number", schema.number)):
            if old[key] != now:
                self.say(schema.where, "the service's %s was %s and is now %s"
                         % ("name" if key == "service" else key, old[key], now))
        records = {r.name: r for r in schema.records}
        for name, fields in old["records"].items():
            if self.kept(name, records, "record"):
                self.fields(fields, records[name], "record %s" % name, False, False)
        events = {e.name: e for e in schema.events}
        for name, fields in old["events"].items():
            if self.kept(name, events, "event"):
                self.fields(fields, events[name], "event %s" % name, False, False)
        methods = {m.name: m for m in schema.methods}
        for name, state in old["methods"].items():
            if self.kept(name, methods, "method"):
                self.method(state, methods[name])
        return self.mistakes

    def kept(self, name, present, what):
        if name in present:
            return True
        self.say(self.schema.where, "the %s %s was accepted and is gone" % (what, name))
        return False

    def method(self, old, method):
        what = "method %s" % method.name
        now = method_state(method)
        if old["kind"] != now["kind"]:
            self.say(method.where, "%s was a %s and is now a %s"
                     % (what, old["kind"], now["kind"]))
            return
        if old["number"] != now["number"]:
            self.say(method.where, "%s had the number %d and now has %d"
                     % (what, old["number"], now["number"]))
        self.flags(set(old["flags"]), set(now["flags"]), method)
        self.fields(old["params"], method.params, what, True, method.is_outside())
        if method.result is not None:
            self.result(old["result"], method, what)

    def flags(self, old, now, method):
        for flag in sorted(old - now):
            self.say(method.where, "method %s was %s and is no longer" % (method.name, flag))
        for flag in sorted((now - old) & {"client", "admin", "key_param"}):
            self.say(method.where, "method %s was not %s and is now: give it another name"
                     % (method.name, flag))

    def result(self, old, method, what):
        now = result_state(method.result)
        if "fields" in old and "fields" in now:
            self.fields(old["fields"], method.result.record, "the result of " + what, False, False)
        elif old != now:
            self.say(method.result.where, "the result of %s was %s and is now %s"
                     % (what, self.shown(old), self.shown(now)))

    @staticmethod
    def shown(state):
        if "fields" in state:
            return "a record of its own"
        limits = ["%s %s" % (k, state[k]) for k in ("min", "max") if k in state]
        return " ".join([state["type"]] + limits + (["plain"] if state.get("plain") else []))

    def fields(self, old, record, what, is_params, is_outside):
        now = fields_state(record.fields)
        numbers = {row["name"]: i + 1 for i, row in enumerate(now)}
        noun = "parameter" if is_params else "field"
        for i, row in enumerate(old):
            if i < len(now) and now[i]["name"] == row["name"]:
                self.field(row, now[i], record.fields[i], "%s %s of %s" % (noun, row["name"], what),
                           is_params)
            elif row["name"] in numbers:
                self.say(record.fields[numbers[row["name"]] - 1].where,
                         "%s %s of %s had the number %d and now has %d"
                         % (noun, row["name"], what, i + 1, numbers[row["name"]]))
            else:
                where = record.fields[i].where if i < len(now) else record.where
                self.say(where, "%s %s (%d) of %s was accepted and is gone"
                         % (noun, row["name"], i + 1, what))
        for field in record.fields[len(old):]:
            if is_outside and not field.optional and field.default is None:
                self.say(field.where, "the new parameter %s of %s must be optional or have a"
                         " default: clients do not send it" % (field.name, what))
            elif must_be_given(field):
                self.say(field.where, "the new %s %s of %s must be optional or have a default:"
                         " without it earlier peers are refused" % (noun, field.name, what))

    def field(self, old, now, field, what, is_params):
        if old["type"] != now["type"]:
            self.say(field.type.where, "%s was %s and is now %s" % (what, old["type"], now["type"]))
        elif is_params:
            self.not_narrower(old, now, field, what)
        elif self.shown(old) != self.shown(now):
            self.say(field.type.where, "%s was %s and is now %s"
                     % (what, self.shown(old), self.shown(now)))
        if old.get("optional") and "optional" not in now and "default" not in now:
            self.say(field.where, "%s was optional and is no longer" % what)
        elif not is_params and old.get("optional") != now.get("optional"):
            self.say(field.where, "%s was not optional and is now" % what)
        if "default" in old and old["default"] != now.get("default"):
            self.say(field.where, "the default of %s was %s and is now %s"
                     % (what, json.dumps(old["default"]), json.dumps(now.get("default"))))

    def not_narrower(self, old, now, field, what):
        low, high = now.get("min"), now.get("max")
        narrow = low is not None and ("min" not in old or old["min"] < low)
        narrow = narrow or (high is not None and ("max" not in old or old["max"] > high))
        if narrow or (now.get("plain") and not old.get("plain")):
            self.say(field.type.where, "%s was %s and is now narrower: %s"
                     % (what, self.shown(old), self.shown(now)))


def state_text(schema):
    return json.dumps(schema_state(schema), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# ---- names in C ----

class Names:
    def __init__(self, schema):
        self.schema = schema
        self.service = schema.service
        self.prefix = schema.prefix
        self.upper = schema.service.upper()

    def record(self, record):
        return self.prefix + snake(record.name)

    def list_base(self, kind):
        """u64_list for list<u64>, u64_list_map for map<str,list<u64>>."""
        element = kind.element
        inner = self.list_base(element) if element.element is not None else (
            snake(element.record.name) if element.kind == "record" else element.kind)
        return "%s_%s" % (inner, kind.kind)

    def list(self, kind):
        return "%s_%s" % (self.service, self.list_base(kind))

    def c_type(self, kind):
        if kind.kind == "record":
            return self.record(kind.record)
        return self.list(kind) if kind.element is not None else SCALARS[kind.kind]

    def encode(self, name):
        return "%s_encode_%s" % (self.service, name)

    def decode(self, name):
        return "%s_decode_%s" % (self.service, name)


def all_lists(schema):
    """Each list and map type once, after those that it contains."""
    found = {}
    names = Names(schema)

    def visit(kind):
        if kind.element is None:
            return
        visit(kind.element)
        found.setdefault(names.list_base(kind), kind)

    for record in all_records(schema):
        for kind in record_fields_types(record):
            visit(kind)
    for method in schema.methods:
        if method.result is not None:
            visit(method.result)
    return list(found.values())


def is_inline(kind):
    return kind.kind == "record" and kind.record.inline


def is_by_value(kind):
    return kind.kind != "record" and kind.element is None


def is_empty(kind):
    return kind.kind == "record" and not kind.record.fields


def c_comment(text, indent=""):
    """A comment of its own lines, wrapped."""
    if not text:
        return []
    text = text.replace("*/", "* /")
    words, lines, line = text.split(), [], ""
    for word in words:
        if line and len(indent) + len(line) + len(word) > 92:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word
    lines.append(line)
    if len(lines) == 1:
        return ["%s/* %s */" % (indent, lines[0])]
    return ["%s/*" % indent] + ["%s * %s" % (indent, one) for one in lines] + ["%s */" % indent]


def head(schema, text):
    source = os.path.basename(schema.path)
    return ["/* Written by dure-schema from %s; a change belongs there." % source, " *"] + \
        [" * " + line if line else " *" for line in text] + [" */"]


def call(function, arguments, indent="", before="", end=";"):
    """One call, its arguments on further lines where one is too short."""
    line = "%s%s%s(" % (indent, before, function)
    pad = " " * len(line)
    lines = []
    for i, argument in enumerate(arguments):
        piece = argument + (", " if i + 1 < len(arguments) else ")" + end)
        if len(line) + len(piece.rstrip()) > 100 and line.strip() and not line.endswith("("):
            lines.append(line.rstrip())
            line = pad
        line += piece
    return lines + [line.rstrip()]


# ---- S.schema.h ----

class Header:
    def __init__(self, schema):
        self.schema, self.names = schema, Names(schema)
        self.lines = []
        self.known = set()        # record names whose struct is written
        self.lists = all_lists(schema)

    def text(self):
        schema, names = self.schema, self.names
        guard = "DURE_SCHEMA_%s_H" % names.upper
        self.lines = head(schema, [
            "Messages of the service %s: structs, encoders, decoders and calls." % names.service,
            "",
            "Encoders write one MessagePack object; a failure stays in the packer. Decoders allocate",
            "nothing: what they give out points into the bytes of the cursor. They return OK,",
            "BAD_REQUEST or MALFORMED, then *out is undefined and mistake (NULL: not wanted) says",
            "what is wrong. Calls and notifies: as dure_rpc_call and dure_rpc_notify; on_done gets",
            "the result, or NULL with the outcome's error. Replies: as dure_request_reply.",
        ])
        self.lines += ["#ifndef " + guard, "#define " + guard, "", '#include "cluster/rpc.h"',
                       '#include "wire/field.h"', ""]
        self.constants()
        self.types()
        self.codecs()
        self.calls()
        self.lines += ["", "#endif", ""]
        return "\n".join(self.lines)

    def constants(self):
        names = self.names
        self.lines.append("#define %s_schema_hash UINT64_C(0x%016x)"
                          % (names.service, schema_hash(self.schema)))
        self.lines.append("")
        for method in self.schema.methods:
            self.lines.append("#define %s_METHOD_%s %du" % (
                names.upper, method.name.upper(), self.schema.number * 256 + method.number))
        for event in self.schema.events:
            self.lines.append('#define %s_EVENT_%s "%s"' % (names.upper, event.name.upper(),
                                                            event.name))

    def types(self):
        schema, names = self.schema, self.names
        self.lines += ["", "/*",
                       " * A list or map: items and count as written by hand; or raw, one whole"
                       " MessagePack array or map,",
                       " * which is what decoding gives (with count, and items NULL).", " */"]
        self.ready_lists()
        for record in schema.records:
            self.struct(names.record(record), record)
            self.known.add(record.name)
            self.ready_lists()
        for method in schema.methods:
            self.struct("%s%s_params" % (names.prefix, method.name), method.params)
            if method.result is not None:
                self.result_type(method)
        for event in schema.events:
            self.struct("%s%s_event" % (names.prefix, event.name), event)

    def result_type(self, method):
        name = "%s%s_result" % (self.names.prefix, method.name)
        if is_inline(method.result):
            self.struct(name, method.result.record)
        else:
            self.lines += ["", "typedef %s %s;" % (self.names.c_type(method.result), name)]

    def ready_lists(self):
        """Writes the lists whose elements are known by now."""
        for kind in list(self.lists):
            inner = inner_record(kind)
            if inner is not None and inner.name not in self.known:
                continue
            self.lists.remove(kind)
            self.list_type(kind)

    def list_type(self, kind):
        name, element = self.names.list(kind), self.names.c_type(kind.element)
        if kind.kind == "map":
            self.lines += ["", "typedef struct %s_entry {" % name, "    dure_str key;",
                           "    %s value;" % element, "} %s_entry;" % name]
            element = name + "_entry"
        self.lines += ["", "typedef struct %s {" % name, "    const %s *items;" % element,
                       "    uint32_t count;", "    dure_slice raw;", "} %s;" % name]

    def struct(self, name, record):
        self.lines += [""] + c_comment(record.note)
        self.lines.append("typedef struct %s {" % name)
        for field in record.fields:
            self.lines += c_comment(field.note, "    ")
            if field.optional:
                self.lines.append("    bool has_%s;" % field.name)
            self.lines.append("    %s %s;" % (self.names.c_type(field.type), field.name))
        if not record.fields:
            self.lines.append("    uint8_t _none; /* C has no empty struct */")
        self.lines.append("} %s;" % name)

    def codecs(self):
        schema, names = self.schema, self.names
        for kind in all_lists(schema):
            item = names.list(kind) + "_entry" if kind.kind == "map" else names.c_type(kind.element)
            self.lines += ["", "/* Steps through; *inout_at is 0 to begin with. False at the end. */"]
            self.lines += call(names.list(kind) + "_next",
                               ["const %s *list" % names.list(kind), "size_t *inout_at",
                                item + " *out_item"], before="bool ")
        for record in schema.records:
            self.lines.append("")
            if record.as_map:
                self.lines += encode_head(names, snake(record.name) + "_map", names.record(record))
                self.lines[-1] += ";"
            self.codec(snake(record.name), names.record(record))
        for method in schema.methods:
            self.lines.append("")
            self.codec(method.name + "_params", names.prefix + method.name + "_params")
            if method.result is not None:
                self.codec(method.name + "_result", names.prefix + method.name + "_result")
        for event in schema.events:
            self.lines.append("")
            self.codec(event.name + "_event", names.prefix + event.name + "_event")

    def codec(self, name, c_type):
        self.lines += encode_head(self.names, name, c_type)
        self.lines[-1] += ";"
        lines = decode_head(self.names, name, c_type)
        self.lines += lines[:-1] + [lines[-1] + ";"]

    def calls(self):
        for method in self.schema.methods:
            self.lines += [""] + c_comment(method.note)
            if method.is_notify:
                lines = notify_head(self.names, method)
            else:
                self.lines += done_type(self.names, method)
                lines = call_head(self.names, method)
                lines[-1] += ";"
                lines += reply_head(self.names, method)
            self.lines += lines[:-1] + [lines[-1] + ";"]


def encode_head(names, name, c_type):
    return call(names.encode(name), ["dure_packer *packer", "const %s *value" % c_type],
                before="void ", end="")


def decode_head(names, name, c_type):
    return call(names.decode(name), ["dure_cursor *cursor", c_type + " *out",
                                     "dure_mistake *mistake"],
                before="DURE_CHECKED dure_err ", end="")


def notify_head(names, method):
    return call("%s_notify_%s" % (names.service, method.name),
                ["dure_rpc *rpc", "const dure_target *target", "uint64_t subject",
                 "const %s%s_params *params" % (names.prefix, method.name)],
                before="DURE_CHECKED dure_err ", end="")


def done_name(names, method):
    return "%s_%s_done_fn" % (names.service, method.name)


def done_type(names, method):
    return call("(*%s)" % done_name(names, method),
                ["void *ctx", "const dure_outcome *outcome",
                 "const %s%s_result *result" % (names.prefix, method.name)],
                before="typedef void ")


def call_head(names, method):
    return call("%s_call_%s" % (names.service, method.name),
                ["dure_rpc *rpc", "const dure_target *target",
                 "const %s%s_params *params" % (names.prefix, method.name),
                 "const dure_call_options *options", "%s on_done" % done_name(names, method),
                 "void *ctx", "dure_call_id *out_call"],
                before="DURE_CHECKED dure_err ", end="")


def reply_head(names, method):
    arguments = ["dure_request *request"]
    if is_by_value(method.result):
        arguments.append("%s%s_result result" % (names.prefix, method.name))
    elif not is_empty(method.result):
        arguments.append("const %s%s_result *result" % (names.prefix, method.name))
    return call("%s_reply_%s" % (names.service, method.name), arguments, before="void ", end="")


# ---- S.schema.c ----

def c_integer(value, kind):
    low, high = RANGES[kind]
    for name, bound in (("INT32_MIN", -2**31), ("INT32_MAX", 2**31 - 1), ("INT64_MIN", -2**63),
                        ("INT64_MAX", 2**63 - 1), ("UINT32_MAX", 2**32 - 1),
                        ("UINT64_MAX", 2**64 - 1)):
        if value == bound and value in (low, high):
            return name
    return {"i32": "%d", "u32": "%du", "i64": "INT64_C(%d)", "u64": "UINT64_C(%d)"}[kind] % value


def c_double(value):
    return repr(float(value))


def c_string(text):
    pieces = []
    for byte in text.encode("utf-8"):
        if byte in (0x22, 0x5c):
            pieces.append("\\" + chr(byte))
        elif 0x20 <= byte < 0x7f and byte != 0x3f:
            pieces.append(chr(byte))
        else:
            pieces.append("\\%03o" % byte)
    return '"%s"' % "".join(pieces)


def c_size(value, none):
    return none if value is None else "UINT32_MAX" if value == SIZE_MAX else "%du" % value


def c_str(text):
    return "(dure_str){%s, %d}" % (c_string(text), len(text.encode("utf-8")))


def c_default(field):
    value, kind = field.default, field.type.kind
    if kind in RANGES:
        return c_integer(value, kind)
    if kind in ("num", "f64"):
        return c_double(value)
    if kind == "bool":
        return "true" if value else "false"
    return "{%s, %d}" % (c_string(value), len(value.encode("utf-8")))


def c_start(kind):
    """What a value of this type is before anything was read; None where that is zero."""
    if kind.kind == "str":
        return '{"", 0}'
    if kind.kind in ("bin", "any"):
        return '{(const uint8_t *)"", 0}'
    if kind.kind == "record":
        starts = c_starts(kind.record)
        return "{%s}" % ", ".join(starts) if starts else None
    return None


def c_starts(record):
    starts = []
    for field in record.fields:
        start = c_start(field.type) if field.default is None else c_default(field)
        if start is not None:
            starts.append(".%s = %s" % (field.name, start))
    return starts


class Source:
    def __init__(self, schema):
        self.schema, self.names = schema, Names(schema)
        self.lines = []

    def text(self):
        schema, names = self.schema, self.names
        self.lines = head(schema, ["Encoders, decoders and calls of the service %s; see"
                                   " %s.schema.h." % (names.service, names.service)])
        self.lines += ['#include "%s.schema.h"' % names.service, "", "#include <float.h>"]
        # Statics are written before their users: contained things first.
        lists = all_lists(schema)
        self.written = set()
        self.ready_lists(lists)
        for record in schema.records:
            self.record(record)
            self.written.add(record.name)
            self.ready_lists(lists)
        for method in schema.methods:
            self.params(method)
            if method.result is not None:
                self.result(method)
        for event in schema.events:
            self.event(event)
        self.calls()
        return "\n".join(self.lines + [""])

    def block(self, heads, body):
        """A function from the lines of its head and body."""
        self.lines += [""] + heads + ["{"] + ["    " + line if line else "" for line in body] + ["}"]

    # lists and maps

    def ready_lists(self, lists):
        for kind in list(lists):
            inner = inner_record(kind)
            if inner is None or inner.name in self.written:
                lists.remove(kind)
                self.list(kind)

    def list(self, kind):
        self.list_read(kind)
        self.list_next(kind)
        inner = inner_record(kind)
        forms = [False, True] if inner is not None else [False]
        for as_map in forms:
            if inner is None or (inner.as_map if as_map else inner.as_array):
                self.list_put(kind, as_map)

    def item_type(self, kind):
        return self.names.list(kind) + "_entry" if kind.kind == "map" \
            else self.names.c_type(kind.element)

    def list_read(self, kind):
        """Reads all elements once, so that the steps through them cannot fail."""
        name, element = self.names.list(kind), kind.element
        body = ["const uint8_t *start = cursor->at;", "uint32_t count = 0;",
                "dure_err err = dure_field_%s(cursor, min, max, &count, mistake);" % kind.kind,
                "for (uint32_t i = 0; i < count && err == DURE_OK; i++) {"]
        if kind.kind == "map":
            body += ["    dure_str key;",
                     "    err = dure_field_str(cursor, 0, UINT32_MAX, false, &key, mistake);",
                     "    if (err != DURE_OK) {",
                     "        return dure_mistake_at(mistake, i, err);", "    }"]
        body += ["    %s item;" % self.names.c_type(element)]
        body += ["    " + line for line in self.read(element, "item")]
        body += ["    if (err != DURE_OK) {", "        return dure_mistake_at(mistake, i, err);",
                 "    }", "}", "if (err == DURE_OK) {",
                 "    *out = (%s){.count = count, .raw = {start, (size_t)(cursor->at - start)}};"
                 % name, "}", "return err;"]
        self.block(call("read_" + self.names.list_base(kind),
                        ["dure_cursor *cursor", "uint32_t min", "uint32_t max", name + " *out",
                         "dure_mistake *mistake"], before="static dure_err ", end=""), body)

    def list_next(self, kind):
        name = self.names.list(kind)
        body = ["if (list->items != NULL) {", "    if (*inout_at >= list->count) {",
                "        return false;", "    }", "    *out_item = list->items[(*inout_at)++];",
                "    return true;", "}", "dure_cursor here;",
                "if (!dure_field_next(list->raw, *inout_at, &here)) {", "    return false;", "}",
                "dure_cursor *cursor = &here;", "dure_mistake *mistake = NULL;",
                "dure_err err = DURE_OK;"]
        if kind.kind == "map":
            body += ["err = dure_field_str(cursor, 0, UINT32_MAX, false, &out_item->key, mistake);",
                     "if (err != DURE_OK) {", "    return false;", "}"]
            target = "out_item->value"
        else:
            target = "*out_item"
        body += self.read(kind.element, target)
        body += ["if (err != DURE_OK) {", "    return false;", "}",
                 "*inout_at = (size_t)(cursor->at - list->raw.data);", "return true;"]
        self.block(call(name + "_next", ["const %s *list" % name, "size_t *inout_at",
                                         self.item_type(kind) + " *out_item"],
                        before="bool ", end=""), body)

    def list_put(self, kind, as_map):
        name = self.names.list(kind)
        put = "array" if kind.kind == "list" else "map"
        body = []
        has_records = inner_record(kind) is not None
        if not has_records:
            body += ["if (list->items == NULL) {",
                     "    dure_field_put_%s(packer, list->raw);" % kind.kind, "    return;", "}",
                     "dure_packer_%s(packer, list->count);" % put]
        else:
            body += ["uint32_t count = list->items != NULL ? list->count"
                     " : dure_field_count(list->raw);", "dure_packer_%s(packer, count);" % put]
        body += ["size_t at = 0;", "%s item;" % self.item_type(kind),
                 "while (%s_next(list, &at, &item)) {" % name]
        if kind.kind == "map":
            body.append("    dure_packer_str(packer, item.key);")
        body += ["    " + line for line in self.put(
            kind.element, "item.value" if kind.kind == "map" else "item", as_map)]
        body.append("}")
        self.block(call("put_%s%s" % (self.names.list_base(kind), "_as_map" if as_map else ""),
                        ["dure_packer *packer", "const %s *list" % name],
                        # Which of the two forms is needed depends on who calls the methods.
                        before="DURE_UNUSED static void ", end=""), body)

    # one value

    def read(self, kind, target):
        """Lines that read one value into target and set err."""
        low, high = kind.low, kind.high
        out = target[1:] + "" if target.startswith("*") else "&" + target
        if kind.kind == "record":
            name = self.names.decode(snake(kind.record.name))
            arguments = ["cursor", out, "mistake"]
        elif kind.element is not None:
            name = "read_" + self.names.list_base(kind)
            arguments = ["cursor", c_size(low, "0"), c_size(high, "UINT32_MAX"), out, "mistake"]
        elif kind.kind in RANGES:
            least, most = RANGES[kind.kind]
            name = "dure_field_" + kind.kind
            arguments = ["cursor", c_integer(least if low is None else low, kind.kind),
                         c_integer(most if high is None else high, kind.kind), out, "mistake"]
        elif kind.kind == "num":
            name = "dure_field_num"
            arguments = ["cursor", "-DBL_MAX" if low is None else c_double(low),
                         "DBL_MAX" if high is None else c_double(high), out, "mistake"]
        elif kind.kind in ("str", "bin"):
            name = "dure_field_" + kind.kind
            arguments = ["cursor", c_size(low, "0"), c_size(high, "UINT32_MAX")]
            arguments += [("true" if kind.plain else "false")] if kind.kind == "str" else []
            arguments += [out, "mistake"]
        else:
            name = "dure_field_" + kind.kind
            arguments = ["cursor", out, "mistake"]
        return call(name, arguments, before="err = ")

    def put(self, kind, value, as_map):
        """Lines that write one value."""
        if kind.kind == "record":
            name = snake(kind.record.name) + ("_map" if as_map else "")
            return ["%s(packer, &%s);" % (self.names.encode(name), value)]
        if kind.element is not None:
            suffix = "_as_map" if as_map and inner_record(kind) is not None else ""
            return ["put_%s%s(packer, &%s);" % (self.names.list_base(kind), suffix, value)]
        if kind.kind == "any":
            return ["dure_field_put_any(packer, %s);" % value]
        name = {"num": "number", "i32": "i64", "u32": "u64"}.get(kind.kind, kind.kind)
        return ["dure_packer_%s(packer, %s);" % (name, value)]

    # records

    def read_field(self, field):
        lines = self.read(field.type, "out->" + field.name)
        lines += ["if (err != DURE_OK) {",
                  '    return dure_mistake_in(mistake, "%s", err);' % field.name, "}"]
        if not field.optional:
            return lines
        return ["if (!dure_field_absent(cursor)) {"] + ["    " + line for line in lines] + \
            ["    out->has_%s = true;" % field.name, "}"]

    def start_value(self, record, c_type):
        """What is missing has its default; text and bytes have a pointer, whatever came."""
        return "*out = (%s){%s};" % (c_type, ", ".join(c_starts(record)) or "0")

    def missing(self, field):
        """Lines for a field that is not there though its limits allow no default."""
        return ['return dure_mistake_in(mistake, "%s", dure_field_missing(mistake));' % field.name]

    def array_body(self, record, least, most):
        """Fields by position; the first `least` are there, the rest may be missing."""
        body = ["uint32_t count = 0;"]
        if most is None and record.as_map:
            body += ["dure_err err = dure_field_record(cursor, &count, mistake);"]
        elif most is None:
            body += ["dure_err err = dure_field_list(cursor, 0, UINT32_MAX, &count, mistake);"]
        else:
            body += ["dure_err err = dure_field_params(cursor, %du, %s, &count, mistake);"
                     % (least, "UINT32_MAX" if most == SIZE_MAX else "%du" % most)]
        body += ["if (err != DURE_OK) {", "    return err;", "}"]
        for i, field in enumerate(record.fields):
            lines = self.read_field(field)
            if i >= least:
                lines = ["if (count > %du) {" % i] + ["    " + line for line in lines]
                if must_be_given(field):
                    lines += ["} else {"] + ["    " + line for line in self.missing(field)]
                lines.append("}")
            body += lines
        if most is None or most == SIZE_MAX:
            body.append("return dure_field_rest(cursor, %du, count, mistake);" % len(record.fields))
        else:
            body.append("return DURE_OK;")
        return body

    def map_body(self, record):
        """Fields by name, in any order; unknown ones are skipped."""
        wanted = [field for field in record.fields if must_be_given(field)]
        body = ["bool had_%s = false;" % field.name for field in wanted]
        body += ["uint32_t count = 0;",
                "dure_err err = dure_field_record(cursor, &count, mistake);",
                "for (uint32_t i = 0; i < count && err == DURE_OK; i++) {", "    dure_str key;",
                "    err = dure_field_str(cursor, 0, UINT32_MAX, false, &key, mistake);",
                "    if (err != DURE_OK) {", "        return dure_mistake_at(mistake, i, err);",
                "    }"]
        before = "    "
        for field in record.fields:
            body.append("%sif (dure_str_equal(key, %s)) {" % (before, c_str(field.name)))
            body += ["        " + line for line in self.read_field(field)]
            if field in wanted:
                body.append("        had_%s = true;" % field.name)
            before = "    } else "
        if record.fields:
            body += ["    } else {", "        err = dure_field_rest(cursor, 0, 1, mistake);",
                     "    }"]
        else:
            body.append("    err = dure_field_rest(cursor, 0, 1, mistake);")
        body.append("}")
        for field in wanted:
            body += ["if (err == DURE_OK && !had_%s) {" % field.name]
            body += ["    " + line for line in self.missing(field)] + ["}"]
        return body + ["return err;"]

    def put_array(self, record, as_map):
        body = ["dure_packer_array(packer, %du);" % len(record.fields)]
        for field in record.fields:
            lines = self.put(field.type, "value->" + field.name, as_map)
            if field.optional:
                lines = ["if (value->has_%s) {" % field.name] + ["    " + l for l in lines] + \
                    ["} else {", "    dure_packer_nil(packer);", "}"]
            body += lines
        return body + ([] if record.fields else ["(void)value;"])

    def put_map(self, record):
        optional = [f for f in record.fields if f.optional]
        body = ["uint32_t pairs = %du;" % (len(record.fields) - len(optional))]
        body += ["pairs += value->has_%s ? 1u : 0u;" % f.name for f in optional]
        body.append("dure_packer_map(packer, pairs);")
        for field in record.fields:
            lines = ["dure_packer_str(packer, %s);" % c_str(field.name)]
            lines += self.put(field.type, "value->" + field.name, True)
            if field.optional:
                lines = ["if (value->has_%s) {" % field.name] + ["    " + l for l in lines] + ["}"]
            body += lines
        return body + ([] if record.fields else ["(void)value;"])

    def decode_record(self, record, name, c_type):
        """Takes the form of nodes, and where clients see the record, theirs as well."""
        if not record.as_map:
            self.block(decode_head_plain(self.names, name, c_type),
                       [self.start_value(record, c_type)] + self.array_body(record, 0, None))
            return
        heads = [call("%s_from_%s" % (name, form), ["dure_cursor *cursor", c_type + " *out",
                                                    "dure_mistake *mistake"],
                      before="static dure_err ", end="") for form in ("map", "array")]
        unused = [] if record.fields else ["(void)out;"]
        self.block(heads[0], unused + self.map_body(record))
        self.block(heads[1], unused + self.array_body(record, 0, None))
        self.block(decode_head_plain(self.names, name, c_type),
                   [self.start_value(record, c_type),
                    "return dure_cursor_peek(cursor) == DURE_WIRE_MAP"] +
                   call(name + "_from_map", ["cursor", "out", "mistake"], "           ", "? ", "") +
                   call(name + "_from_array", ["cursor", "out", "mistake"], "           ", ": "))

    def record(self, record):
        name, c_type = snake(record.name), self.names.record(record)
        if record.as_map:
            self.block(encode_head(self.names, name + "_map", c_type), self.put_map(record))
        mark_needed = record.as_array or not record.as_map
        self.block(encode_head(self.names, name, c_type),
                   self.put_array(record, False) if mark_needed
                   else ["%s(packer, value);" % self.names.encode(name + "_map")])
        self.decode_record(record, name, c_type)

    def params(self, method):
        name = method.name + "_params"
        c_type = self.names.prefix + name
        outside = method.is_outside()
        fields = method.params.fields
        self.block(encode_head(self.names, name, c_type), self.put_array(method.params, outside))
        least = len([f for f in fields if not f.optional and f.default is None]) if outside else 0
        most = len(fields) if outside else SIZE_MAX
        self.block(decode_head_plain(self.names, name, c_type),
                   [self.start_value(method.params, c_type)] +
                   self.array_body(method.params, least, most))

    def result(self, method):
        name = method.name + "_result"
        c_type = self.names.prefix + name
        kind, outside = method.result, method.is_outside()
        if is_inline(kind):
            self.block(encode_head(self.names, name, c_type),
                       self.put_map(kind.record) if outside else self.put_array(kind.record, False))
            self.decode_record(kind.record, name, c_type)
            return
        lines = self.put(kind, "*value", outside)
        self.block(encode_head(self.names, name, c_type),
                   [line.replace("&*value", "value") for line in lines])
        self.block(decode_head_plain(self.names, name, c_type),
                   ["dure_err err = DURE_OK;"] + self.read(kind, "*out") + ["return err;"])

    def event(self, event):
        name = event.name + "_event"
        c_type = self.names.prefix + name
        self.block(encode_head(self.names, name, c_type), self.put_array(event, True))
        self.block(decode_head_plain(self.names, name, c_type),
                   [self.start_value(event, c_type)] + self.array_body(event, 0, SIZE_MAX))

    # calls

    def calls(self):
        if any(not m.is_notify for m in self.schema.methods):
            self.lines += ["", "/* What a caller is told when the answer does not follow the"
                           " schema. */"]
            self.lines += [
                "static dure_outcome outcome_unreadable(const dure_outcome *outcome)", "{",
                "    dure_outcome bad = *outcome;", "    bad.status = DURE_ERR_INTERNAL;",
                "    bad.code = DURE_ERR_INTERNAL;",
                '    bad.name = dure_str_of("INTERNAL");',
                '    bad.text = dure_str_of("the answer does not follow the schema");',
                "    bad.body = (dure_slice){NULL, 0};", "    return bad;", "}"]
        for method in self.schema.methods:
            if method.is_notify:
                self.notify(method)
            else:
                self.done(method)
                self.call(method)
                self.reply(method)

    def done(self, method):
        names = self.names
        c_type = "%s%s_result" % (names.prefix, method.name)
        body = ["%s on_done = (%s)dure_outcome_typed(outcome);" % ((done_name(names, method),) * 2),
                "if (on_done == NULL) {", "    return;", "}",
                "if (outcome->status != DURE_OK) {", "    on_done(ctx, outcome, NULL);",
                "    return;", "}", "%s result;" % c_type,
                "dure_cursor cursor = dure_cursor_of(outcome->body.data, outcome->body.len);",
                "if (%s(&cursor, &result, NULL) != DURE_OK) {" % names.decode(
                    method.name + "_result"),
                "    dure_outcome bad = outcome_unreadable(outcome);",
                "    on_done(ctx, &bad, NULL);", "    return;", "}",
                "on_done(ctx, outcome, &result);"]
        self.block(["static void %s_done(void *ctx, const dure_outcome *outcome)" % method.name],
                   body)

    def call(self, method):
        names = self.names
        body = ["dure_packer *packer = dure_rpc_call_begin(rpc);",
                "%s(packer, params);" % names.encode(method.name + "_params")]
        flags = [FLAGS[f] for f in CALLER_FLAGS if f in method.flags]
        if flags:
            body.insert(0, "dure_call_options all = dure_call_options_for(options, %s);" % flags[0])
        body += call("dure_rpc_call_send",
                     ["rpc", "target", "%s_METHOD_%s" % (names.upper, method.name.upper()),
                      "&all" if flags else "options", method.name + "_done", "(dure_typed_fn)on_done", "ctx",
                      "out_call"], before="return ")
        lines = call_head(names, method)
        self.block([line.replace("DURE_CHECKED ", "") for line in lines[:1]] +
                   [line[len("DURE_CHECKED "):] for line in lines[1:]], body)

    def notify(self, method):
        names = self.names
        body = ["dure_packer *packer = dure_rpc_call_begin(rpc);",
                "%s(packer, params);" % names.encode(method.name + "_params")]
        body += call("dure_rpc_notify_send",
                     ["rpc", "target", "%s_METHOD_%s" % (names.upper, method.name.upper()),
                      "subject"], before="return ")
        lines = notify_head(names, method)
        self.block([line.replace("DURE_CHECKED ", "") for line in lines[:1]] +
                   [line[len("DURE_CHECKED "):] for line in lines[1:]], body)

    def reply(self, method):
        names, kind = self.names, method.result
        name = names.encode(method.name + "_result")
        body = ["dure_packer *packer = dure_request_reply_begin(request);"]
        if is_empty(kind):
            body += ["%s%s_result result = {0};" % (names.prefix, method.name),
                     "%s(packer, &result);" % name]
        else:
            body.append("%s(packer, %sresult);" % (name, "&" if is_by_value(kind) else ""))
        body.append("dure_request_reply_end(request);")
        self.block(reply_head(names, method), body)


def decode_head_plain(names, name, c_type):
    return call(names.decode(name), ["dure_cursor *cursor", c_type + " *out",
                                     "dure_mistake *mistake"], before="dure_err ", end="")


# ---- S.role.h ----

def role_text(schema):
    names = Names(schema)
    service = names.service
    guard = "DURE_ROLE_%s_H" % names.upper
    lines = head(schema, [
        "The methods of the service %s, for the one file that holds their handlers: it includes"
        % service,
        "this and defines every on_... declared here. %s_methods is the table for a dure_role."
        % service, "",
        "`in` lives as long as its request. A wrong parameter never reaches a handler."])
    lines += ["#ifndef " + guard, "#define " + guard, "", '#include "%s.schema.h"' % service]
    for method in schema.methods:
        lines += [""] + c_comment(method.note)
        lines += call("on_" + method.name,
                      ["dure_request *request", "const %s%s_params *in" % (names.prefix, method.name),
                       "void *state"], before="static void ")
    lines += role_wrong(schema)
    for method in schema.methods:
        lines += role_serve(names, method)
    lines += ["", "static const dure_method %s_methods[] = {" % service]
    for method in schema.methods:
        flags = [FLAGS[flag] for flag in method.flags]
        flags += ["DURE_METHOD_NOTIFY"] if method.is_notify else []
        row = ["{%s_METHOD_%s," % (names.upper, method.name.upper()),
               (" | ".join(flags) or "0") + ",", '"%s",' % method.name,
               "serve_%s}," % method.name]
        lines.append("    " + " ".join(row))
    lines += ["    {0, 0, NULL, NULL},", "};", "", "#endif", ""]
    return "\n".join(lines)


def role_wrong(schema):
    if not schema.methods:
        return []
    return ["", "static void serve_wrong(dure_request *request, const dure_mistake *mistake)", "{",
            "    char text[DURE_MISTAKE_TEXT_BYTES];",
            '    dure_request_fail(request, DURE_ERR_BAD_REQUEST, "%s",',
            "                      dure_mistake_print(mistake, text, sizeof text));", "}"]


def role_serve(names, method):
    c_type = "%s%s_params" % (names.prefix, method.name)
    return ["", "static void serve_%s(dure_request *request, dure_slice params, void *state)"
            % method.name, "{",
            "    %s *in = dure_request_room(request, sizeof *in);" % c_type,
            "    if (in == NULL) {",
            '        dure_request_fail(request, DURE_ERR_OVERLOADED, "out of memory");',
            "        return;", "    }", "    dure_mistake mistake;",
            "    dure_mistake_init(&mistake);",
            "    dure_cursor cursor = dure_cursor_of(params.data, params.len);",
            "    if (%s(&cursor, in, &mistake) != DURE_OK) {"
            % names.decode(method.name + "_params"),
            "        serve_wrong(request, &mistake);", "        return;", "    }",
            "    on_%s(request, in, state);" % method.name, "}"]


# ---- docs/methods.md ----

def page_type(kind):
    if is_inline(kind):
        return page_fields(kind.record.fields, "{", "}")
    return kind.full_text()


def page_fields(fields, left, right):
    shown = []
    for field in fields:
        text = "%s: %s" % (field.name, field.type.full_text())
        if field.default is not None:
            text += " = " + json.dumps(field.default, ensure_ascii=False)
        shown.append(text + (", optional" if field.optional else ""))
    return left + "; ".join(shown) + right


def page_who(method):
    if "client" in method.flags:
        who = "clients" + (", also before login" if "no_login" in method.flags else "")
    else:
        who = "admins" if "admin" in method.flags else "nodes"
    more = [f for f in method.flags if f in ("idempotent", "key_param", "keyed", "barrier")]
    return ", ".join([who] + more + (["no answer"] if method.is_notify else []))


def page_row(method):
    params = page_fields(method.params.fields, "[", "]")
    result = "" if method.result is None else "`%s`" % page_type(method.result)
    return "| `%s` | %s | `%s` | %s | %s |" % (method.name, page_who(method), params, result,
                                               method.note.replace("|", "\\|"))


def methods_page(schemas):
    lines = ["# Methods", "",
             "Written by dure-schema from proto/; a change belongs there. Types and limits:"
             " [schema.md](schema.md).", "",
             "Parameters are an array, in this order. A record in a method of clients or admins is a"
             " map with", "these keys; between nodes it is an array in this order."]
    for schema in schemas:
        lines += ["", "## %s (service %d)" % (schema.service, schema.number), ""]
        lines += [schema.note, ""] if schema.note else []
        lines += ["Schema hash `%016x`." % schema_hash(schema)]
        if schema.methods:
            lines += ["", "| method | for | parameters | result | |", "|---|---|---|---|---|"]
            lines += [page_row(method) for method in sorted(schema.methods, key=lambda m: m.number)]
        if schema.events:
            lines += ["", "Notifications to clients:", "", "| event | parameters | |", "|---|---|---|"]
            lines += ["| `%s` | `%s` | %s |" % (e.name, page_fields(e.fields, "[", "]"),
                                               e.note.replace("|", "\\|")) for e in schema.events]
        for record in schema.records:
            lines += ["", "`%s`: `%s` %s" % (record.name, page_fields(record.fields, "{", "}"),
                                            record.note)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


# ---- the program ----

def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise Mistake((path, 1, 1), "the file is not UTF-8")
    schema = Parser(path, text).parse()
    check_schema(schema)
    return schema


def write(path, text):
    """Replaces the file whole, so that a build that is stopped leaves no half of it."""
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    part = "%s.%d.part" % (path, os.getpid())
    with open(part, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(part, path)


def accepted_path(schema, folder):
    stem = os.path.splitext(os.path.basename(schema.path))[0]
    return os.path.join(folder or os.path.join(os.path.dirname(schema.path), "accepted"),
                        stem + ".json")


def check_accepted(schema, path, strict):
    if not os.path.exists(path):
        return [Mistake(schema.where, "nothing is accepted yet (%s)" % path)] if strict else []
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        accepted = json.loads(text)
        mistakes = Compatibility(schema, accepted).check()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [Mistake((path, 1, 1), "not an accepted schema: %s" % error)]
    if not mistakes and strict and accepted != schema_state(schema):
        return [Mistake(schema.where, "there is more here than %s says; run with --accept" % path)]
    return mistakes


def generate(schema, out):
    base = os.path.join(out, schema.service)
    write(base + ".schema.h", Header(schema).text())
    write(base + ".schema.c", Source(schema).text())
    write(base + ".role.h", role_text(schema))


def complain(mistake):
    print("%s:%d:%d: %s" % (mistake.where + (mistake,)), file=sys.stderr)


def options():
    parser = argparse.ArgumentParser(prog="dure-schema", description="Turns schemas into C.")
    parser.add_argument("files", nargs="+", metavar="FILE.dure")
    parser.add_argument("--out", metavar="DIR", help="write S.schema.h, S.schema.c and S.role.h here")
    parser.add_argument("--docs", metavar="FILE", help="write the reference page of all files here")
    parser.add_argument("--accepted", metavar="DIR",
                        help="where what was accepted is kept (default: accepted/ beside the file)")
    parser.add_argument("--accept", action="store_true",
                        help="remember the present form; still refuses what breaks an earlier one")
    parser.add_argument("--break", dest="break_", action="store_true",
                        help="with --accept: forget the earlier form, whoever speaks it")
    parser.add_argument("--strict", action="store_true",
                        help="refuse what is not accepted yet, too")
    return parser.parse_args()


def run(args):
    schemas, failed = [], False
    for path in args.files:
        schema = load(path)
        accepted = accepted_path(schema, args.accepted)
        if not (args.accept and args.break_):
            mistakes = check_accepted(schema, accepted, args.strict and not args.accept)
            for mistake in mistakes:
                complain(mistake)
            failed = failed or bool(mistakes)
        schemas.append((schema, accepted))
    if failed:
        return 1
    for schema, accepted in schemas:
        if args.accept:
            write(accepted, state_text(schema))
        if args.out:
            generate(schema, args.out)
        print("%s %d %016x" % (schema.service, schema.number, schema_hash(schema)))
    if args.docs:
        write(args.docs, methods_page([schema for schema, _ in schemas]))
    return 0


def main():
    args = options()
    if args.break_ and not args.accept:
        print("dure-schema: --break goes with --accept", file=sys.stderr)
        return 2
    try:
        return run(args)
    except Mistake as mistake:
        complain(mistake)
    except OSError as error:
        print("dure-schema: %s" % error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
