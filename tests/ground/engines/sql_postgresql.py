"""PostgreSQL, in a temporary directory, with a Unix socket only. The application is a superuser, as careless ones are."""

import pathlib
import re
import shutil
import subprocess
import time

import psycopg2
import sql

DELAY_MILLISECONDS = 300
TABLES = ("items", "users", "log")


class Engine(sql.Base):
    def __init__(self, _target):
        tools = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data = pathlib.Path("/scratch/pg")
        subprocess.run([tools / "initdb", "-U", "app", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D", data],
                       check=True, capture_output=True)
        settings = [item for setting in ("listen_addresses=", "fsync=off", "shared_buffers=8MB", "max_connections=10", "autovacuum=off") for item in ("-c", setting)]
        log = open("/scratch/pg.log", "w")
        self.server = subprocess.Popen([tools / "postgres", "-D", data, "-k", "/scratch", *settings], stdout=log, stderr=log)
        for _ in range(300):
            try:
                self.connection = self.connect("postgres")
                break
            except psycopg2.OperationalError:
                time.sleep(0.1)
        self.run_all(sql.SCHEMA)
        self.untouched = self.state()

    @staticmethod
    def connect(database):
        connection = psycopg2.connect(host="/scratch", user="app", dbname=database)
        connection.autocommit = True
        return connection

    def run_all(self, lines):
        with self.connection.cursor() as cursor:
            for line in lines:
                cursor.execute(line)

    def state(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid=relnamespace WHERE nspname='public' UNION SELECT rolname FROM pg_roles "
                           "UNION SELECT proname FROM pg_proc WHERE pronamespace=2200 UNION SELECT relacl::text FROM pg_class WHERE relname='users' ORDER BY 1")
            names = [row[0] for row in cursor.fetchall()]
            found = {"": names}
            for table in TABLES:
                if table in names:
                    cursor.execute(f"SELECT * FROM public.{table}")
                    found[table] = sorted(cursor.fetchall())
                else:
                    found[table] = None
            return found

    def perform(self, statement, _stacked):
        """psycopg2 sends a statement without parameters by the simple protocol, which allows several."""
        if "\0" in statement:
            return sql.Outcome(state=self.untouched, error="NUL")
        rows, error, delayed = [], "", False
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout={DELAY_MILLISECONDS}")
            try:
                cursor.execute(statement)
                if cursor.description:
                    rows = cursor.fetchmany(200)
            except psycopg2.Error as problem:
                error = str(problem)
                delayed = "statement timeout" in error
                error = "" if delayed else error.split("\nLINE", 1)[0]
            except (ValueError, UnicodeError) as problem:
                error = str(problem)
        if self.connection.closed:
            self.connection = self.connect("postgres")
        self.end_statement("ROLLBACK")
        self.end_statement("SET statement_timeout=0")
        state = self.state()
        files = [path for path in pathlib.Path("/tmp").iterdir()]
        if files:
            state["files"] = str(files)
            shutil.rmtree("/tmp/x", ignore_errors=True)
            for path in files:
                path.unlink(missing_ok=True)
        if state != self.untouched:
            self.restore()
        return sql.Outcome(rows, error, delayed, state)

    def end_statement(self, statement):
        """The timeout of the case still holds, and a busy machine may take longer than it even for this."""
        for _ in range(50):
            try:
                with self.connection.cursor() as cursor:
                    return cursor.execute(statement)
            except psycopg2.extensions.QueryCanceledError:
                continue
        raise RuntimeError(f"{statement} was cancelled again and again")

    def restore(self):
        self.run_all(["DROP SCHEMA IF EXISTS public CASCADE", "CREATE SCHEMA public"])
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|app$)'")
            for (name,) in cursor.fetchall():
                cursor.execute(f'DROP ROLE "{name}"')
        self.run_all(sql.SCHEMA)
        self.untouched = self.state()

    def close(self):
        self.connection.close()
        self.server.terminate()
        self.server.wait(20)
