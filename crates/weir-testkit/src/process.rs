//! The program under test, and processes of it.

use crate::{ControlPlane, Node};
use std::process::{Child, Command};
use tempfile::TempDir;

/// The path of the program: `env!("CARGO_BIN_EXE_weir")` of the package whose program it is.
#[derive(Clone, Copy, Debug)]
pub struct Program(pub &'static str);

impl Program {
    /// A command of the program with an empty environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.0);
        command.env_clear();
        command
    }

    /// Starts a node with `sets` (`key=value`).
    pub fn node(&self, sets: &[&str]) -> Node {
        self.node_with(&[], sets)
    }

    /// Starts a node with more arguments.
    pub fn node_with(&self, arguments: &[&str], sets: &[&str]) -> Node {
        self.node_as(&[&["run"], arguments].concat(), &[], sets)
    }

    /// Starts the program with all `arguments`, the role among them, in `environment`, and waits until it listens.
    pub fn node_as(&self, arguments: &[&str], environment: &[(&str, &str)], sets: &[&str]) -> Node {
        Node::start(*self, arguments, environment, sets)
    }

    /// Starts `weir control-plane` with a new store.
    pub fn control_plane(&self, sets: &[&str]) -> ControlPlane {
        ControlPlane::start(*self, TempDir::new().unwrap(), &["control-plane"], sets)
    }

    /// Starts `weir control-plane` in `directory`, which is removed at the end.
    pub fn control_plane_in(&self, directory: TempDir, sets: &[&str]) -> ControlPlane {
        ControlPlane::start(*self, directory, &["control-plane"], sets)
    }

    /// Starts `weir`: a node and a control plane with a new store in one process.
    pub fn all_in_one(&self, sets: &[&str]) -> ControlPlane {
        ControlPlane::start(*self, TempDir::new().unwrap(), &[], sets)
    }
}

/// A process that is killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _code = self.0.wait();
    }
}
