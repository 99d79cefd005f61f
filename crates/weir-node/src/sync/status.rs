//! Which policy is in force, and why not a newer one.

use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What the control plane is told, and tests look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyState {
    /// Serial of the policy in force; 0 for the local one alone.
    pub serial: u64,
    /// Why the newest one is not in force, where it is not.
    pub error: Option<String>,
}

/// The policy in force, observed.
#[derive(Debug, Default)]
pub struct PolicyStatus {
    view: watch::Sender<PolicyState>,
    /// Whether the control plane has been heard of, or missed, since the start.
    asked: watch::Sender<bool>,
    /// Serials that are not to be fetched again: they were looked at and refused.
    refused: Mutex<u64>,
}

/// Longest error that is told.
const MAX_ERROR: usize = 2_000;

impl PolicyStatus {
    /// As of now.
    pub fn view(&self) -> PolicyState {
        self.view.borrow().clone()
    }

    /// Changes from now on.
    pub fn watch(&self) -> watch::Receiver<PolicyState> {
        self.view.subscribe()
    }

    /// Whether the control plane has been heard of, or missed.
    pub fn watch_asked(&self) -> watch::Receiver<bool> {
        self.asked.subscribe()
    }

    /// Serial after which a policy is of interest.
    pub fn seen(&self) -> u64 {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        self.view.borrow().serial.max(refused)
    }

    /// `serial` is in force.
    pub fn accept(&self, serial: u64) {
        self.set(|view| (view.serial, view.error) = (serial, None));
    }

    /// A policy is not in force; with its serial it is not fetched again.
    pub fn refuse(&self, serial: Option<u64>, why: &str) {
        if let Some(serial) = serial {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            *refused = serial.max(*refused);
        }
        let cut = why.char_indices().nth(MAX_ERROR).map_or(why.len(), |(at, _)| at);
        self.set(|view| view.error = Some(why[..cut].to_owned()));
    }

    /// What was refused may go now: something else has changed.
    pub fn try_again(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// The control plane answered, or did not.
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
