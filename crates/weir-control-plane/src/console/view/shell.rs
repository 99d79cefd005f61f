//! What surrounds every page: who looks, where they are, what just happened.

use super::text::Text;
use super::time::Moment;
use crate::auth::role::{Permission, Role};

/// Colours, as chosen by the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The value of the cookie and of `data-theme`.
    pub const fn code(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The theme of this code; `Auto` for any other.
    pub fn from_code(code: &str) -> Self {
        match code {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::Auto,
        }
    }
}

/// A place in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Dashboard.
    Dashboard,
    /// Attacks and hits.
    Attacks,
    /// Requests of sessions.
    Sessions,
    /// What blocking would do.
    Blocking,
    /// IP lists.
    Lists,
    /// Rules of the policy.
    Rules,
    /// Signatures and detectors.
    Catalogue,
    /// Rule packs and databases.
    Packs,
    /// Versions of the policy.
    Policy,
    /// Nodes.
    Nodes,
    /// Alerts for people.
    Alerts,
    /// Settings.
    Settings,
    /// Users.
    Users,
    /// API tokens.
    Tokens,
    /// Audit log.
    Audit,
    /// One's own account, and pages outside the navigation.
    Elsewhere,
}

impl Place {
    /// The place to which the page at `path` belongs.
    pub fn of_path(path: &str) -> Self {
        let items = NAVIGATION.iter().flat_map(|(_, items)| items.iter());
        let mut found = items.filter(|item| item.href != "/" && path.starts_with(item.href));
        found.next().map_or(Place::Elsewhere, |item| item.place)
    }

    /// Its first page.
    pub fn href(self) -> &'static str {
        let mut items = NAVIGATION.iter().flat_map(|(_, items)| items.iter());
        items.find(|item| item.place == self).map_or("/", |item| item.href)
    }
}

/// A line of the navigation.
#[derive(Debug)]
pub struct NavItem {
    /// Where.
    pub place: Place,
    /// Address.
    pub href: &'static str,
    /// Name of the icon.
    pub icon: &'static str,
    /// Label.
    pub label: &'static str,
    /// What it asks for.
    pub needs: Permission,
}

/// A group of the navigation: its heading and lines.
pub type NavGroup = (&'static str, &'static [NavItem]);

const fn item(place: Place, href: &'static str, icon: &'static str, label: &'static str, needs: Permission) -> NavItem {
    NavItem { place, href, icon, label, needs }
}

/// The navigation.
pub const NAVIGATION: &[NavGroup] = &[
    (
        "Traffic",
        &[
            item(Place::Dashboard, "/", "gauge", "Dashboard", Permission::ReadEvents),
            item(Place::Attacks, "/attacks", "shield", "Attacks", Permission::ReadEvents),
            item(Place::Sessions, "/sessions", "eye", "Sessions", Permission::ReadEvents),
            item(Place::Blocking, "/blocking", "flask", "Blocking preview", Permission::ReadEvents),
        ],
    ),
    (
        "Policy",
        &[
            item(Place::Rules, "/rules", "rules", "Rules", Permission::ReadPolicy),
            item(Place::Lists, "/lists", "list", "IP lists", Permission::ReadPolicy),
            item(Place::Catalogue, "/catalogue", "book", "Signatures", Permission::ReadPolicy),
            item(Place::Packs, "/packs", "layers", "Rule packs", Permission::ReadPolicy),
            item(Place::Policy, "/policy", "history", "Policy versions", Permission::ReadPolicy),
        ],
    ),
    (
        "System",
        &[
            item(Place::Nodes, "/nodes", "nodes", "Nodes", Permission::ReadNodes),
            item(Place::Alerts, "/alerts", "bell", "Alerts", Permission::Settings),
            item(Place::Settings, "/settings", "sliders", "Settings", Permission::ReadPolicy),
            item(Place::Users, "/users", "users", "Users", Permission::Users),
            item(Place::Tokens, "/tokens", "key", "API tokens", Permission::DeployTokens),
            item(Place::Audit, "/audit", "scroll", "Audit log", Permission::ReadAudit),
        ],
    ),
];

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Well.
    Good,
    /// Not at all.
    Bad,
    /// To be known.
    Note,
}

impl Tone {
    /// Class in the style sheet.
    pub const fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Note => "note",
        }
    }

    /// Icon.
    pub const fn icon(self) -> &'static str {
        match self {
            Tone::Good => "check",
            Tone::Bad => "alert",
            Tone::Note => "info",
        }
    }
}

/// A message on top of a page.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How it ended.
    pub tone: Tone,
    /// What.
    pub text: Text,
}

/// Who looks.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Login.
    pub login: Text,
    /// Role.
    pub role: Role,
}

/// Why nothing can be stored.
#[derive(Clone, Debug)]
pub struct StoreAlarm {
    /// Since when.
    pub since: Moment,
    /// What the engine says.
    pub why: Text,
}

/// What surrounds a page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// Title of the page.
    pub title: String,
    /// Place in the navigation.
    pub place: Place,
    /// Who looks.
    pub viewer: Viewer,
    /// Token that forms carry back.
    pub csrf: String,
    /// Colours.
    pub theme: Theme,
    /// Message.
    pub notice: Option<Notice>,
    /// Why nothing can be stored at present.
    pub fault: Option<StoreAlarm>,
    /// This page's own path and query, to come back to.
    pub here: String,
}

impl Shell {
    /// Whether the viewer may do `what`. The server checks every call besides.
    pub fn may(&self, what: Permission) -> bool {
        self.viewer.role.may(what)
    }

    /// Whether controls that change policy are shown.
    pub fn can_write(&self) -> bool {
        self.may(Permission::WritePolicy)
    }

    /// Whether controls that set marks are shown.
    pub fn can_mark(&self) -> bool {
        self.may(Permission::MarkEvents)
    }

    /// Whether controls of settings and nodes are shown.
    pub fn can_administer(&self) -> bool {
        self.may(Permission::Settings)
    }

    /// Whether controls that add nodes are shown.
    pub fn can_deploy(&self) -> bool {
        self.may(Permission::DeployTokens)
    }

    /// The navigation for this viewer.
    pub fn navigation(&self) -> Vec<(&'static str, Vec<&'static NavItem>)> {
        let seen = |items: &'static [NavItem]| items.iter().filter(|i| self.may(i.needs)).collect();
        let groups = NAVIGATION.iter().map(|(heading, items)| (*heading, seen(items)));
        groups.filter(|(_, items): &(_, Vec<_>)| !items.is_empty()).collect()
    }

    /// Version of the program.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
