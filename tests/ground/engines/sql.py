"""What the SQL engines share: the statements of a vulnerable application, and how an effect shows.

The application never shows rows that are hidden, secrets, or more than one list; what it shows or does beyond that is the
effect. An input that only makes a statement fail, or that sorts a list differently, has none.
"""

SECRET = "SECRETk7"
HIDDEN = "HIDDENk7"
TRIES = 3

SCHEMA = [
    "CREATE TABLE items (id INTEGER, name VARCHAR(200), price INTEGER, hidden INTEGER)",
    "CREATE TABLE users (id INTEGER, login VARCHAR(200), password VARCHAR(200), secret VARCHAR(200))",
    "CREATE TABLE log (name VARCHAR(400), note VARCHAR(400))",
    "INSERT INTO items VALUES (1,'apple',3,0),(2,'pear',5,0),(3,'plum',4,0),(4,'HIDDENk7',9,1)",
    "INSERT INTO users VALUES (1,'admin','pwk7','SECRETk7'),(2,'mona','pwk8','SECRETk7b')",
]

STATEMENTS = {
    "string": "SELECT id, name, price FROM items WHERE hidden=0 AND name='{}'",
    "string, parenthesis": "SELECT id, name, price FROM items WHERE (hidden=0 AND name='{}')",
    "string, function": "SELECT id, name, price FROM items WHERE hidden=0 AND name=lower('{}') ORDER BY id",
    "string, nested": "SELECT id, name, price FROM items WHERE id IN (SELECT id FROM items WHERE hidden=0 AND (name='{}'))",
    "double-quoted string": 'SELECT id, name, price FROM items WHERE hidden=0 AND name="{}"',
    "LIKE": "SELECT id, name, price FROM items WHERE hidden=0 AND name LIKE '%{}%' ORDER BY id",
    "number": "SELECT id, name, price FROM items WHERE hidden=0 AND id={}",
    "number, parenthesis": "SELECT id, name, price FROM items WHERE (hidden=0 AND id={}) ORDER BY id",
    "IN list": "SELECT id, name, price FROM items WHERE hidden=0 AND id IN ({})",
    "ORDER BY": "SELECT id, name, price FROM items WHERE hidden=0 ORDER BY {}",
    "LIMIT": "SELECT id, name, price FROM items WHERE hidden=0 LIMIT {}",
    "column": "SELECT id, {}, price FROM items WHERE hidden=0",
    "login": "SELECT id, login, 1 FROM users WHERE login='{}' AND password='x'",
    "INSERT": "INSERT INTO log (name, note) VALUES ('{}', 'n')",
    "UPDATE": "UPDATE items SET name='{}' WHERE id=3",
}


def statement(context, value):
    return STATEMENTS[context].replace("{}", value)


class Outcome:
    """What one statement returned or did."""

    def __init__(self, rows=(), error="", delayed=False, state=""):
        self.rows = [tuple(row) for row in rows]
        self.error = error
        self.delayed = delayed
        self.state = state

    def effect(self, context, value, untouched):
        """`untouched` is the state of the tables before."""
        shown = repr(self.rows) + self.error
        if SECRET in shown and SECRET not in value:
            return "secret shown"
        if HIDDEN in shown and HIDDEN not in value:
            return "hidden row shown"
        if context == "login" and self.rows:
            return "login passed"
        if self.delayed:
            return "delay"
        return self.change(context, value, untouched)

    def change(self, context, value, untouched):
        if self.state == untouched:
            return None
        if None in self.state.values():
            return "tables changed"
        if context == "INSERT":
            before, after = untouched["log"], self.state["log"]
            added = [row for row in after if row not in before]
            rest = {**self.state, "log": before}
            if rest == untouched and len(added) == 1 and added[0][1] == "n" and SECRET not in str(added):
                return None
        if context == "UPDATE":
            rest = [row for row in self.state["items"] if row[0] != 3]
            was = [row for row in untouched["items"] if row[0] != 3]
            others = {**self.state, "items": untouched["items"]}
            changed = [row for row in self.state["items"] if row[0] == 3]
            if rest == was and others == untouched and SECRET not in str(changed):
                return None
        return "tables changed"


def pair_effect(first, second):
    """A pair infers one bit if the target answers its two halves differently, and not only with a failure."""
    if first.error and second.error:
        return None
    if (first.rows, bool(first.error), first.delayed, first.state) != (second.rows, bool(second.error), second.delayed, second.state):
        return "one bit inferred"
    return None


class Base:
    """An engine with `perform(statement, stacked) -> Outcome`, which leaves the tables as they were before."""

    untouched = None

    def effect(self, case):
        outcome = self.outcome(case, case["value"])
        if case["pair"] is not None:
            return pair_effect(outcome, self.outcome(case, case["pair"]))
        return outcome.effect(case["context"], case["value"], self.untouched)

    def outcome(self, case, value):
        """What takes long is tried again: a busy machine delays a statement now and then, one that waits does so each time."""
        for _ in range(TRIES):
            outcome = self.perform(statement(case["context"], value), case["technique"].startswith("stacked"))
            if not outcome.delayed:
                break
        return outcome

    def close(self):
        pass
