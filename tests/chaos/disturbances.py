"""Faults that come beside the kills and pass: of disk, clock, memory, Postgres and S3."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.postgres.embedded import EmbeddedServer
from tests.chaos.disk import Disk, disk
from tests.chaos.killer import VICTIMS
from tests.support.fake_clock import LIBRARY, FakeClock
from tests.support.frozen import frozen, frozen_processes, read_only
from tests.support.patience import wait_for
from tests.support.servers.postgres_servers import DEBIAN_PROGRAMS, started_server
from tests.support.servers.s3_server import CREDENTIALS, S3Fault, s3_server
from tests.support.servers.tcp_proxy import TcpProxy, tcp_proxy
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption.settings.settings import Settings

HOUR_S = 3_600
_SLOW_S = 0.2
"""Added to each answer of a slow link."""

_TEMPORARY_SIZE = "64m"
_MEMORY_BYTES = 2 * 1024**2
"""How much more the worker may allocate until the kernel kills it."""

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Disturbance:
    """A fault that passes.

    Attributes:
        name: for the log.
        seconds: how long it lasts.
        during: the fault.
        is_alone: no process is killed meanwhile.
    """

    name: str
    seconds: float
    during: Callable[[Up], AbstractContextManager[None]]
    is_alone: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What an installation runs on.

    Attributes:
        environment: of `up`.
        settings: those by which the checks read, past all disturbances.
        victims: processes that are killed.
        clock: of its processes; None if they go by the machine's.
    """

    name: str
    environment: dict[str, str]
    settings: Settings
    disturbances: list[Disturbance]
    victims: tuple[str, ...] = VICTIMS
    clock: FakeClock | None = None

    def shuffled(self, seed: int) -> list[Disturbance]:
        """Return the disturbances in the order of a seed."""
        return random.Random(seed).sample(self.disturbances, len(self.disturbances))


MakeSurroundings = Callable[[ExitStack, Path, Disk, dict[str, Any]], Surroundings]
"""From a stack that ends them, a folder, the home's disk, and values of the settings."""


def embedded(stack: ExitStack, folder: Path, mounted: Disk, values: dict[str, Any]) -> Surroundings:
    """Return what `ytcaption up` has by itself: its own Postgres, and a folder for objects."""
    environment, disturbances = _disks(stack, folder, mounted)
    disturbances.append(Disturbance("Postgres's processes stand still", 15, _postgres_frozen))
    if _memory_groups() is not None:
        disturbances.append(Disturbance("the worker's memory is at its limit", 10, _no_memory))
    clock = None
    if LIBRARY is not None:
        clock = FakeClock(folder / "clock")
        # Looked up once a second, not at each of the many times that Postgres reads the clock.
        environment |= clock.environment | {"FAKETIME_CACHE_DURATION": "1"}
        del environment["FAKETIME_NO_CACHE"]
        for name, offset_s in (("ahead", HOUR_S), ("behind", -HOUR_S)):
            disturbances.append(
                Disturbance(f"the clock is an hour {name}", 15, _clock_set(clock, offset_s))
            )
    settings = Settings(_env_file=None, **values)
    return Surroundings("its own Postgres", environment, settings, disturbances, clock=clock)


def remote(stack: ExitStack, folder: Path, mounted: Disk, values: dict[str, Any]) -> Surroundings:
    """Return a Postgres of Debian and an S3, both behind a network that can fail."""
    server = stack.enter_context(started_server(next(iter(DEBIAN_PROGRAMS))))
    s3 = stack.enter_context(s3_server())
    place = conninfo_to_dict(server.url)
    link = stack.enter_context(tcp_proxy((str(place["host"]), int(str(place["port"])))))
    os.environ.update(CREDENTIALS)
    bucket = f"s3://{s3.make_bucket()}/store"
    environment, disturbances = _disks(stack, folder, mounted)
    environment |= {
        **CREDENTIALS,
        "YTCAPTION_DATABASE_URL": make_conninfo(server.url, port=link.port),
        "YTCAPTION_OBJECT_STORE_URL": bucket,
        "YTCAPTION_S3_ENDPOINT_URL": s3.url,
    }
    disturbances += [
        Disturbance("Postgres stands still", 15, lambda _: frozen(server)),
        Disturbance("Postgres is read-only", 15, lambda _: read_only(server)),
        Disturbance(
            "packets from and to Postgres are dropped",
            15,
            lambda _: _link(link, is_black_hole=True),
        ),
        Disturbance(
            f"Postgres answers {_SLOW_S} s later", 20, lambda _: _link(link, delay_s=_SLOW_S)
        ),
        *(
            Disturbance(f"S3: {fault}", 12, lambda _, fault=fault: s3.failing(fault))
            for fault in S3Fault
        ),
    ]
    settings = Settings(
        _env_file=None,
        **values,
        database_url=server.url,
        object_store_url=bucket,
        s3_endpoint_url=s3.url,
    )
    victims = tuple(victim for victim in VICTIMS if victim != "postgres")
    name = "a Postgres and an S3 elsewhere"
    return Surroundings(name, environment, settings, disturbances, victims)


def _disks(
    stack: ExitStack, folder: Path, mounted: Disk
) -> tuple[dict[str, str], list[Disturbance]]:
    """Return the environment with a folder for temporary files, and what fills disks."""
    found = [Disturbance("the disk is full", 12, lambda up: mounted.full(up.home), is_alone=True)]
    (folder / "tmp").mkdir()
    temporary = stack.enter_context(disk(folder / "tmp", _TEMPORARY_SIZE))
    if not temporary.is_mounted:
        return {}, found
    found.append(Disturbance("TMPDIR is full", 12, lambda up: temporary.full(up.home)))
    return {"TMPDIR": str(temporary.folder)}, found


@contextmanager
def _postgres_frozen(up: Up) -> Iterator[None]:
    lock = EmbeddedServer.of(up.settings).data / "postmaster.pid"
    try:
        postmaster = psutil.Process(int(lock.read_text().split("\n")[0]))
    except (OSError, ValueError, psutil.Error):
        yield  # it was killed just now
        return
    with frozen_processes(postmaster):
        yield


def _clock_set(clock: FakeClock, offset_s: float) -> Callable[[Up], AbstractContextManager[None]]:
    @contextmanager
    def during(_: Up) -> Iterator[None]:
        clock.set(offset_s)
        try:
            yield
        finally:
            clock.set(0)

    return during


def _memory_groups() -> Path | None:
    """Return the folder of control groups that limit memory; None if none can be made."""
    for folder in (_CGROUPS / "memory", _CGROUPS):
        probe = folder / f"ytcaption-probe-{os.getpid()}"
        try:
            probe.mkdir()
        except OSError:
            continue
        can_limit = any((probe / name).exists() for name in _LIMITS)
        probe.rmdir()
        if can_limit:
            return folder
    return None


_LIMITS = ("memory.limit_in_bytes", "memory.max")
"""File with the limit of a control group, of version 1 and 2."""


@contextmanager
def _no_memory(up: Up) -> Iterator[None]:
    """Limit what the worker may still allocate: the kernel kills it when it needs more."""
    groups = _memory_groups()
    assert groups is not None
    group = groups / f"ytcaption-chaos-{os.getpid()}"
    group.mkdir()
    try:
        limit = next(group / name for name in _LIMITS if (group / name).exists())
        limit.write_text(str(_MEMORY_BYTES))
        with suppress(StopIteration, ProcessLookupError):  # it was killed just now
            (group / "cgroup.procs").write_text(str(up.child("worker-0").pid))
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (groups / "cgroup.procs").write_text(pid)
        wait_for(lambda: _is_removed(group), 10)


def _is_removed(group: Path) -> bool:
    """Remove a control group; a killed process leaves it a moment later."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


@contextmanager
def _link(link: TcpProxy, *, is_black_hole: bool = False, delay_s: float = 0.0) -> Iterator[None]:
    link.is_black_hole, link.delay_s = is_black_hole, delay_s
    try:
        yield
    finally:
        link.is_black_hole, link.delay_s = False, 0.0
