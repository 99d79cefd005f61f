//! The notice that a page shows after a change. Its address carries only a code, so a crafted link cannot show a text of
//! its own.

use super::form_fields::FormFields;
use super::view::shell::{Notice, Tone};
use super::view::text::Text;

/// Codes and texts; `#` is replaced by the number.
const NOTICES: &[(&str, &str)] = &[
    ("marked", "Marked # attacks."),
    ("exception", "Exception created as rule #. It takes effect on all nodes within two seconds."),
    ("patch", "Virtual patch created as rule #. It takes effect on all nodes within two seconds."),
    ("rule", "Rule # saved. It takes effect on all nodes within two seconds."),
    ("rule-off", "Rule # disabled."),
    ("rule-gone", "Rule # deleted."),
    ("same", "Nothing changed."),
    ("listed", "# entries added. They take effect on all nodes within two seconds."),
    ("unlisted", "# entries removed. This takes effect on all nodes within two seconds."),
    ("lifted", "Lifted. The key is not listed again for a minute. It takes effect on all nodes within two seconds."),
    ("excepted", "The rule does not apply to this key for # days. It takes effect on all nodes within two seconds."),
    ("mode", "Filtration mode changed. It takes effect on all nodes within two seconds."),
    ("application", "Application # saved."),
    ("application-gone", "Name of application # removed."),
    ("sink", "Receiver added. Send a test to check it."),
    ("sink-gone", "Receiver deleted."),
    ("sink-on", "Receiver enabled."),
    ("sink-off", "Receiver disabled."),
    ("alert", "Alert created. Send a test to check it."),
    ("alert-on", "Alert enabled."),
    ("alert-off", "Alert disabled."),
    ("alert-gone", "Alert deleted."),
    ("search", "Search saved."),
    ("search-gone", "Saved search deleted."),
    ("pack", "Version uploaded. It is not active yet."),
    ("pack-used", "Version activated. Nodes download it with the next policy."),
    ("pack-unused", "Version deactivated."),
    ("pack-gone", "Version deleted."),
    ("mirror", "Mirror saved. The first check runs within seconds."),
    ("mirror-gone", "Mirror removed."),
    ("rollback", "Rolled back. The restored policy is version #."),
    ("node-gone", "Node removed."),
    ("revoked", "Token revoked."),
    ("user", "User created."),
    ("user-changed", "User updated."),
    ("user-gone", "User deleted."),
    ("factor-reset", "Second factor reset. The user logs in with the password alone and can set up a new one."),
    ("factor-off", "Second factor turned off."),
    ("password", "Password changed. Your other sessions were ended."),
];

/// The address `to` with the notice of this code and number.
pub fn with_notice(to: &str, code: &'static str, number: u64) -> String {
    debug_assert!(NOTICES.iter().any(|(known, _)| *known == code), "{code}");
    let (path, anchor) = to.split_once('#').map_or((to, None), |(path, anchor)| (path, Some(anchor)));
    let path = without(path);
    let joint = if path.contains('?') { '&' } else { '?' };
    let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
    format!("{path}{joint}done={code}&n={number}{anchor}")
}

/// The notice that an address asks for.
pub fn of(query: &FormFields) -> Option<Notice> {
    let (_, text) = NOTICES.iter().find(|(code, _)| *code == query.get("done"))?;
    let number: u64 = query.get("n").parse().unwrap_or(0);
    let text = match number {
        1 => text.replace("# attacks", "1 attack").replace("# entries", "1 entry").replace("They take", "It takes"),
        _ => (*text).to_owned(),
    };
    Some(Notice { tone: Tone::Good, text: Text::new(&text.replace('#', &number.to_string())) })
}

/// The address without its notice.
pub fn without(address: &str) -> String {
    let Some((path, query)) = address.split_once('?') else { return address.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|p| !p.starts_with("done=") && !p.starts_with("n=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_codes_show_a_notice() {
        let to = with_notice("/attacks?q=a&done=x&n=1", "marked", 2);
        assert_eq!(to, "/attacks?q=a&done=marked&n=2");
        let query = FormFields::of_query(to.split_once('?').unwrap().1).unwrap();
        assert_eq!(of(&query).unwrap().text.as_str(), "Marked 2 attacks.");
        assert!(of(&FormFields::of_query("done=%3Cb%3E").unwrap()).is_none());
        assert_eq!(without("/a?done=x&n=1"), "/a");
        assert_eq!(with_notice("/settings#mode", "mode", 0), "/settings?done=mode&n=0#mode");
    }
}
