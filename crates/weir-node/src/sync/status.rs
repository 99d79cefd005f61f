//! Which policy is in force, and why a newer one is not.

use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// State that is reported to the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyState {
    /// Serial of the policy in force; 0 for the local one only.
    pub serial: u64,
    /// Why the newest one is not in force, if it is not.
    pub error: Option<String>,
}

/// Tracks the policy in force.
#[derive(Debug, Default)]
pub struct PolicyStatus {
    view: watch::Sender<PolicyState>,
    /// Whether a call to the control plane has succeeded or failed since the start.
    asked: watch::Sender<bool>,
    /// Serial up to which policies are not fetched again, because they were rejected.
    refused: Mutex<u64>,
}

/// Longest error that is reported.
const MAX_ERROR: usize = 2_000;

impl PolicyStatus {
    /// The current state.
    pub fn view(&self) -> PolicyState {
        self.view.borrow().clone()
    }

    /// Watches the state.
    pub fn watch(&self) -> watch::Receiver<PolicyState> {
        self.view.subscribe()
    }

    /// Watches whether a call to the control plane has succeeded or failed.
    pub fn watch_asked(&self) -> watch::Receiver<bool> {
        self.asked.subscribe()
    }

    /// Serial after which policies are fetched.
    pub fn seen(&self) -> u64 {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.borrow().serial.max(refused)
    }

    /// Records that `serial` is in force.
    pub fn accept(&self, serial: u64) {
        self.set(|view| (view.serial, view.error) = (serial, None));
    }

    /// Records that a policy was rejected; if its serial is given, it is not fetched again.
    pub fn refuse(&self, serial: Option<u64>, why: &str) {
        if let Some(serial) = serial {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = serial.max(*refused);
        }
        let cut = why.char_indices().nth(MAX_ERROR).map_or(why.len(), |(at, _)| at);
        self.set(|view| view.error = Some(why[..cut].to_owned()));
    }

    /// Allows rejected policies to be fetched again, after a change of the configuration.
    pub fn try_again(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Records that a call to the control plane has succeeded or failed.
    pub fn asked(&self) {
        self.asked.send_replace(true);
    }

    fn set(&self, change: impl FnOnce(&mut PolicyState)) {
        self.view.send_if_modified(|view| {
            let before = view.clone();
            change(view);
            *view != before
        });
    }
}
