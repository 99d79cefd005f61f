//! What a `block_reply` rule sends, without a request.

use crate::error::PolicyError;
use crate::reply::Reply;
use crate::source::Source;
use crate::verdict::RequestContext;
use crate::{Policy, PolicyDoc, Settings};
use serde_json::{Map, Value, json};
use weir_core::model::{Header, Message};
use weir_core::parse::facts::facts;

/// Host and id of the request that previews reply to.
const HOST: &[u8] = b"shop.example.com";
const REQUEST_ID: &str = "019ab12e-5c1d-7a3e-9f10-3c5d2b1a0e4f";

/// The reply of `rule`, whatever its conditions and expiry, to a client that accepts the media types in `accept`; or its
/// mistakes. Of a rule of another type, the default reply.
pub fn reply_preview(rule: &Map<String, Value>, accept: &str) -> Result<Reply, Vec<PolicyError>> {
    let mut rule = rule.clone();
    for key in ["action", "expired_at", "enabled"] {
        rule.remove(key);
    }
    let doc = PolicyDoc::from_json("rule", &json!({"rules": [rule]}))?;
    let policy = Policy::compile(&Settings::default(), Some(&doc))?;
    let headers = vec![Header { name: b"Host", value: HOST }, Header { name: b"Accept", value: accept.as_bytes() }];
    let message = Message { headers, ..Message::default() };
    let facts = facts(&message);
    let request = RequestContext {
        message: &message,
        facts: &facts,
        client: None,
        source: Source::default(),
        now: 0,
        blocking: true,
        request_id: REQUEST_ID,
    };
    let plan = policy.plan(&request);
    Ok(policy.standard_reply(&request, &plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_shown_as_its_clients_get_it() {
        let rule = json!({"type": "block_reply", "status": 451, "body_html": "<p>${host} ${request_id} ${status}",
            "body_json": "{\"application\": ${application}}", "headers": {"Retry-After": 60},
            "action": [{"type": "equal", "point": ["header", "HOST"], "value": "other.example"}], "expired_at": 5});
        let rule = rule.as_object().unwrap();
        let html = reply_preview(rule, "text/html").unwrap();
        assert_eq!(html.status, 451);
        assert_eq!(html.body, format!("<p>shop.example.com {REQUEST_ID} 451").as_bytes());
        let names: Vec<&str> = html.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["content-type", "retry-after", "cache-control", "x-content-type-options", "content-security-policy"];
        assert_eq!(names, expected);
        assert_eq!(html.headers[1].1, "60");
        let json = reply_preview(rule, "*/*").unwrap();
        assert_eq!((json.headers[0].1.as_str(), json.body), ("application/json", br#"{"application": -1}"#.to_vec()));
        let errors = reply_preview(json!({"type": "block_reply"}).as_object().unwrap(), "").unwrap_err();
        assert!(errors[0].message.contains("is missing: what the blocked client gets"), "{errors:?}");
    }
}
