"""One generated input, before it is known what it does."""

import dataclasses
import hashlib
import json


@dataclasses.dataclass(frozen=True)
class Case:
    """A value for one slot of one target.

    `pair` is a second value for the same slot. A pair of attacks infers one bit: the effect is that the target answers
    the two differently. `extra` is what an engine needs beyond the value, such as a tag that only execution prints.
    """

    attack: str  # the class, as in reports: sqli, rce, ...
    target: str  # the engine that runs it
    context: str
    technique: str
    obfuscation: str
    value: str
    benign: bool = False
    pair: str | None = None
    extra: tuple = ()

    @property
    def id(self):
        return hashlib.sha256(json.dumps(dataclasses.astuple(self)).encode()).hexdigest()[:16]

    def to_engine(self):
        """What the engine reads: nothing about the verdict that is expected."""
        return {"id": self.id, "context": self.context, "value": self.value, "pair": self.pair,
                "technique": self.technique, "extra": dict(self.extra)}
