"""pycrdt's side of the differential test: one JSON request a line, one JSON answer a line.

{"op": "story", "seed": n}                      -> {"updates": [hex, ...]}: what a few people wrote, in the order in which a
                                                   server could get it, each closed under those before it
{"op": "judge", "base": [hex], "update": hex}   -> {"error": text} or {"state": hex, "update": hex, "content": ...}

Content has the form that crdt/examples/gate_oracle.rs describes.
"""

import json
import random
import struct
import sys

import pycrdt
from pycrdt import Array, Doc, Map, Text, UndoManager

ROOTS = ["nodes", "edges", "meta", "comments"]
TEXTS = ["", "x", "web", "Größe", "🔑", "a🔑b𝄞c", "日本語", "\u0000", "\ufeffmark", "x" * 40]
LETTERS = ["a", "bc", "é", "日本", "def"]


def new_doc(client):
    doc = Doc(client_id=client)
    for root in ROOTS:
        doc.get(root, type=Map)
    return doc


# --- content


def number(value):
    value = float(value)
    if value != value:
        return "n:nan"
    return "n:" + struct.pack(">d", value if value != 0 else 0.0).hex()


def content(value):
    if isinstance(value, Map):
        return {"$map": {key: content(value[key]) for key in value.keys()}}
    if isinstance(value, Array):
        return {"$array": [content(value[at]) for at in range(len(value))]}
    if isinstance(value, Text):
        return {"$text": str(value)}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return number(value) if int(float(value)) == value else f"i:{value}"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return "s:" + value
    if isinstance(value, (bytes, bytearray)):
        return "b:" + bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [content(one) for one in value]
    if isinstance(value, dict):
        return {key: content(one) for key, one in value.items()}
    return {"$other": {}}


# --- judging


def judge(base, update):
    doc = new_doc(99)
    for one in base:
        doc.apply_update(bytes.fromhex(one))
    try:
        doc.apply_update(bytes.fromhex(update))
        roots = {root: content(doc.get(root, type=Map)) for root in ROOTS}
        return {"state": doc.get_state().hex(), "update": doc.get_update().hex(), "content": roots}
    except BaseException as error:  # a panic of the library is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"error": f"{type(error).__name__}: {error}"[:200]}


# --- writing


class Person:
    def __init__(self, client, rng):
        self.doc = new_doc(client)
        self.rng = rng
        self.sent = []
        scopes = [self.doc.get(root, type=Map) for root in ROOTS]
        self.undo = UndoManager(scopes=scopes, capture_timeout_millis=0)

    def receive(self, update):
        self.doc.apply_update(update)

    def value(self, depth=0):
        rng = self.rng
        kind = rng.randrange(12 if depth < 3 else 8)
        if kind == 0:
            return None
        if kind == 1:
            return rng.random() < 0.5
        if kind == 2:
            return rng.choice([0, 1, -1, 63, 64, 127, 128, 2**31, 2**53 - 1, -(2**53 - 1), 2**60])
        if kind == 3:
            return rng.choice([0.0, 0.5, -0.1, 1e300, 5e-324, float("inf")])
        if kind in (8, 9):
            return [self.value(depth + 1) for _ in range(rng.randrange(3))]
        if kind in (10, 11):
            # One key: the library writes several in any order, and a seed must tell the same story every time.
            return {rng.choice("abcd"): self.value(depth + 1) for _ in range(rng.randrange(2))}
        if kind == 4:
            return rng.randbytes(rng.randrange(4))
        return rng.choice(TEXTS)

    def shared(self, depth):
        rng = self.rng
        kind = rng.randrange(4 if depth < 3 else 2)
        if kind == 0:
            return Text(rng.choice(TEXTS))
        if kind == 1:
            return Array([self.value() for _ in range(rng.randrange(3))])
        return Map({"data": Map({})} if rng.random() < 0.5 else {rng.choice("abc"): self.value()})

    def edit_in(self, target, depth=0):
        rng = self.rng
        if isinstance(target, Text):
            # Offsets of pycrdt count bytes: only whole letters are cut.
            letters = str(target)
            at = rng.randrange(len(letters) + 1)
            start = len(letters[:at].encode())
            if letters and rng.random() < 0.4:
                end = min(len(letters), at + rng.randrange(1, 3))
                if at < end:
                    del target[start : len(letters[:end].encode())]
                    return
            target.insert(start, rng.choice(LETTERS))
        elif isinstance(target, Array):
            if len(target) and rng.random() < 0.35:
                del target[rng.randrange(len(target))]
            else:
                new = self.shared(depth) if rng.random() < 0.2 else self.value()
                target.insert(rng.randrange(len(target) + 1), new)
        else:
            keys = list(target.keys())
            nested = [key for key in keys if isinstance(target[key], (Map, Array, Text))]
            chance = rng.random()
            if nested and chance < 0.5:
                self.edit_in(target[rng.choice(nested)], depth + 1)
            elif keys and chance < 0.6:
                del target[rng.choice(keys)]
            elif chance < 0.8:
                target[rng.choice("abcdef")] = self.shared(depth)
            else:
                target[rng.choice(["name", "width", "position", "label"])] = self.value()

    def edit(self):
        before = self.doc.get_state()
        chance = self.rng.random()
        if chance < 0.1 and self.undo.can_undo():
            self.undo.undo()
        elif chance < 0.15 and self.undo.can_redo():
            self.undo.redo()
        else:
            with self.doc.transaction():
                for _ in range(self.rng.randrange(1, 4)):
                    self.edit_in(self.doc.get(self.rng.choice(ROOTS), type=Map))
        self.sent.append(self.doc.get_update(before))


def story(seed):
    rng = random.Random(seed)
    people = [Person(rng.choice([at + 1, 2**32 + at, 2**53 - 1 - at]), rng) for at in range(rng.randrange(1, 4))]
    server = new_doc(98)
    log = []

    def take(update):
        server.apply_update(update)
        log.append(update)

    for _ in range(rng.randrange(2, 9)):
        person = rng.choice(people)
        for _ in range(rng.randrange(1, 4)):
            person.edit()
        chance = rng.random()
        if chance < 0.35:
            for update in person.sent:
                take(update)
            person.sent = []
        elif chance < 0.55 and person.sent:
            take(pycrdt.merge_updates(*person.sent) if len(person.sent) < 9 else person.doc.get_update())
            person.sent = []
        elif chance < 0.8:
            take(person.doc.get_update(server.get_state()))
            person.sent = []
        if rng.random() < 0.6:
            reader = rng.choice(people)
            reader.receive(server.get_update(reader.doc.get_state()))
    for person in people:
        take(person.doc.get_update(server.get_state()))
    return {"updates": [update.hex() for update in log]}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "story":
            answer = story(request["seed"])
        else:
            answer = judge(request["base"], request["update"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
