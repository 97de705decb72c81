"""Runs the assembled root as an engine would, as far as this machine lets us: another user, a root that nobody can
write to, process 1, no new privileges."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# What the base image brings: https://github.com/GoogleContainerTools/distroless/tree/main/cc
BASE_LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"}


def add_base(root, binary):
    """Puts the libraries that the binary needs where it looks for them, and nothing else."""
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    for name, path in re.findall(r"^\s*(?:(\S+) => )?(/\S+) \(0x", listed, re.M):
        if name and name not in BASE_LIBRARIES:
            raise SystemExit(f"the binary needs {name}, which the base image does not have")
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Container:
    """One run. `user` is `uid:gid`; `volume` is the only folder that may be written to."""

    def __init__(self, root, volume, user, environment, command):
        self.root, self.volume, self.user = root, volume, user
        self.environment, self.command = environment, command
        self.is_isolated = os.geteuid() == 0 and can_unshare()

    def start(self):
        if self.is_isolated:
            mounts = 'mount --bind "$1" "$1" && mount --bind "$1/$2" "$1/$2" && mount -o remount,bind,ro "$1"'
            into = 'exec setpriv --no-new-privs chroot --userspec="$3" "$1" "${@:4}"'
            isolate = ["unshare", "--mount", "--pid", "--fork", "--", "bash", "-euc", f"{mounts} && {into}", "bash"]
            arguments = [*isolate, self.root, self.volume.strip("/"), self.user, *self.command]
        else:
            arguments = [self.root / self.command[0].lstrip("/"), *self.command[1:]]
        environment = self.environment | {"PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(list(map(str, arguments)), env=environment, cwd=self.root)
        return self

    @property
    def pid(self):
        """Of the server itself, as this machine counts."""
        if not self.is_isolated:
            return self.process.pid
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            if children:
                return int(children[0])
            time.sleep(0.05)
        raise SystemExit("the server's process did not appear")

    def inside(self, command):
        """The exit code of another command in the same root."""
        environment = self.environment | {"PATH": os.environ["PATH"]}
        if self.is_isolated:
            command = ["chroot", f"--userspec={self.user}", f"/proc/{self.pid}/root", *command]
        else:
            command = [str(self.root / command[0].lstrip("/")), *command[1:]]
        return subprocess.run(command, env=environment, check=False).returncode

    def stop(self):
        """SIGTERM to the server: its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(timeout=40)

    def kill(self):
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait(timeout=10)


def can_unshare():
    probe = ["unshare", "--mount", "--pid", "--fork", "--", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
