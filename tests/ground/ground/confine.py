"""Runs engines and scanners confined: a network with loopback alone, another user than root, read-only system files, no
other files of this machine, limits on processes, CPU time and file size.

Attacks are executed for real, so nothing runs where the confinement cannot be had.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

# An unprivileged user that owns no files.
UNPRIVILEGED = 65534
PROCESSES = 400
CPU_SECONDS = 240
FILE_BYTES = 200_000_000

PROBE = """
import os, socket, sys
assert os.getuid() != 0, "runs as root"
for path in ("/usr/x", "/etc/x", "/x"):
    try:
        open(path, "w")
    except OSError:
        continue
    sys.exit("can write " + path)
here = socket.socket()
here.bind(("127.0.0.1", 0))
here.listen()
socket.create_connection(here.getsockname(), 5).close()
names = sorted(name for _, name in socket.if_nameindex())
assert names == ["lo"], names
assert not os.path.exists(sys.argv[1]), "sees " + sys.argv[1]
print("confined")
"""


class Unavailable(Exception):
    """No namespace can be had here."""


def scratch():
    """A directory that the confined processes may write to. It appears to them as /scratch."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-ground-"))
    folder.chmod(0o777)
    return folder


def command(folder, argv, *, read_only=(), environment=None, processes=PROCESSES, cpu=CPU_SECONDS):
    """The command line that runs `argv` confined, with `folder` as /scratch and each (source, target) of `read_only`."""
    if shutil.which("bwrap") is None:
        raise Unavailable("bubblewrap is not installed (tests/install-deps.sh)")
    line = []
    if os.getuid() == 0:
        line += ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
    line += ["prlimit", f"--nproc={processes}", f"--cpu={cpu}", f"--fsize={FILE_BYTES}", "--core=0", "bwrap",
             "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc",
             "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin", "--symlink", "usr/lib", "/lib",
             "--symlink", "usr/lib64", "/lib64", "--dev", "/dev", "--proc", "/proc", "--size", "100000000", "--tmpfs", "/tmp",
             "--bind", str(folder), "/scratch", "--chdir", "/scratch", "--clearenv"]
    for source, target in read_only:
        line += ["--ro-bind", str(source), target]
    line += ["--remount-ro", "/"]
    values = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/scratch", "LANG": "C.UTF-8"} | (environment or {})
    for name, value in values.items():
        line += ["--setenv", name, value]
    return line + argv


def check(hidden):
    """Proves that the confinement holds: `hidden`, a path of this machine, must not be visible."""
    folder = scratch()
    try:
        probe = command(folder, ["/usr/bin/python3", "-c", PROBE, str(hidden)])
        done = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.stdout.strip() != "confined":
        raise Unavailable((done.stderr or done.stdout).strip()[-500:] or f"exit code {done.returncode}")
