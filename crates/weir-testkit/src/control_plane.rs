//! A control plane of its own for each test, called over TCP.

use crate::http::{Response, read};
use crate::process::{Process, Program};
use crate::wait::PATIENCE;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use tempfile::TempDir;

/// The deployment token of control planes that tests start.
pub const TOKEN: &str = "deploy-token-of-the-tests";
/// The password of their administrator, whose login is `admin`.
pub const PASSWORD: &str = "a-password-for-tests";

/// A running control plane, perhaps with a node in the same process.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    /// Where Console and API are.
    pub api: SocketAddr,
    /// Where the node of the same process listens.
    pub node: Option<SocketAddr>,
    _directory: TempDir,
}

impl ControlPlane {
    /// Starts `program` with `arguments` (none: all in one process) in `directory`, which is removed at the end.
    pub fn start(program: Program, directory: TempDir, arguments: &[&str], sets: &[&str]) -> ControlPlane {
        let mut command = program.command();
        command.args(arguments).current_dir(directory.path());
        let token = format!("control_plane.deploy_token={TOKEN}");
        let password = format!("control_plane.admin_password={PASSWORD}");
        let fixed = [
            "connector.address=127.0.0.1:0",
            "control_plane.address=127.0.0.1:0",
            "metrics.enabled=false",
            "health_check.enabled=false",
            &token,
            &password,
        ];
        for set in fixed.iter().chain(sets) {
            command.args(["--set", set]);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Process(child);
        let (mut output, mut api, mut node) = (String::new(), None, None);
        while api.is_none() || (arguments.is_empty() && node.is_none()) {
            let Some(Ok(line)) = lines.next() else { panic!("the control plane did not start: {output}") };
            output.push_str(&line);
            output.push('\n');
            if let Some((_, rest)) = line.split_once("Console and API are at ") {
                api = rest.rsplit('/').next().unwrap().parse().ok();
            } else if let Some((_, rest)) = line.split_once("listens on ") {
                node = rest.split(' ').next().unwrap().parse().ok();
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        ControlPlane { process, api: api.unwrap(), node, _directory: directory }
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Calls it.
    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut stream = TcpStream::connect(self.api).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: cp\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        read(&mut BufReader::new(stream)).expect("a response")
    }

    /// Sends JSON with a bearer token.
    pub fn json(&self, method: &str, path: &str, token: &str, body: &Value) -> Response {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        self.call(method, path, &headers, body.to_string().as_bytes())
    }

    /// Logs the administrator in with [`PASSWORD`].
    pub fn login(&self) -> Session<'_> {
        self.login_with(PASSWORD)
    }

    /// Logs the administrator in.
    pub fn login_with(&self, password: &str) -> Session<'_> {
        let body = json!({"login": "admin", "password": password}).to_string();
        let answer = self.call("POST", "/api/v1/session", &[("Content-Type", "application/json")], body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Session { control_plane: self, cookie, csrf: answer.json()["csrf"].as_str().unwrap().to_owned() }
    }
}

/// A session of the administrator.
#[derive(Debug)]
pub struct Session<'c> {
    control_plane: &'c ControlPlane,
    /// Value of the header `Cookie`.
    pub cookie: String,
    /// Value of the header `X-CSRF-Token`.
    pub csrf: String,
}

impl Session<'_> {
    /// Reads `path`.
    pub fn get(&self, path: &str) -> Response {
        self.control_plane.call("GET", path, &[("Cookie", &self.cookie)], b"")
    }

    /// Sends a file.
    pub fn bytes(&self, method: &str, path: &str, body: &[u8]) -> Response {
        let headers = [("Cookie", self.cookie.as_str()), ("X-CSRF-Token", &self.csrf)];
        self.control_plane.call(method, path, &headers, body)
    }

    /// Sends JSON.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        self.send_with(method, path, &[], body)
    }

    /// Sends JSON with further headers.
    pub fn send_with(&self, method: &str, path: &str, further: &[(&str, &str)], body: &Value) -> Response {
        let mut headers =
            vec![("Cookie", self.cookie.as_str()), ("X-CSRF-Token", &self.csrf), ("Content-Type", "application/json")];
        headers.extend(further);
        self.control_plane.call(method, path, &headers, body.to_string().as_bytes())
    }
}
