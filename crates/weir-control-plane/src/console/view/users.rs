//! Users, and one's own account.

use super::form::{Control, Field};
use super::shell::Shell;
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A user.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// Id.
    pub id: String,
    /// Login.
    pub login: Text,
    /// Name.
    pub name: Text,
    /// Code of the role.
    pub role: &'static str,
    /// Whether it may log in.
    pub enabled: bool,
    /// Whether the login comes from an identity provider.
    pub external: bool,
    /// Whether there is a second factor.
    pub second_factor: bool,
    /// Whether it is the viewer.
    pub me: bool,
    /// When it was made.
    pub since: Moment,
    /// When it last logged in.
    pub seen: Option<Moment>,
}

/// Roles: code and label.
pub const ROLES: &[(&str, &str)] =
    &[("administrator", "Administrator"), ("analyst", "Analyst"), ("read_only", "Read only")];

/// The page.
#[derive(Debug, Template)]
#[template(path = "users.html")]
pub struct Users {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Users by login.
    pub rows: Vec<UserRow>,
    /// Fields of the form.
    pub fields: Vec<Field>,
    /// Whether the form that makes one is open, with what was sent.
    pub adding: bool,
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
}

impl Users {
    /// Roles.
    pub fn roles(&self) -> &'static [(&'static str, &'static str)] {
        ROLES
    }
}

/// A secret that waits to be confirmed.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Address of the QR code's image.
    pub image: String,
    /// The secret, in groups of four.
    pub secret: String,
}

/// What there is of a second factor.
#[derive(Clone, Debug)]
pub enum FactorState {
    /// None.
    Plain,
    /// A secret waits to be confirmed.
    Pending(Pending),
    /// It is on.
    On {
        /// Recovery codes that are left.
        codes_left: usize,
    },
    /// It is on, and these are the new recovery codes.
    Codes(Vec<String>),
}

/// The second factor of one's own account.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    /// What there is.
    pub state: FactorState,
    /// What was wrong.
    pub mistakes: Vec<Text>,
}

/// One's own account.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct Account {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Fields of the form.
    pub fields: Vec<Field>,
    /// Errors that belong to no field.
    pub mistakes: Vec<Text>,
    /// The second factor; none for those whose identity provider asks for one.
    pub factor: Option<SecondFactor>,
    /// Whether the password is kept here.
    pub local: bool,
}
