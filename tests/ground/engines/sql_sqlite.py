"""SQLite, in memory, a new database for each statement."""

import sqlite3
import threading

import sql

# A statement that takes longer counts as delayed.
DELAY_SECONDS = 0.4
TABLES = ("items", "users", "log")


class Engine(sql.Base):
    def __init__(self, _target):
        self.template = sqlite3.connect(":memory:")
        for line in sql.SCHEMA:
            self.template.execute(line)
        self.template.commit()
        self.untouched = self.state(self.template)

    @staticmethod
    def state(connection):
        names = sorted(row[0] for row in connection.execute("SELECT name FROM sqlite_master"))
        found = {"": names}
        for table in TABLES:
            found[table] = sorted(map(tuple, connection.execute(f"SELECT * FROM {table}"))) if table in names else None
        return found

    def perform(self, statement, stacked):
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.template.backup(connection)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 200_000_000)
        late = threading.Event()

        def stop():
            late.set()
            connection.interrupt()

        timer = threading.Timer(DELAY_SECONDS, stop)
        timer.start()
        rows, error = [], ""
        try:
            if stacked:
                connection.executescript(statement)
            else:
                rows = connection.execute(statement).fetchmany(200)
                connection.commit()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as problem:
            error = str(problem)
        timer.cancel()
        timer.join()
        if connection.in_transaction:
            connection.rollback()
        try:
            state = self.state(connection)
        except sqlite3.Error as problem:
            state = {"": str(problem)}
        connection.close()
        return sql.Outcome(rows, error, late.is_set(), state)
