"""Reads a Dockerfile and a .dockerignore as far as this project's own use them."""

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Step:
    """One instruction, continued lines joined."""

    word: str
    flags: list[str]
    text: str

    def flag(self, name):
        """The value of `--name=value`, or None."""
        return next((flag.split("=", 1)[1] for flag in self.flags if flag.startswith(f"--{name}=")), None)


@dataclass
class Stage:
    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def last(self, word):
        """The text of the last instruction of this kind, or None."""
        return next((step.text for step in reversed(self.steps) if step.word == word), None)


def dockerfile(text):
    """The stages in their order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    stages = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        word, flags = word.upper(), []
        while rest.startswith("--"):
            flag, _, rest = rest.partition(" ")
            flags.append(flag)
            rest = rest.lstrip()
        if word == "FROM":
            base, _, name = re.split(r"\s+", rest + " AS stage-" + str(len(stages)))[:3]
            stages.append(Stage(name, base))
        else:
            stages[-1].steps.append(Step(word, flags, rest))
    return stages


def pairs(text):
    """`A=1 B="two words"` as a dict."""
    return dict(word.split("=", 1) for word in shlex.split(text))


class Ignore:
    """What a .dockerignore keeps out of the context: the last pattern that matches a path, or a folder above it, decides."""

    def __init__(self, text):
        lines = [line.strip() for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        self.rules = [(line.startswith("!"), self._pattern(line.lstrip("!"))) for line in lines]

    @staticmethod
    def _pattern(glob):
        out, rest = "", glob.strip("/")
        while rest:
            if rest.startswith("**/"):
                out, rest = out + "(?:.*/)?", rest[3:]
            elif rest.startswith("**"):
                out, rest = out + ".*", rest[2:]
            elif rest[0] == "*":
                out, rest = out + "[^/]*", rest[1:]
            elif rest[0] == "?":
                out, rest = out + "[^/]", rest[1:]
            else:
                out, rest = out + re.escape(rest[0]), rest[1:]
        return re.compile(f"{out}(?:/.*)?")

    def keeps_out(self, path):
        out = False
        for lets_in, pattern in self.rules:
            if pattern.fullmatch(path):
                out = not lets_in
        return out

    def context(self, root):
        """Every file that an engine would be sent, as paths relative to `root`."""
        found = []
        for folder, folders, files in os.walk(root):
            below = Path(folder).relative_to(root)
            # Folders that hold far too much to be looked through; whether the file names them is checked on its own.
            folders[:] = sorted(name for name in folders if name not in (".git", "target", "node_modules"))
            for name in sorted(files):
                path = (below / name).as_posix()
                if not self.keeps_out(path):
                    found.append(path)
        return found
