//! Roles and what they allow.

use serde::{Deserialize, Serialize};

/// What a person or a token may do as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Administrator,
    /// Works on attacks and on policy.
    Analyst,
    /// Sees what an analyst sees, changes nothing.
    ReadOnly,
    /// Brings nodes into service.
    Deploy,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See attacks, hits, statistics, exports.
    ReadEvents,
    /// Mark attacks.
    MarkEvents,
    /// See rules, lists, applications, versions, settings.
    ReadPolicy,
    /// Change them.
    WritePolicy,
    /// See nodes and groups.
    ReadNodes,
    /// Change and remove nodes.
    WriteNodes,
    /// See, make and revoke deployment tokens.
    DeployTokens,
    /// See, make and revoke every token.
    Tokens,
    /// See and change users.
    Users,
    /// See the audit log.
    ReadAudit,
    /// Change settings of the control plane: retention, webhooks, keys.
    Settings,
}

impl Permission {
    /// Every permission.
    pub const ALL: &'static [Permission] = &[
        Permission::ReadEvents,
        Permission::MarkEvents,
        Permission::ReadPolicy,
        Permission::WritePolicy,
        Permission::ReadNodes,
        Permission::WriteNodes,
        Permission::DeployTokens,
        Permission::Tokens,
        Permission::Users,
        Permission::ReadAudit,
        Permission::Settings,
    ];
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Role] = &[Role::Administrator, Role::Analyst, Role::ReadOnly, Role::Deploy];

    /// As written in the API and in the database.
    pub const fn code(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::Analyst => "analyst",
            Role::ReadOnly => "read_only",
            Role::Deploy => "deploy",
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Administrator => "Administrator",
            Role::Analyst => "Analyst",
            Role::ReadOnly => "Read only",
            Role::Deploy => "Deploy",
        }
    }

    /// The role called `code`.
    pub fn from_code(code: &str) -> Option<Role> {
        Self::ALL.iter().copied().find(|role| role.code() == code)
    }

    /// Whether the role allows `what`.
    pub const fn may(self, what: Permission) -> bool {
        use Permission::{DeployTokens, MarkEvents, ReadEvents, ReadNodes, ReadPolicy, WritePolicy};
        match self {
            Role::Administrator => true,
            Role::Analyst => matches!(what, ReadEvents | MarkEvents | ReadPolicy | WritePolicy | ReadNodes),
            Role::ReadOnly => matches!(what, ReadEvents | ReadPolicy | ReadNodes),
            Role::Deploy => matches!(what, ReadNodes | DeployTokens),
        }
    }

    /// Whether everything that `other` allows is allowed by this role: no user can grant more than their own role.
    pub fn covers(self, other: Role) -> bool {
        Permission::ALL.iter().all(|&what| self.may(what) || !other.may(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_where_they_should_be() {
        for &role in Role::ALL {
            assert_eq!(Role::from_code(role.code()), Some(role));
            assert!(Role::Administrator.covers(role) && role.covers(role));
        }
        assert!(Role::Analyst.covers(Role::ReadOnly) && !Role::ReadOnly.covers(Role::Analyst));
        assert!(!Role::Deploy.covers(Role::ReadOnly) && !Role::Analyst.covers(Role::Deploy));
        for write in [Permission::MarkEvents, Permission::WritePolicy, Permission::WriteNodes, Permission::Tokens] {
            assert!(!Role::ReadOnly.may(write));
        }
        for own in [Permission::Users, Permission::ReadAudit, Permission::Settings, Permission::Tokens] {
            assert!(Role::ALL.iter().all(|role| role.may(own) == (*role == Role::Administrator)), "{own:?}");
        }
    }
}
