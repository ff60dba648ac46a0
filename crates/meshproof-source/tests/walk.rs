//! Searching real folders, and reading what lies in them.

// Helpers outside of test functions are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use meshproof_source::{Discovery, ReadProblemKind, WalkOptions, discover, read_file};
use tempfile::TempDir;

/// A folder with the given files; a name that ends with `/` is a folder.
fn folder(files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in files {
        let path = folder.path().join(file);
        if file.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("name: {file}\n")).unwrap();
        }
    }
    folder
}

fn relative(folder: &TempDir, path: &Path) -> String {
    path.strip_prefix(folder.path()).unwrap_or(path).display().to_string()
}

fn files(folder: &TempDir, found: &Discovery) -> Vec<String> {
    found.files.iter().map(|file| relative(folder, &file.path)).collect()
}

fn names(folder: &TempDir, paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| relative(folder, path)).collect()
}

fn search(folder: &TempDir, paths: &[&str]) -> Discovery {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
    discover(&paths, &WalkOptions::default())
}

#[test]
fn folders_give_manifests_in_order() {
    let folder =
        folder(&["b.yml", "a.yaml", "c/d.json", "c.yaml", "c/E.YAML", "readme.md", "x.golden", "empty/"]);
    let found = search(&folder, &[""]);
    assert_eq!(files(&folder, &found), ["a.yaml", "b.yml", "c/E.YAML", "c/d.json", "c.yaml"]);
    assert!(found.files.iter().all(|file| !file.given));
    assert_eq!(found.problems, []);
}

#[test]
fn ignored_and_hidden_files_are_left_out_unless_given() {
    let folder =
        folder(&["a.yaml", "b.yaml", ".git-less/x.yaml", ".hidden.yaml", "build/c.yaml", "notes.txt"]);
    fs::write(folder.path().join(".gitignore"), "b.yaml\nbuild/\n").unwrap();
    assert_eq!(files(&folder, &search(&folder, &[""])), ["a.yaml"]);
    let given = search(&folder, &[".git-less", "b.yaml", "build", "notes.txt"]);
    assert_eq!(files(&folder, &given), [".git-less/x.yaml", "b.yaml", "build/c.yaml", "notes.txt"]);
    assert_eq!(given.files.iter().map(|file| file.given).collect::<Vec<_>>(), [false, true, false, true]);
}

#[test]
fn overlapping_paths_give_each_file_once() {
    let folder = folder(&["a/b/c.yaml", "a/d.yaml"]);
    let found = search(&folder, &["a", "a/b", "a/b/c.yaml", "a/b/../d.yaml", "a/b/c.yaml"]);
    assert_eq!(files(&folder, &found), ["a/b/../d.yaml", "a/b/c.yaml"]);
    assert!(found.files.iter().all(|file| file.given));
}

#[test]
fn templates_charts_and_kustomizations_are_told() {
    let folder = folder(&[
        "k/kustomization.yaml",
        "l/Kustomization",
        "m/kustomization.yml",
        "chart/Chart.yaml",
        "chart/templates/_helpers.tpl",
        "chart/templates/a.yaml",
        "x.yaml.tmpl",
        "chart/templates/nginx.conf.j2",
        "helmfile/values.gotmpl",
        "site/page.tpl",
        "site/policy.json.j2",
    ]);
    let found = search(&folder, &[""]);
    assert_eq!(names(&folder, &found.kustomizations), ["k", "l", "m"]);
    assert_eq!(names(&folder, &found.charts), ["chart"]);
    // A template of something else does not count, nor one of anything far from manifests.
    assert_eq!(
        names(&folder, &found.templates),
        ["chart/templates/_helpers.tpl", "helmfile/values.gotmpl", "site/policy.json.j2", "x.yaml.tmpl"]
    );
    assert_eq!(
        files(&folder, &found),
        ["chart/Chart.yaml", "chart/templates/a.yaml", "k/kustomization.yaml", "m/kustomization.yml"]
    );
}

#[test]
fn excluded_files_are_left_out_even_when_given() {
    let folder = folder(&["a.yaml", "vendor/b.yaml", "c/vendor/d.yaml", "c/e.json", "c/f.yaml"]);
    let root = folder.path().to_path_buf();
    let exclude = |patterns: &[&str], paths: &[&str]| {
        let options = WalkOptions::excluding_below(root.clone(), patterns).unwrap();
        let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
        files(&folder, &discover(&paths, &options))
    };
    assert_eq!(exclude(&["vendor/"], &[""]), ["a.yaml", "c/e.json", "c/f.yaml"]);
    assert_eq!(exclude(&["/vendor/", "*.json"], &[""]), ["a.yaml", "c/f.yaml", "c/vendor/d.yaml"]);
    assert_eq!(exclude(&["c/f.yaml"], &["c/f.yaml", "a.yaml"]), ["a.yaml"]);
    assert_eq!(exclude(&["vendor/"], &["vendor/b.yaml", "a.yaml"]), ["a.yaml"]);
    assert_eq!(exclude(&[], &["a.yaml"]), ["a.yaml"]);
}

#[test]
fn a_pattern_that_is_no_glob_is_refused() {
    let problem = WalkOptions::excluding(&["ok/", "a[b"]).unwrap_err();
    assert_eq!((problem.kind, problem.path.as_str()), (ReadProblemKind::Pattern, "a[b"));
}

#[test]
fn a_path_that_does_not_exist_is_a_problem_and_the_rest_is_found() {
    let folder = folder(&["a.yaml"]);
    let found = search(&folder, &["a.yaml", "missing.yaml"]);
    assert_eq!(files(&folder, &found), ["a.yaml"]);
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].kind, ReadProblemKind::NotFound);
    assert!(found.problems[0].path.ends_with("missing.yaml"));
}

#[test]
fn a_missing_folder_and_a_large_file_are_refused_by_the_reader() {
    let folder = folder(&["a.yaml"]);
    assert_eq!(read_file(folder.path(), 10).unwrap_err().kind, ReadProblemKind::Folder);
    assert_eq!(read_file(&folder.path().join("a.yaml"), 3).unwrap_err().kind, ReadProblemKind::TooLarge);
    assert_eq!(read_file(&folder.path().join("b.yaml"), 3).unwrap_err().kind, ReadProblemKind::NotFound);
    assert_eq!(read_file(&folder.path().join("a.yaml"), 100).unwrap().text, "name: a.yaml\n");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_are_never_followed_into_loops_or_out_of_the_tree() {
        let outside = folder(&["far.yaml"]);
        let folder = folder(&["a/b.yaml", "z.yaml"]);
        let at = |path: &str| folder.path().join(path);
        symlink(folder.path(), at("a/loop")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink(at("a/b.yaml"), at("alias.yaml")).unwrap();
        symlink(outside.path().join("far.yaml"), at("far.yaml")).unwrap();
        symlink(at("nowhere"), at("dangling.yaml")).unwrap();
        let found = search(&folder, &[""]);
        assert_eq!(files(&folder, &found), ["a/b.yaml", "far.yaml", "z.yaml"]);
        assert_eq!(names(&folder, &found.links), ["out"]);
        assert_eq!(found.problems.len(), 1);
        assert!(found.problems[0].path.ends_with("dangling.yaml"));
        // A link that is given is searched.
        assert_eq!(files(&folder, &search(&folder, &["out"])), ["out/far.yaml"]);
    }

    #[test]
    fn special_files_are_refused_at_once() {
        let folder = folder(&[]);
        let socket = folder.path().join("x.yaml");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(read_file(&socket, 10).unwrap_err().kind, ReadProblemKind::SpecialFile);
        assert_eq!(read_file(Path::new("/dev/zero"), 10).unwrap_err().kind, ReadProblemKind::SpecialFile);
        let pipe = folder.path().join("pipe.yaml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(read_file(&pipe, 10).unwrap_err().kind, ReadProblemKind::SpecialFile);
        }
        fs::write(folder.path().join("b.yaml"), "a: 1\n").unwrap();
        symlink("x.yaml", folder.path().join("link.yaml")).unwrap();
        let _other = UnixListener::bind(folder.path().join("control.sock")).unwrap();
        let found = search(&folder, &[""]);
        assert_eq!(files(&folder, &found), ["b.yaml"]);
        let mut special = names(&folder, &found.special);
        special.retain(|name| name != "pipe.yaml");
        assert_eq!(special, ["link.yaml", "x.yaml"]);
    }

    #[test]
    fn a_locked_folder_is_a_problem_and_the_rest_is_found() {
        let folder = folder(&["a.yaml", "locked/b.yaml"]);
        let locked = folder.path().join("locked");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        let readable_anyway = fs::read_dir(&locked).is_ok();
        let found = search(&folder, &[""]);
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
        if !readable_anyway {
            assert_eq!(found.problems[0].kind, ReadProblemKind::Permission);
            assert!(found.problems[0].path.ends_with("locked"));
        }
        assert!(files(&folder, &found).contains(&"a.yaml".to_owned()));
    }
}
