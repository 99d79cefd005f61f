"""MariaDB, in a temporary directory, with a Unix socket only. The application may do everything, as careless ones may."""

import pathlib
import subprocess
import time

import pymysql
import sql

DELAY_SECONDS = 0.3
# Number of the error of a statement that took longer than max_statement_time.
TIMED_OUT = 1969
TABLES = ("items", "users", "log")


class Engine(sql.Base):
    def __init__(self, _target):
        data = "/scratch/maria"
        options = ["--no-defaults", f"--datadir={data}", "--skip-networking", "--socket=/scratch/maria.sock", "--tmpdir=/scratch", "--innodb-buffer-pool-size=16M",
                   "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--secure-file-priv="]
        log = open("/scratch/maria.log", "w")
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", "--basedir=/usr"], check=True, stdout=log, stderr=log)
        self.server = subprocess.Popen(["mariadbd", *options], stdout=log, stderr=log)
        for _ in range(600):
            try:
                self.connection = self.connect()
                break
            except pymysql.err.OperationalError:
                time.sleep(0.1)
        self.restore()

    @staticmethod
    def connect():
        return pymysql.connect(unix_socket="/scratch/maria.sock", user="root", autocommit=True, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)

    def run_all(self, lines):
        with self.connection.cursor() as cursor:
            for line in lines:
                cursor.execute(line)

    def state(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema='app' UNION SELECT user FROM mysql.user ORDER BY 1")
            names = [row[0] for row in cursor.fetchall()]
            found = {"": names}
            for table in TABLES:
                if table in names:
                    cursor.execute(f"SELECT * FROM app.{table}")
                    found[table] = sorted(tuple(row) for row in cursor.fetchall())
                else:
                    found[table] = None
            return found

    def perform(self, statement, _stacked):
        rows, error, late = [], "", False
        begin = time.monotonic()
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement)
                rows = list(cursor.fetchall())[:200]
                while cursor.nextset():
                    pass
        except (pymysql.err.Error, ValueError, IndexError) as problem:
            error = str(problem)
            if f"({TIMED_OUT}," in error or "max_statement_time" in error:
                error, late = "", True
            if not self.connection.open:
                self.connection = None
        # What is echoed of a statement with a mistake in it is no effect.
        error = error.split("near '", 1)[0]
        late = late or time.monotonic() - begin > DELAY_SECONDS
        if self.connection is None:
            self.connection = self.connect()
        self.end_case()
        state = self.state()
        outfiles = [path for path in pathlib.Path("/tmp").iterdir()]
        for path in outfiles:
            state["files"] = str(path)
            path.unlink()
        if state != self.untouched:
            self.restore()
        else:
            self.limits()
        return sql.Outcome(rows, error, late, state)

    def end_case(self):
        """The time limit of the case still holds, and a busy machine may take longer than it even for this."""
        for _ in range(50):
            try:
                return self.run_all(["SET max_statement_time=0", "ROLLBACK"])
            except pymysql.err.Error as problem:
                if problem.args[0] != TIMED_OUT:
                    raise
        raise RuntimeError("the end of a case was interrupted again and again")

    def limits(self):
        self.run_all([f"SET max_statement_time={DELAY_SECONDS}"])

    def restore(self):
        self.run_all(["SET max_statement_time=0", "DROP DATABASE IF EXISTS app", "CREATE DATABASE app", "USE app", "DROP USER IF EXISTS eve", *sql.SCHEMA])
        self.limits()
        self.untouched = self.state()

    def close(self):
        self.server.terminate()
        self.server.wait(20)
