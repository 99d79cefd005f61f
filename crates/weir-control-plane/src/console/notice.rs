//! What just happened, said on the page that follows: by a code in its address, so that nobody can make a link that says
//! something of their own.

use super::given::Given;
use super::view::shell::{Notice, Tone};
use super::view::text::Text;

/// Codes and what they say; `#` stands for a number.
const SAID: &[(&str, &str)] = &[
    ("marked", "Marked # attacks."),
    ("exception", "The exception is in force: rule #. Nodes have it within two seconds."),
    ("patch", "The virtual patch is in force: rule #. Nodes have it within two seconds."),
    ("rule", "Rule # is in force. Nodes have it within two seconds."),
    ("rule-off", "Rule # is switched off."),
    ("rule-gone", "Rule # is deleted."),
    ("same", "Nothing changed."),
    ("listed", "# values are listed. Nodes have them within two seconds."),
    ("unlisted", "# values are removed. Nodes know within two seconds."),
    ("mode", "The filtration mode is changed. It acts on nodes within two seconds."),
    ("application", "Application # is named."),
    ("application-gone", "The name of application # is removed."),
    ("sink", "The receiver is added. Send it a test."),
    ("sink-gone", "The receiver is deleted."),
    ("sink-on", "The receiver is switched on."),
    ("sink-off", "The receiver is switched off."),
    ("pack", "The version is stored. It is not in use yet."),
    ("pack-used", "The version is in use. Nodes fetch it with the next policy."),
    ("pack-unused", "It is not in use any more."),
    ("pack-gone", "The version is deleted."),
    ("mirror", "The mirror is set. It is looked at within seconds."),
    ("mirror-gone", "It is mirrored no more."),
    ("rollback", "An earlier version is put back, as version #."),
    ("node-gone", "The node is removed."),
    ("revoked", "The token is revoked."),
    ("user", "The user is created."),
    ("user-changed", "The user is changed."),
    ("user-gone", "The user is deleted."),
    ("password", "The password is changed. Other sessions have ended."),
];

/// `to` with the code of what was done.
pub fn say(to: &str, code: &'static str, number: u64) -> String {
    debug_assert!(SAID.iter().any(|(known, _)| *known == code), "{code}");
    let (path, anchor) = to.split_once('#').map_or((to, None), |(path, anchor)| (path, Some(anchor)));
    let path = without(path);
    let joint = if path.contains('?') { '&' } else { '?' };
    let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
    format!("{path}{joint}done={code}&n={number}{anchor}")
}

/// What an address says was done.
pub fn of(query: &Given) -> Option<Notice> {
    let (_, text) = SAID.iter().find(|(code, _)| *code == query.get("done"))?;
    let number: u64 = query.get("n").parse().unwrap_or(0);
    let text = match number {
        1 => text.replace("# attacks", "1 attack").replace("# values are", "1 value is").replace("them", "it"),
        _ => (*text).to_owned(),
    };
    Some(Notice { tone: Tone::Good, text: Text::new(&text.replace('#', &number.to_string())) })
}

/// The address without that.
pub fn without(address: &str) -> String {
    let Some((path, query)) = address.split_once('?') else { return address.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|p| !p.starts_with("done=") && !p.starts_with("n=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_codes_say_anything() {
        let to = say("/attacks?q=a&done=x&n=1", "marked", 2);
        assert_eq!(to, "/attacks?q=a&done=marked&n=2");
        let query = Given::of_query(to.split_once('?').unwrap().1).unwrap();
        assert_eq!(of(&query).unwrap().text.as_str(), "Marked 2 attacks.");
        assert!(of(&Given::of_query("done=%3Cb%3E").unwrap()).is_none());
        assert_eq!(without("/a?done=x&n=1"), "/a");
        assert_eq!(say("/settings#mode", "mode", 0), "/settings?done=mode&n=0#mode");
    }
}
