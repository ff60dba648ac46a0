//! Running kustomize and helm: found on `PATH`, bounded in time and output, their complaints kept.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long one folder may take. Kustomize and helm answer local folders in well under a second.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A program that renders folders.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    /// Words before the folder.
    words: &'static [&'static str],
    /// The command as a person would type it, without the folder.
    pub shown: &'static str,
}

/// What is installed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    pub kustomize: Option<Tool>,
    pub helm: Option<Tool>,
}

impl Tools {
    /// Looks on `PATH`.
    pub(crate) fn find() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let tool =
            |name: &str, words, shown| find_on(&path, name).map(|program| Tool { program, words, shown });
        Tools {
            // The stand-alone program starts faster than kubectl and is newer as a rule.
            kustomize: tool("kustomize", &["build"], "kustomize build")
                .or_else(|| tool("kubectl", &["kustomize"], "kubectl kustomize")),
            helm: tool("helm", &["template"], "helm template"),
        }
    }
}

/// The first executable of this name.
fn find_on(path: &OsStr, name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path)
        // A relative entry would run whatever the manifests' author put beside them.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

/// Why a folder was not rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One line.
    pub message: String,
    /// What the program wrote, shortened.
    pub said: String,
}

/// Renders a folder with extra arguments behind it.
pub(crate) fn render(
    tool: &Tool,
    folder: &Path,
    before: &[&str],
    time_limit: Duration,
    size_limit: u64,
) -> Result<String, Failure> {
    let fail = |message: String| Failure { message, said: String::new() };
    let mut child = Command::new(&tool.program)
        .args(tool.words)
        .args(before)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("`{}` cannot be started: {error}", tool.shown)))?;
    // Readers of their own, so that a full pipe never stops the program. They are not joined: a child of the child
    // may hold the pipes open after both have had their time.
    let output = drain(child.stdout.take(), size_limit);
    let errors = drain(child.stderr.take(), 64 << 10);
    let deadline = Instant::now() + time_limit;
    let status = match wait(&mut child, deadline) {
        Ok(Some(status)) => status,
        Ok(None) => {
            let seconds = time_limit.as_secs_f64();
            return Err(fail(format!("`{}` did not finish within {seconds} s", tool.shown)));
        }
        Err(error) => return Err(fail(format!("`{}` cannot be waited for: {error}", tool.shown))),
    };
    let grace = Duration::from_secs(2);
    let said = errors.recv_timeout(grace).unwrap_or_default();
    let said = shorten(&String::from_utf8_lossy(&said));
    if !status.success() {
        let first =
            said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it does not say why");
        let first = first.trim_start_matches("Error: ").trim_start_matches("error: ");
        return Err(Failure { message: first.to_owned(), said });
    }
    let written = output.recv_timeout(grace).unwrap_or_default();
    if written.len() as u64 > size_limit {
        return Err(fail(format!("`{}` wrote more than {} MiB", tool.shown, size_limit >> 20)));
    }
    String::from_utf8(written)
        .map_err(|_| fail(format!("`{}` wrote something that is not UTF-8", tool.shown)))
}

/// Reads a pipe to its end in a thread, one byte more than the limit at most.
fn drain(pipe: Option<impl Read + Send + 'static>, limit: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
            // What is beyond the limit is read and dropped, or the program would wait for us.
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
    });
    receiver
}

/// Waits for the end of a program; `None` when it was killed at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<std::process::ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The first lines of a complaint.
fn shorten(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().take(12).collect();
    let mut short = lines.join("\n");
    if let Some((at, _)) = short.char_indices().nth(2000) {
        short.truncate(at);
        short.push('…');
    }
    short
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, body: &str) -> Tool {
        let program = folder.join("kustomize");
        std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Tool { program, words: &["build"], shown: "kustomize build" }
    }

    fn run(body: &str, limit: u64) -> Result<String, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let tool = script(folder.path(), body);
        render(&tool, Path::new("overlay"), &[], Duration::from_millis(1500), limit)
    }

    #[test]
    fn the_output_is_given_back() {
        assert_eq!(run("echo \"$1 $2\"", 1 << 20).as_deref(), Ok("build overlay\n"));
    }

    #[test]
    fn a_complaint_is_kept() {
        let failure = run("echo 'Error: no such base' >&2; echo more >&2; exit 1", 1 << 20).unwrap_err();
        assert_eq!(failure.message, "no such base");
        assert!(failure.said.contains("more"));
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let start = Instant::now();
        let failure = run("exec sleep 30", 1 << 20).unwrap_err();
        assert!(failure.message.contains("did not finish"), "{failure:?}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn more_output_than_the_limit_is_refused() {
        let failure = run("head -c 300000 /dev/zero", 100_000).unwrap_err();
        assert!(failure.message.contains("wrote more"), "{failure:?}");
    }

    #[test]
    fn programs_are_found_by_absolute_entries_only() {
        let folder = tempfile::tempdir().unwrap();
        script(folder.path(), "true");
        assert!(find_on(folder.path().as_os_str(), "kustomize").is_some());
        assert!(find_on(OsStr::new("."), "kustomize").is_none());
    }
}
