"""One holder at a time, however many take a lock over at once, and however late a holder wakes up."""

import getpass
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage import lease
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.holder import Holder, user_name
from raygan.sharding.storage.lease import LEASE, Lease
from raygan.sharding.storage.lock import locked

DEAD = Holder(id="dead", user="somebody", host="elsewhere", process=1, alive=0.0)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Folder:
    return Folder(f"memory://leases/{request.node.name}")


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads that take turns after every few instructions, so that they meet in between reading and writing."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def objects(folder: Folder) -> list[str]:
    return sorted(folder.list()[0])


def stale(held: Lease) -> None:
    """As if its process had been stopped for longer than LEASE."""
    name = f"alive.{held._us.id}"
    held._folder.write(name, str(time.time() - LEASE - 1).encode())
    held._renewed -= LEASE


def test_who_holds_it_is_named(folder: Folder, tmp_path: Path) -> None:
    for where in (folder, Folder(str(tmp_path / "locks"))):
        with (
            locked(where, "OUT"),
            pytest.raises(UserError, match=f"OUT: process {os.getpid()} of .* is converting into it"),
            locked(where, "OUT"),
        ):
            pass
        with locked(where, "OUT"):
            pass


def test_nothing_is_left_after_release(folder: Folder) -> None:
    folder.write("lock", DEAD.to_bytes())
    with locked(folder, "OUT"):
        assert objects(folder) == ["lock", "lock.dead"]
    assert objects(folder) == []


def test_a_lock_of_the_former_format_is_kept_and_taken_over_when_stale(folder: Folder) -> None:
    former = {"user": "somebody", "host": "elsewhere", "process": 1, "alive": time.time()}
    folder.write("lock", json.dumps(former).encode())
    with pytest.raises(UserError, match="process 1 of somebody on elsewhere"), locked(folder, "OUT"):
        pass
    folder.write("lock", json.dumps({**former, "alive": time.time() - LEASE - 1}).encode())
    with locked(folder, "OUT"):
        pass
    assert objects(folder) == []


def test_a_file_that_is_no_lock_is_named(folder: Folder) -> None:
    folder.write("lock", b"precious")
    with pytest.raises(RunError, match=r"lock: not a lock of raygan; remove it"), locked(folder, "OUT"):
        pass


def race(folder: Folder, takers: int) -> list[Lease | UserError]:
    """What `takers` threads get that take the lease at the same moment."""
    together = threading.Barrier(takers)

    def take(number: int) -> Lease | UserError:
        together.wait()
        try:
            return Lease(folder, "OUT")
        except UserError as error:
            return error

    with ThreadPoolExecutor(takers) as threads:
        return list(threads.map(take, range(takers)))


def check_races(folder: Folder, rounds: int) -> None:
    for number in range(rounds):
        store = folder / str(number)
        if number % 2:
            store.write("lock", DEAD.to_bytes())
        got = race(store, takers=2 + number % 3)
        winners = [one for one in got if isinstance(one, Lease)]
        assert len(winners) == 1, (number, got)
        winners[0].renew()
        winners[0].release()
        assert objects(store) == []


def test_one_of_many_takers_at_once_wins(folder: Folder, hurried: None) -> None:
    check_races(folder, 300)


def test_one_of_many_takers_at_once_wins_in_s3(bucket: str) -> None:
    check_races(Folder(f"{bucket}/races"), 20)


def test_takers_and_sleepers_never_hold_it_together(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders that fall asleep are overtaken, and learn of it at their next renewal."""
    monkeypatch.setattr(lease, "LEASE", 0.3)
    awake_until: dict[int, float] = {}  # of each holder that is not asleep: the end of its lease
    wrong: list[str] = []
    overtaken: list[int] = []
    end = time.monotonic() + 6

    def hold(held: Lease, began: float, number: int) -> None:
        awake_until[number] = began + 0.3
        time.sleep(0.001)
        now = time.time()
        others = [other for other, until in list(awake_until.items()) if other != number and until > now]
        if others and awake_until[number] > now:
            wrong.append(f"{number} and {others} hold it together")
        del awake_until[number]
        if time.monotonic_ns() // 1000 % 4 == 0:
            time.sleep(0.4)
            held._renewed = 0.0
            held.renew()

    def work(number: int) -> None:
        while time.monotonic() < end:
            began = time.time()
            try:
                held = Lease(folder, "OUT")
            except UserError:
                time.sleep(0.001)
                continue
            try:
                hold(held, began, number)
            except RunError:
                overtaken.append(number)
            finally:
                held.release()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert wrong == []
    assert overtaken


def before_creating(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Has `act` done between a taker's look at the lease and its next creation of an object, once."""
    create, waiting = Folder.create, [act]

    def slow(self: Folder, name: str, data: bytes) -> bool:
        if waiting:
            waiting.pop()()
        return create(self, name, data)

    monkeypatch.setattr(Folder, "create", slow)


def test_a_slow_taker_does_not_overtake_a_holder_that_came_after_another_took_over(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("lock", DEAD.to_bytes())
    present: list[Lease] = []

    def meanwhile() -> None:
        Lease(folder, "OUT").release()  # takes over from the dead one, works and goes
        present.append(Lease(folder, "OUT"))

    before_creating(monkeypatch, meanwhile)
    with pytest.raises(UserError, match="is converting into it"):
        Lease(folder, "OUT")
    present[0]._renewed -= LEASE
    present[0].renew()
    present[0].release()
    assert objects(folder) == []


def test_a_taker_withdraws_when_the_holder_wakes_up(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = Lease(folder, "OUT")
    stale(sleeper)
    before_creating(monkeypatch, sleeper.renew)
    with pytest.raises(UserError, match="is converting into it"):
        Lease(folder, "OUT")
    sleeper._renewed -= LEASE
    sleeper.renew()


def test_a_holder_that_was_overtaken_says_so_and_leaves_the_lock_of_the_other(folder: Folder) -> None:
    sleeper = Lease(folder, "OUT")
    stale(sleeper)
    other = Lease(folder, "OUT")
    with pytest.raises(RunError, match=r"OUT: process \d+ of .* took over, because .* held up .*; run it again"):
        sleeper.renew()
    before = objects(folder)
    sleeper.release()
    assert [name for name in before if name not in objects(folder)] == [f"alive.{sleeper._us.id}"]
    other._renewed -= LEASE
    other.renew()
    other.release()
    other.release()
    assert objects(folder) == []


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert user_name() == str(os.getuid())
    with (
        locked(Folder(str(tmp_path)), "OUT"),
        pytest.raises(UserError, match=f"of {os.getuid()} on"),
        locked(Folder(str(tmp_path)), "OUT"),
    ):
        pass
