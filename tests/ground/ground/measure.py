"""Executes what the generators propose, inspects what has an effect, and counts."""

import collections
import dataclasses
import importlib
import random

from . import execute, inspect, places


@dataclasses.dataclass(frozen=True)
class Target:
    """One engine and the generator of what is run on it."""

    name: str
    generator: str
    attack: str
    attacks: int  # candidates of the short form
    benign: int
    places: tuple
    benign_places: tuple = ("query", "form", "JSON", "multipart", "header", "cookie", "path segment")


@dataclasses.dataclass
class Judged:
    """One request: the case, where its value was, the effect, and the verdict."""

    case: object
    place: str
    effect: str
    blocked: bool
    rules: list


@dataclasses.dataclass
class Measured:
    target: Target
    candidates: int
    requests: list  # of Judged
    benign: list  # of Judged
    benign_with_effect: int


EVERYWHERE = tuple(places.PLACES)
# A word that only runs because the whole value is a command is data in a field of a document: tool calls pass.
BARE = ("query", "form", "header", "cookie", "path segment")


def chosen_places(target, case, every, r):
    offered = BARE if case.context.endswith(", bare") else target.benign_places if case.benign else target.places
    return offered if every else r.sample(offered, min(2, len(offered)))


def measure(target, seed, scale, every_place, folder, rules=None):
    """Runs one target. `scale` multiplies the number of candidates."""
    generator = importlib.import_module(f"generators.{target.generator}")
    r = random.Random(f"{seed}/{target.name}")
    cases = {}
    for case in generator.attacks(r, target.name, int(target.attacks * scale)):
        cases.setdefault((case.value, case.context), case)
    for case in generator.benign(r, target.name, int(target.benign * scale)):
        cases.setdefault((case.value, case.context), case)
    cases = list(cases.values())
    effects = execute.effects(target.name, cases, timeout=600 if scale <= 1 else 7200)
    proven = [case for case in cases if not case.benign and effects[case.id]]
    harmless = [case for case in cases if case.benign and not effects[case.id]]
    records, where = [], {}
    for case in proven + harmless:
        for place in chosen_places(target, case, every_place, r):
            # For a pair both halves are attacks; the first is inspected.
            identity = f"{case.id}.{place}"
            record = places.record(identity, place, case.value, "benign" if case.benign else target.attack, target.name)
            if record is not None:
                records.append(record)
                where[identity] = (case, place)
    verdicts = inspect.evaluate(records, folder, rules)
    judged = [Judged(case, place, effects[case.id], *verdicts[identity]) for identity, (case, place) in where.items()]
    return Measured(
        target, sum(not case.benign for case in cases), [one for one in judged if not one.case.benign],
        [one for one in judged if one.case.benign], sum(bool(effects[case.id]) for case in cases if case.benign))


def rate(requests):
    """Blocked requests in percent; 100 of none."""
    return 100.0 * sum(one.blocked for one in requests) / len(requests) if requests else 100.0


# Each gives the cells of a request: those of all its obfuscations, one of everything else.
CELLS = {
    "context": lambda one: [one.case.context], "technique": lambda one: [one.case.technique],
    "obfuscation": lambda one: one.case.obfuscation.split("+"), "place": lambda one: [one.place], "effect": lambda one: [one.effect],
}


def cells(requests, key):
    """Rows (cell, requests, percent blocked), worst first."""
    groups = collections.defaultdict(list)
    for one in requests:
        for cell in key(one):
            groups[cell].append(one)
    return sorted(((name, len(group), rate(group)) for name, group in groups.items()), key=lambda row: (row[2], row[0]))
