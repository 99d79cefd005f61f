//! From the head of a request to how it is to be treated.

use super::Policy;
use super::list::{List, ListHit};
use super::mode::Mode;
use super::rule::Origin;
use super::verdict::{Bypass, Head, Plan};

impl Policy {
    /// Plans the treatment of a request. Costs well under a microsecond with a default policy, and does not grow with
    /// the number of rules, routes and listed addresses (see [`super::index`] for the one exception).
    ///
    /// Input filters come first: what they leave out is not looked at in any way. Then the mode: `off` knows no lists.
    /// Then the lists.
    pub fn plan(&self, head: &Head<'_, '_>) -> Plan {
        let path = if self.url_normalize { &head.facts.path } else { head.facts.raw_path() };
        let route = self.routes.find(&head.facts.host, path);
        let told = Some(head.facts.application).filter(|&id| id != 0);
        let application = route.application.or(told).unwrap_or(self.application);
        let active = self.rules.fitting(head, application);
        let told = |origin, general| self.rules.mode(&active, head.now, origin).unwrap_or(general);
        let local = self.mode_allow_override.combine(route.mode, told(Origin::Local, self.local_mode));
        let mode = self.mode_allow_override.combine(local, told(Origin::Remote, self.remote_mode));
        let mut plan = Plan {
            application,
            mode,
            bypass: None,
            list: None,
            limits: self.limits.clone(),
            parsers_off: route.parsers_off,
            parsers_off_at: Vec::new(),
            time_limit: self.time_limit,
            overlimit: self.overlimit,
            libdetection: self.libdetection,
            reply: route.reply,
            active,
        };
        plan.bypass = if self.filters.leave_alone(head) {
            Some(Bypass::InputFilter)
        } else if mode == Mode::Off {
            Some(Bypass::ModeOff)
        } else {
            plan.list = self.listed(head, application, mode);
            match plan.listed() {
                Some(List::Allow) => Some(Bypass::Allowlisted),
                Some(List::Deny) if self.lists_before_inspection => Some(Bypass::Denylisted),
                _ => None,
            }
        };
        if plan.bypass.is_none() {
            self.tune(head, &mut plan);
        }
        plan
    }

    /// The list that the source stands on; the gray one means something in `safe_blocking` only.
    fn listed(&self, head: &Head<'_, '_>, application: i64, mode: Mode) -> Option<ListHit> {
        let last = if mode == Mode::SafeBlocking { List::Gray } else { List::Deny };
        self.addresses.find(head.client, &head.source, application, head.now, last)
    }

    /// What rules change about the inspection.
    fn tune(&self, head: &Head<'_, '_>, plan: &mut Plan) {
        self.rules.parsers(&plan.active, head.now, &mut plan.parsers_off, &mut plan.parsers_off_at);
        if let Some((time, mode)) = self.rules.overlimit(&plan.active, head.now) {
            plan.time_limit = time.unwrap_or(plan.time_limit);
            plan.overlimit = mode.into();
        }
    }
}
