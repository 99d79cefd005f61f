//! From a claim to a role.

use crate::auth::role::Role;
use serde_json::Value;

/// Values of a claim that are looked at.
const MAX_VALUES: usize = 1_000;

/// The role that allows most of those named by `claim`: `analyst`, `weir-analyst`, `weir_analyst` or `weir:analyst`, in any
/// case, as a text or in a list; nested claims are written with dots (`realm_access.roles`).
pub fn of_claims(claims: &Value, claim: &str) -> Option<Role> {
    let value = claims.get(claim).or_else(|| claim.split('.').try_fold(claims, |at, name| at.get(name)))?;
    let values: Vec<&str> = match value {
        Value::String(text) => text.split([' ', ',']).take(MAX_VALUES).collect(),
        Value::Array(list) => list.iter().take(MAX_VALUES).filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let named = |role: &Role| values.iter().any(|value| names(value, *role));
    [Role::Administrator, Role::Analyst, Role::ReadOnly, Role::Deploy].into_iter().find(named)
}

fn names(value: &str, role: Role) -> bool {
    let value = value.to_ascii_lowercase().replace('-', "_");
    let bare = value.strip_prefix("weir_").or_else(|| value.strip_prefix("weir:")).unwrap_or(&value);
    bare == role.code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_role_that_allows_most_counts() {
        let claims =
            json!({"groups": ["staff", "weir-analyst", "Weir_Read-Only"], "realm": {"roles": "x, administrator"}});
        assert_eq!(of_claims(&claims, "groups"), Some(Role::Analyst));
        assert_eq!(of_claims(&claims, "realm.roles"), Some(Role::Administrator));
        assert_eq!(of_claims(&claims, "absent"), None);
        assert_eq!(of_claims(&json!({"groups": ["administrators", "not-weir-analyst"]}), "groups"), None);
        assert_eq!(of_claims(&json!({"groups": 7}), "groups"), None);
    }
}
