//! A host or an application: its traffic against the period before, and what protects it.

use super::dashboard::{Figure, ModeLine, Ranked, WeakRule};
use super::parts::{AttackKind, Choice};
use super::plot::lines::Lines;
use super::plot::stacked::Stacked;
use super::shell::Shell;
use super::text::Text;
use super::ui;
use askama::Template;

/// A place in requests where attacks were found.
#[derive(Clone, Debug)]
pub struct PointRow {
    /// Attack type.
    pub kind: AttackKind,
    /// The place, in words.
    pub words: Text,
    /// The point, as rules take it.
    pub point: Text,
    /// Hits, written.
    pub hits: String,
    /// The newest of its attacks.
    pub href: String,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "target.html")]
pub struct TargetPage {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// `Host` or `Application`.
    pub what: &'static str,
    /// Its name.
    pub name: Text,
    /// Time ranges.
    pub ranges: Vec<Choice>,
    /// Head row.
    pub figures: Vec<Figure>,
    /// Modes in force.
    pub modes: Vec<ModeLine>,
    /// Rules in force that weaken protection.
    pub weak: Vec<WeakRule>,
    /// Further ones.
    pub more_weak: usize,
    /// Whether something passes that blocking would block.
    pub lenient: bool,
    /// What blocking would do.
    pub blocking: String,
    /// Its attacks.
    pub attacks: String,
    /// Hits over time.
    pub plot: Stacked,
    /// Requests over time.
    pub traffic: Lines,
    /// Attack types.
    pub kinds: Vec<Ranked>,
    /// Sources.
    pub sources: Vec<Ranked>,
    /// Hosts; empty for a host.
    pub hosts: Vec<Ranked>,
    /// Places with most hits.
    pub points: Vec<PointRow>,
}

impl TargetPage {
    /// Whether it is about an application, and not a host.
    pub fn is_application(&self) -> bool {
        self.what == "Application"
    }

    /// The rankings with their headings.
    pub fn rankings(&self) -> Vec<(&'static str, &[Ranked])> {
        let mut all: Vec<(&'static str, &[Ranked])> = vec![("Attack types", &self.kinds), ("Sources", &self.sources)];
        if self.is_application() {
            all.push(("Hosts", &self.hosts));
        }
        all
    }
}
