//! From YAML text to a mesh.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use meshproof_ir::{BuildOptions, EffectiveMode, Fact, Mesh, Workload, WorkloadPort};
use meshproof_resources::{Decoded, MtlsMode, decode};
use meshproof_source::{Origin, SourceMap, split_documents};

/// The mesh of several files, given as `(path, text)`.
pub fn mesh_of_files(files: &[(&str, &str)]) -> Mesh {
    mesh_with(files, |_| {})
}

/// The mesh of several files, with options changed by `change`.
pub fn mesh_with(files: &[(&str, &str)], change: impl Fn(&mut BuildOptions)) -> Mesh {
    let mut sources = SourceMap::new();
    let mut decoded = Decoded::default();
    for (path, text) in files {
        let id = sources.add(*path, *text, Origin::File);
        for document in split_documents(text) {
            let parsed = meshproof_yaml::parse(id, text, document.range);
            let tree = parsed.tree.unwrap_or_else(|| panic!("{path}: {:?}", parsed.problems));
            decode(tree.root(), &mut decoded);
        }
    }
    assert!(decoded.not_objects.is_empty(), "{:?}", decoded.not_objects);
    let mut options = BuildOptions::for_sources(&sources);
    change(&mut options);
    Mesh::build(decoded.resources.into_iter().map(Into::into).collect(), &options)
}

/// The mesh of one file.
pub fn mesh(text: &str) -> Mesh {
    mesh_of_files(&[("manifests/all.yaml", text)])
}

/// A workload by name.
pub fn workload<'m>(mesh: &'m Mesh, name: &str) -> &'m Workload {
    mesh.workloads
        .iter()
        .find(|workload| workload.name == name)
        .unwrap_or_else(|| panic!("no workload {name}"))
}

/// A port by number.
pub fn port(workload: &Workload, number: u16) -> &WorkloadPort {
    let found = workload.ports.iter().find(|port| port.number == number);
    found.unwrap_or_else(|| panic!("no port {number}"))
}

/// The mode in force on a port, declared or not.
pub fn mode_at(workload: &Workload, number: u16) -> &EffectiveMode {
    let found = workload.ports.iter().find(|port| port.number == number);
    found.map_or(&workload.mode, |port| &port.mode)
}

/// The known mode.
pub fn known(mode: &EffectiveMode) -> MtlsMode {
    match &mode.mode {
        Fact::Known(mode, _) => *mode,
        Fact::Unknown(reason) => panic!("unknown: {reason}"),
    }
}

/// Names of the attached policies; those that only may be attached with a question mark.
pub fn policies(mesh: &Mesh, workload: &Workload) -> Vec<String> {
    let name = |attachment: &meshproof_ir::Attachment| {
        let name = mesh.resource(attachment.policy).meta.name();
        if attachment.certain.is_ok() { name.to_owned() } else { format!("{name}?") }
    };
    let mut names: Vec<String> = workload.policies.iter().map(name).collect();
    names.sort_unstable();
    names
}
