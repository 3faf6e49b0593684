"""A real Slurm on loopback, in a scratch folder, with keys, sockets, ports and names of its own; nothing of
the system is touched.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
# daemons are often not on a user's path
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

# cred_expire: so long a job that is queued again waits, two minutes by default
CONF = """
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=3
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MpiDefault=none
KillWait=2
MaxArraySize={array}
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=6 RealMemory=1000 State=UNKNOWN
PartitionName=local Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """Why no Slurm can be started here; "" if one can."""
    absent = [name for name in NEEDED if not shutil.which(name, path=SEARCH)]
    if absent:
        return f"no Slurm here: {', '.join(absent)} not found (Debian: apt-get install slurm-wlm munge)"
    return "" if os.getuid() == 0 else "a Slurm of our own needs root, to start jobs as users do"


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Slurm:
    """The daemons of one cluster of one node that believes to have six CPUs: room for three jobs of two."""

    def __init__(self, folder: Path, array: int) -> None:
        self.folder = folder
        self.conf, self.environment = (
            folder / "slurm.conf",
            dict(os.environ, PATH=SEARCH, SLURM_CONF=str(folder / "slurm.conf")),
        )
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        host, (ctld_port, d_port) = socket.gethostname().split(".")[0], _free_ports(2)
        self.conf.write_text(
            CONF.format(
                folder=folder,
                host=host,
                ctld_port=ctld_port,
                d_port=d_port,
                array=array,
                name=f"test{ctld_port}",
            )
        )

    def start(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        places = [f"--{option}-file={self.folder}/munge.{option}" for option in ("log", "pid", "seed")]
        # --force: where it minds the folder's owner or mode, a warning is enough
        self.daemon("munged", "--force", f"--key-file={key}", f"--socket={self.folder}/munge.socket", *places)
        self.daemon("slurmctld", "-f", str(self.conf))
        self.daemon("slurmd", "-f", str(self.conf))
        end = time.monotonic() + 60
        while "idle" not in self.ask("sinfo", "-h", "-o", "%T"):
            assert time.monotonic() < end, self.logs()
            time.sleep(0.1)

    def daemon(self, name: str, *arguments: str) -> None:
        """Start one; it goes to the background by itself."""
        done = subprocess.run(
            [shutil.which(name, path=SEARCH), *arguments],
            env=self.environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (name, done.stderr, self.logs())

    def ask(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.environment, capture_output=True, check=False, text=True, timeout=60
        ).stdout

    def logs(self) -> str:
        return "\n".join(
            file.read_text(errors="replace")[-2000:] for file in sorted(self.folder.glob("*.log"))
        )

    def stop(self, name: str) -> None:
        """End a daemon by the pid in its pid file, and wait until it is gone."""
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int((self.folder / f"{name}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 20
            while Path(f"/proc/{pid}").exists():
                if time.monotonic() > end:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)


@contextmanager
def running(folder: Path, *, array: int = 1001) -> Iterator[Slurm]:
    """A Slurm that takes jobs; at the end its jobs are cancelled and its daemons stopped."""
    cluster = Slurm(folder, array)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.ask("scancel", "--user=root", "--signal=KILL", "--full")
        end = time.monotonic() + 20
        while cluster.ask("squeue", "-h").strip() and time.monotonic() < end:
            time.sleep(0.1)
        for name in ("slurmd", "slurmctld", "munge"):
            cluster.stop(name)
