import asyncio
import shutil
import sqlite3
import stat
import sys
import threading
from contextlib import closing

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import IntegrityError

from jupyterhub_backendai.errors import BackendAIError, BackendUnavailable
from jupyterhub_backendai.store import leases, models
from jupyterhub_backendai.store.database import Database, current_revision, head_revision, make_engine, upgrade
from tests.forwarder import Forwarder


def add_domain(db, name):
    db.add(models.Domain(name=name))


def list_domains(db):
    return list(db.scalars(select(models.Domain.name).order_by(models.Domain.name)))


async def test_a_function_that_returns_is_committed_and_one_that_raises_is_not(database):
    def fail(db):
        add_domain(db, "b")
        db.flush()
        raise LookupError

    await database.run(add_domain, "a")
    with pytest.raises(LookupError):
        await database.run(fail)
    with pytest.raises(LookupError):
        await database.run_exclusive(fail)
    assert await database.run(list_domains) == ["a"]


async def test_times_come_back_aware_and_in_utc(database):
    moment = models.now()
    await database.run(lambda db: db.add(models.Lease(name="x", holder="me", until=moment)))
    until = await database.run(lambda db: db.get(models.Lease, "x").until)
    assert until == moment
    assert until.utcoffset().total_seconds() == 0


async def test_the_tables_are_those_of_the_models(database):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), models.Base.metadata) == []


async def test_a_read_that_turns_into_a_write_is_run_again_when_another_one_wrote_meanwhile(database):
    """SQLite refuses at once to let an outdated reader write, whatever its timeout; nobody must notice."""
    runs = []

    def read_then_write(db):
        runs.append(1)
        count = len(list_domains(db))
        if len(runs) == 1:
            with database.engine.begin() as other:
                other.exec_driver_sql(
                    f"INSERT INTO domains (name, description, is_active, created_at) VALUES ('other', '', {true}, '2026-01-01 00:00:00')"
                )
        add_domain(db, f"mine-{count}")

    true = "1" if database.engine.dialect.name == "sqlite" else "true"
    await database.run(read_then_write)
    assert len(await database.run(list_domains)) == 2


async def test_a_database_of_no_or_another_revision_says_so_and_what_to_run(database_url):
    database = Database(database_url)
    try:
        assert await database.check() == ""
        for revision, words in [
            ("DELETE FROM alembic_version", ["no tables yet", "jupyterhub-backendai db upgrade"]),
            ("INSERT INTO alembic_version VALUES ('ffff')", ["ffff", "older than the database"]),
        ]:
            await database.run(lambda db, statement: db.execute(text(statement)) and None, revision)
            reason = await database.check()
            assert all(word in reason for word in words), reason
    finally:
        await database.run(lambda db: db.execute(text(f"UPDATE alembic_version SET version_num = '{head_revision()}'")) and None)
        await database.close()


async def test_a_missing_table_is_unavailable_and_not_a_bug(database):
    with pytest.raises(BackendUnavailable):
        await database.run(lambda db: db.execute(text("SELECT 1 FROM no_such_table")) and None)


def test_an_upgrade_twice_does_nothing_and_the_file_is_private(tmp_path):
    url = f"sqlite:///{tmp_path}/new.sqlite"
    assert upgrade(url) is None
    assert upgrade(url) is None
    assert current_revision(url) == head_revision()
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    engine.dispose()


def test_an_upgrade_copies_sqlite_first_and_loses_nobody(tmp_path):
    url = f"sqlite:///{tmp_path}/old.sqlite"
    upgrade(url, "0001")
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        at = "2026-01-01 00:00:00"
        connection.execute("INSERT INTO domains VALUES ('kept', '', 1, ?)", (at,))
        user = "INSERT INTO users (id, name, display_name, email, domain, role, status, language, created_at)"
        connection.execute(f"{user} VALUES ('u', 'kim01', '', '', 'kept', 'user', 'active', '', ?)", (at,))
        connection.execute("INSERT INTO projects (id, domain, name, is_active, created_at) VALUES ('p', 'kept', 'p', 1, ?)", (at,))
        connection.execute("INSERT INTO project_members VALUES ('u', 'p', ?)", (at,))
        connection.execute("INSERT INTO keypairs VALUES ('AK', 'u', 's', 1, 1, ?)", (at,))
        connection.commit()
    copy = upgrade(url)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM domains").fetchall() == [("kept",)]
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        # altering a table makes it anew: what refers to it must still be there
        assert connection.execute("SELECT user_id, project_id FROM project_members").fetchall() == [("u", "p")]
        assert connection.execute("SELECT access_key, resource_policy FROM keypairs").fetchall() == [("AK", "default")]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.postgres
async def test_two_deployers_at_once(postgres_url):
    engine = make_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    deploy = f"from jupyterhub_backendai.store.database import upgrade; upgrade({postgres_url!r})"
    deployers = [await asyncio.create_subprocess_exec(sys.executable, "-c", deploy) for _ in range(3)]
    assert await asyncio.gather(*(deployer.wait() for deployer in deployers)) == [0, 0, 0]
    assert current_revision(postgres_url) == head_revision()


async def test_an_sqlite_file_that_somebody_holds_is_unavailable_until_it_is_free(tmp_path):
    url = f"sqlite:///{tmp_path}/held.sqlite"
    upgrade(url)
    database = Database(url, lock_timeout_s=0.2)
    holder = sqlite3.connect(tmp_path / "held.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for run in (database.run, database.run_exclusive):
        with pytest.raises(BackendUnavailable) as caught:
            await run(add_domain, "a")
        assert caught.value.transient
    holder.execute("ROLLBACK")
    holder.close()
    await database.run(add_domain, "a")
    assert await database.run(list_domains) == ["a"]
    await database.close()


async def test_an_sqlite_file_that_is_moved_away_is_missed_at_once_and_found_again(sqlite_template, tmp_path):
    path, away = tmp_path / "backendai.sqlite", tmp_path / "away"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    try:
        await database.run(add_domain, "a")
        path.rename(away)
        with pytest.raises(BackendUnavailable):
            await database.run(add_domain, "lost")
        assert "does not answer" in await database.check()
        assert not path.exists()
        away.rename(path)
        assert await database.check() == ""
        await database.run_exclusive(add_domain, "b")
        assert await database.run(list_domains) == ["a", "b"]
        shutil.copy(sqlite_template, away)  # an older copy is put in its place
        for leftover in tmp_path.glob("backendai.sqlite-*"):
            leftover.unlink()
        away.rename(path)
        assert await database.run(list_domains) == []
    finally:
        await database.close()


async def test_a_directory_that_is_missing_stops_nothing_but_the_use(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/later/x.sqlite")
    assert "does not answer" in await database.check()
    with pytest.raises(BackendUnavailable):
        await database.run(list_domains)
    (tmp_path / "later").mkdir()
    upgrade(f"sqlite:///{tmp_path}/later/x.sqlite")
    assert await database.check() == ""
    assert await database.run(list_domains) == []
    await database.close()


@pytest.mark.postgres
async def test_postgresql_that_goes_away_is_unavailable_and_comes_back(postgres_url):
    url = make_url(postgres_url)
    forwarder = Forwarder(url.host, url.port)
    await forwarder.start()
    database = Database(url.set(host="127.0.0.1", port=forwarder.port).render_as_string(hide_password=False))
    try:
        assert await database.check() == ""
        await asyncio.gather(*(database.run(list_domains) for _ in range(6)))
        await forwarder.stop()
        with pytest.raises(BackendUnavailable):
            await database.run(list_domains)
        reason = await database.check()
        assert "does not answer" in reason
        assert str(forwarder.port) not in reason
        await forwarder.start()
        assert await database.check() == ""
        assert await asyncio.gather(*(database.run(list_domains) for _ in range(12))) == [[]] * 12
    finally:
        await database.close()
        await forwarder.stop()


async def test_a_database_that_accepts_and_says_nothing_is_unavailable(monkeypatch):
    from jupyterhub_backendai.store import database as module

    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 2)
    silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
    database = Database(f"postgresql+psycopg://x:x@127.0.0.1:{silent.sockets[0].getsockname()[1]}/x")
    with pytest.raises(BackendUnavailable):
        await database.run(list_domains)
    await database.close()
    silent.close()


@pytest.mark.postgres
async def test_a_row_that_somebody_holds_is_unavailable_and_the_next_try_works(postgres_url):
    database = Database(postgres_url, lock_timeout_s=0.2)
    await database.run(lambda db: db.execute(text("DELETE FROM domains")) and None)
    await database.run(add_domain, "held")
    with database.engine.connect() as holder:
        holder.execute(text("SELECT 1 FROM domains FOR UPDATE"))
        with pytest.raises(BackendUnavailable):
            await database.run(lambda db: db.execute(text("UPDATE domains SET description = 'x'")) and None)
    await database.run(lambda db: db.execute(text("UPDATE domains SET description = 'x'")) and None)
    await database.close()


async def test_no_message_shows_a_value(tmp_path, caplog):
    """What the log says of a failed statement never has its parameters."""
    database = Database(f"sqlite:///{tmp_path}/empty.sqlite")
    with pytest.raises(BackendUnavailable):
        await database.run(add_domain, "secret-value")
    await database.close()
    assert "secret-value" not in caplog.text


async def test_a_lease_has_one_holder_at_a_time(database):
    answers = await asyncio.gather(*(database.run_exclusive(leases.take, "work", f"service-{n}", 60) for n in range(8)))
    assert answers.count(True) == 1
    holder = f"service-{answers.index(True)}"
    assert await database.run_exclusive(leases.take, "work", holder, 60)
    assert not await database.run_exclusive(leases.take, "work", "another", 60)
    await database.run_exclusive(leases.give_back, "work", "another")
    assert not await database.run_exclusive(leases.take, "work", "another", 60)
    await database.run_exclusive(leases.give_back, "work", holder)
    assert await database.run_exclusive(leases.take, "work", "another", 60)


async def test_a_lease_that_ran_out_is_free(database):
    assert await database.run_exclusive(leases.take, "work", "dead", -1)
    assert await database.run_exclusive(leases.take, "work", "alive", 60)


async def test_a_database_that_stops_in_the_middle_costs_seconds(database):
    """The thread waits on, whoever asked does not."""
    release = threading.Event()
    with pytest.raises(BackendUnavailable):
        await database._in_thread(release.wait, 0.05)
    release.set()
    assert await database.run(list_domains) == []


def test_an_older_program_does_not_touch_a_newer_database(tmp_path):
    url = f"sqlite:///{tmp_path}/newer.sqlite"
    upgrade(url)
    with closing(sqlite3.connect(tmp_path / "newer.sqlite")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffff'")
        connection.commit()
    with pytest.raises(BackendAIError, match="ffff"):
        upgrade(url)


async def test_an_older_revision_names_the_one_that_is_needed(tmp_path):
    url = f"sqlite:///{tmp_path}/old.sqlite"
    upgrade(url, "0001")
    database = Database(url)
    reason = f"has revision 0001, this program needs {head_revision()}. Run: jupyterhub-backendai db upgrade"
    assert reason in await database.check()
    await database.close()


async def test_a_fault_says_nothing_of_what_was_to_be_kept(database):
    def add(db):
        db.add(models.LoginTicket(id="one", user_name="kim01", step="code", payload="what nobody reads", expires_at=models.now()))

    await database.run(add)
    with pytest.raises(IntegrityError) as caught:
        await database.run(add)
    assert "login_tickets" in str(caught.value)
    assert "what nobody reads" not in str(caught.value)
