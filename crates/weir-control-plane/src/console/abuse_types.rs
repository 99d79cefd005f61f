//! Rule types on behaviour over many requests, for forms.

use super::rule_types::{BEHAVIOUR, Parameter, ParameterType, RuleType, kind, parameter};

const KEY: Parameter = parameter(
    "key",
    "Counted by",
    ParameterType::Text,
    "client, application, host, route, consumer, session, header:NAME, cookie:NAME, query:NAME, jwt:CLAIM, path:N; several with \
     commas. A consumer is known from the response: the limit acts from the next request with the same credential on.",
    "client",
);
const WINDOW: Parameter = parameter("window", "Sliding window, seconds", ParameterType::Number, "", "60");
const BURST: Parameter = parameter("burst", "Tolerated above the limit", ParameterType::Number, "", "0");
const REACTION: Parameter = parameter(
    "reaction",
    "Reaction",
    ParameterType::One(&[
        ("report", "Report only"),
        ("block", "Block requests above the limit"),
        ("graylist", "Graylist the source"),
        ("denylist", "Denylist the source"),
    ]),
    "Only the source is listed, only for a time, and only for calls of connectors that authenticate themselves.",
    "report",
);
const DURATION: Parameter = parameter("duration", "Time on the list, seconds", ParameterType::Number, "", "600");
const DRY_RUN: Parameter = parameter("dry_run", "Dry run: only report", ParameterType::Flag, "", "");

/// Requests.
pub const RATE_LIMIT: RuleType = kind(
    BEHAVIOUR,
    ("rate_limit", "Rate limit", "sliders", "Limits the number of requests with the same key."),
    None,
    &[
        parameter("threshold", "Requests in the window", ParameterType::Number, "", "600"),
        WINDOW,
        BURST,
        KEY,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Failed attempts.
pub const BRUTE: RuleType = kind(
    BEHAVIOUR,
    (
        "brute",
        "Brute force",
        "patch",
        "Counts attempts that the upstream answers 401 or 403. Needs the response leg of the connector on this route.",
    ),
    None,
    &[
        parameter("threshold", "Failed attempts in the window", ParameterType::Number, "", "10"),
        WINDOW,
        KEY,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Requests for what does not exist.
pub const FORCED_BROWSING: RuleType = kind(
    BEHAVIOUR,
    (
        "forced_browsing",
        "Forced browsing",
        "patch",
        "Counts responses with status 404. Needs the response leg of the connector on this route.",
    ),
    None,
    &[
        parameter("threshold", "Not found in the window", ParameterType::Number, "", "50"),
        WINDOW,
        KEY,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Different values.
pub const BOLA: RuleType = kind(
    BEHAVIOUR,
    (
        "bola",
        "Enumeration (BOLA)",
        "patch",
        "Counts the different values of a part of the request, such as ids of objects.",
    ),
    None,
    &[
        parameter(
            "distinct",
            "Part that is varied",
            ParameterType::Text,
            "For example path:2, query:id or jwt:sub.",
            "path:1",
        ),
        parameter("threshold", "Different values in the window", ParameterType::Number, "", "50"),
        WINDOW,
        KEY,
        REACTION,
        DURATION,
        DRY_RUN,
    ],
);

/// Where the session is.
pub const SESSION: RuleType = kind(
    BEHAVIOUR,
    (
        "session",
        "Session key",
        "sliders",
        "Says where an application keeps its session. Sources with many sessions of the upstream get a limit for each.",
    ),
    None,
    &[parameter("key", "Session", ParameterType::Text, "cookie:NAME, header:NAME or jwt:CLAIM.", "cookie:session")],
);
