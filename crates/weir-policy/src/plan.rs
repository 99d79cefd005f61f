//! Plans the treatment of a request from its head.

use super::Policy;
use super::list::{List, ListHit};
use super::mode::Mode;
use super::rule::Origin;
use super::verdict::{Bypass, Plan, RequestContext};

impl Policy {
    /// Plans the treatment of a request. Costs well under a microsecond with a default policy, and does not grow with
    /// the number of rules, routes and listed addresses (see [`super::index`] for the one exception).
    ///
    /// Input filters apply first: requests that they exclude are not checked at all. Then the mode: in `off`, lists have no
    /// effect. Then the lists.
    pub fn plan(&self, request: &RequestContext<'_, '_>) -> Plan {
        let path = if self.url_normalize { &request.facts.path } else { request.facts.raw_path() };
        let route = self.routes.find(&request.facts.host, path);
        let given = Some(request.facts.application).filter(|&id| id != 0);
        let application = route.application.or(given).unwrap_or(self.application);
        let active = self.rules.matching(request, application);
        let mode_of = |origin, general| self.rules.mode(&active, request.now, origin).unwrap_or(general);
        let local = self.mode_allow_override.combine(route.mode, mode_of(Origin::Local, self.local_mode));
        let mode = self.mode_allow_override.combine(local, mode_of(Origin::Remote, self.remote_mode));
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
        plan.bypass = if self.filters.is_bypassed(request) {
            Some(Bypass::InputFilter)
        } else if mode == Mode::Off {
            Some(Bypass::ModeOff)
        } else {
            plan.list = self.listed(request, application, mode);
            match plan.listed() {
                Some(List::Allow) => Some(Bypass::Allowlisted),
                Some(List::Deny) if self.lists_before_inspection => Some(Bypass::Denylisted),
                _ => None,
            }
        };
        if plan.bypass.is_none() {
            self.apply_rules(request, &mut plan);
        }
        plan
    }

    /// The list that contains the source; the graylist has an effect in `safe_blocking` only.
    fn listed(&self, request: &RequestContext<'_, '_>, application: i64, mode: Mode) -> Option<ListHit> {
        let last = if mode == Mode::SafeBlocking { List::Gray } else { List::Deny };
        self.ip_index.find(request.client, &request.source, application, request.now, last)
    }

    /// Applies the rules that change the inspection.
    fn apply_rules(&self, request: &RequestContext<'_, '_>, plan: &mut Plan) {
        self.rules.parsers(&plan.active, request.now, &mut plan.parsers_off, &mut plan.parsers_off_at);
        if let Some((time, mode)) = self.rules.overlimit(&plan.active, request.now) {
            plan.time_limit = time.unwrap_or(plan.time_limit);
            plan.overlimit = mode.into();
        }
    }
}
