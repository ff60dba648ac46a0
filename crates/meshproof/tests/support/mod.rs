//! Running the command on folders made for one test.

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub struct Project {
    pub folder: tempfile::TempDir,
}

pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The report, which must be nothing but JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("stdout is not JSON: {error}\n{}\n{}", self.stdout, self.stderr);
        })
    }

    /// `lint file:line` of every finding.
    pub fn findings(&self) -> Vec<String> {
        let report = self.json();
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| {
                format!("{} {}:{}", text(&finding["lint"]), text(&finding["file"]), finding["line"])
            })
            .collect()
    }

    /// `code file` of everything that was skipped.
    pub fn skipped(&self) -> Vec<String> {
        let report = self.json();
        let skipped = report["skipped"].as_array().unwrap().iter();
        skipped.map(|entry| format!("{} {}", text(&entry["code"]), text(&entry["file"]))).collect()
    }
}

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the command from the root of the project, so that places in its output are those of a reader.
pub fn from_root(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshproof"));
    Run::of(command.current_dir(root()).args(arguments).output().unwrap())
}

pub fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Project {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let project = Project { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            project.write(name, text.as_bytes());
        }
        project
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshproof"));
        command.current_dir(self.path()).args(args).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// `check --output json` with further arguments.
    pub fn check(&self, args: &[&str]) -> Run {
        self.run(&[&["check", "--output", "json"], args].concat())
    }

    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Run {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Run::of(child.wait_with_output().unwrap())
    }
}

/// A sound Service.
pub const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  selector: {app: web}
  ports:
  - name: http
    port: 80
";

/// An AuthorizationPolicy that istiod refuses: `serviceAccounts` beside `principals`.
pub const REFUSED: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: web
  namespace: shop
spec:
  rules:
  - from:
    - source:
        principals: [cluster.local/ns/shop/sa/a]
        serviceAccounts: [shop/a]
";

/// A Service that is not YAML.
pub const BROKEN: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: [\n";
