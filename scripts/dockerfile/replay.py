"""Replays the COPY and RUN steps of a stage in a throw-away folder that stands for its root."""

import shutil
import subprocess
from pathlib import Path


class Replay:
    """`root` holds one folder per stage; `repository` is where the context comes from; `cache` stands for the cache of
    builds that an engine would keep between them."""

    def __init__(self, root, repository, context, cache):
        self.root, self.repository, self.context, self.cache = root, repository, context, cache

    def folder(self, stage, path="/"):
        return self.root / stage / path.strip("/")

    def run(self, stage, environment):
        """Every step that changes files, in order."""
        at = "/"
        self.folder(stage.name).mkdir(parents=True)
        for step in stage.steps:
            if step.word == "WORKDIR":
                at = step.text
                self.folder(stage.name, at).mkdir(parents=True, exist_ok=True)
            elif step.word == "COPY":
                self._copy(stage.name, at, step)
            elif step.word == "RUN":
                self._run(stage.name, at, step, environment)

    def _copy(self, stage, at, step):
        *sources, target = step.text.split()
        target = target if target.startswith("/") else f"{at}/{target}"
        into = self.folder(stage, target)
        many = target.endswith("/") or len(sources) > 1
        for source in sources:
            origin = step.flag("from")
            if origin:
                whole = self.folder(origin, source)
                files = [path.relative_to(whole) for path in whole.rglob("*")] if whole.is_dir() else None
                found = [whole] if files is None else [whole / path for path in files if (whole / path).is_file()]
            else:
                whole = self.repository / source
                found = [self.repository / path for path in self.context if is_below(path, source)]
            if not found and not whole.is_dir():
                raise SystemExit(f"COPY {source}: nothing of that name gets into the {'stage' if origin else 'context'}")
            if whole.is_dir():
                into.mkdir(parents=True, exist_ok=True)
            for file in found:
                # A folder gives its content, a file goes into a folder or becomes the target.
                name = file.relative_to(whole) if whole.is_dir() else Path(file.name) if many else Path(".")
                put(file, into / name)

    def _run(self, stage, at, step, environment):
        here = self.folder(stage, at)
        for mount in (flag.removeprefix("--mount=") for flag in step.flags if flag.startswith("--mount=")):
            target = dict(part.split("=", 1) for part in mount.split(","))["target"]
            if target.startswith(f"{at}/"):
                # A cache inside the stage: a link, gone when the step is done, so that nothing else can rest on it.
                link = self.folder(stage, target)
                link.symlink_to(self.cache)
        print(f"   RUN {step.text}", flush=True)
        try:
            subprocess.run(["/bin/sh", "-ec", step.text], cwd=here, env=environment, check=True)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"the step failed with {error.returncode}") from None
        for link in here.iterdir():
            if link.is_symlink():
                link.unlink()


def is_below(path, source):
    source = source.rstrip("/")
    return path == source or path.startswith(f"{source}/")


def put(file, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, target)
