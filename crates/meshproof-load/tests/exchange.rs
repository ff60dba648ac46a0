//! Files of tables: what opens, what does not, and tables that change while requests run.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::{ArcSwap, cache::Cache};
use meshproof_compiler::table::{Earlier, MESH_FILE, Proofs, ReportOrder, mesh_tables};
use meshproof_engine::{Connection, Context, Decision, Layer, NoRequest, OpenError, RequestAttributes};
use meshproof_ir::{BuildOptions, Mesh};
use meshproof_load::{LoadError, Loaded};
use meshproof_resources::Decoded;
use meshproof_source::SourceId;

/// The file of a mesh in which `web` allows GET of one path.
fn tables(path: &str) -> Vec<u8> {
    let documents = [
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled}}}".to_owned(),
        "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}}".to_owned(),
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}".to_owned(),
        format!("{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: web, namespace: shop}}, spec: {{rules: [{{to: [{{operation: {{paths: [{path}]}}}}]}}]}}}}"),
    ];
    let mut decoded = Decoded::default();
    for (at, text) in documents.iter().enumerate() {
        let parsed = meshproof_yaml::parse(SourceId(at as u32), text, 0..text.len());
        meshproof_resources::decode(parsed.tree.unwrap().root(), &mut decoded);
    }
    let inputs = decoded.resources.into_iter().map(Into::into).collect();
    let mesh = Mesh::build(inputs, &BuildOptions::default());
    let made = mesh_tables(&mesh, ReportOrder::Name, Proofs::None, &Earlier::default());
    let files = made.files(&mesh).unwrap();
    files.into_iter().find(|(name, _)| name == MESH_FILE).unwrap().1
}

struct Get(&'static str);

impl RequestAttributes for Get {
    fn method(&self) -> Option<&[u8]> {
        Some(b"GET")
    }

    fn path(&self) -> Option<&[u8]> {
        Some(self.0.as_bytes())
    }
}

fn decide(loaded: &Loaded, context: &mut Context, request: &impl RequestAttributes) -> Decision {
    let workload = loaded.bundle().workload("shop/web").unwrap();
    let table = workload.table(Layer::Http, 8080, None).unwrap();
    table.decide_on(&Connection { port: 8080, ..Connection::default() }, context, request)
}

/// Replaces a file as `meshproof compile` does.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Workers go on deciding while tables change under them, and each answer is that of one table or the other.
#[test]
fn tables_change_while_requests_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(MESH_FILE);
    let (first, second) = (tables("/one"), tables("/two"));
    replace(&file, &first);
    let current = ArcSwap::from_pointee(Loaded::read(&file).unwrap());
    let (stop, decided) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut cache, mut context, mut seen) =
                        (Cache::new(&current), Context::new(), [0u64; 2]);
                    while !stop.load(Ordering::Relaxed) {
                        let loaded = Arc::clone(cache.load());
                        let one = decide(&loaded, &mut context, &Get("/one")).is_allowed();
                        let two = decide(&loaded, &mut context, &Get("/two")).is_allowed();
                        assert!(one != two, "one table allows one path");
                        assert!(!decide(&loaded, &mut context, &NoRequest).is_allowed());
                        seen[usize::from(two)] += 1;
                        decided.fetch_add(1, Ordering::Relaxed);
                    }
                    seen
                })
            })
            .collect();
        for round in 0..200 {
            let before = decided.load(Ordering::Relaxed);
            replace(&file, if round % 2 == 0 { &second } else { &first });
            current.store(Arc::new(Loaded::read(&file).unwrap()));
            while decided.load(Ordering::Relaxed) < before + 8 {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
        let seen: Vec<[u64; 2]> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        assert!(seen.iter().any(|[one, two]| *one > 0 && *two > 0), "{seen:?}");
    });
}

#[test]
fn what_holds_no_tables_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.mpt");
    let error = Loaded::read(&file).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }) && error.to_string().contains("tables.mpt"));
    let open = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        match Loaded::read(&file).unwrap_err() {
            LoadError::NoTables { error, .. } => error,
            other => panic!("{other}"),
        }
    };
    let good = tables("/one");
    assert_eq!(open(b""), OpenError::Foreign);
    assert_eq!(open(b"apiVersion: v1"), OpenError::Foreign);
    assert!(matches!(open(&good[..good.len() - 1]), OpenError::Truncated { .. }));
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(open(&changed), OpenError::Corrupt);
    assert_eq!(Loaded::from_bytes(changed).unwrap_err(), OpenError::Corrupt);
    let size = good.len();
    let loaded = Loaded::from_bytes(good).unwrap();
    assert_eq!(loaded.size(), size);
    assert!(format!("{loaded:?}").contains(&format!("bytes: {size}")));
}

/// A sparse file takes no room, and reading it would.
#[test]
fn a_file_beyond_every_table_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("huge.mpt");
    fs::File::create(&file).unwrap().set_len(1 << 33).unwrap();
    assert!(matches!(Loaded::read(&file).unwrap_err(), LoadError::TooLarge { size, .. } if size == 1 << 33));
}

#[cfg(feature = "mmap")]
mod mapped {
    #![allow(unsafe_code)]

    use super::*;

    fn map(file: &Path) -> Result<Loaded, LoadError> {
        // SAFETY: the files of these tests lie in a folder of their own, and are only ever replaced by name.
        unsafe { Loaded::map(file) }
    }

    /// Who has a file mapped keeps its tables when its name goes to another one, or away.
    #[test]
    fn a_mapped_file_keeps_its_tables() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(MESH_FILE);
        replace(&file, &tables("/one"));
        let old = map(&file).unwrap();
        replace(&file, &tables("/two"));
        let new = map(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let mut context = Context::new();
        for (loaded, allowed, refused) in
            [(&old, "/one", "/two"), (&new, "/two", "/one"), (&old, "/one", "/two")]
        {
            assert!(decide(loaded, &mut context, &Get(allowed)).is_allowed());
            assert!(!decide(loaded, &mut context, &Get(refused)).is_allowed());
        }
        let sent = std::thread::spawn(move || decide(&old, &mut Context::new(), &Get("/one")).is_allowed());
        assert!(sent.join().unwrap());
    }

    #[test]
    fn mapped_and_read_files_are_judged_alike() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tables.mpt");
        let good = tables("/one");
        let cut = &good[..good.len() / 2];
        for bytes in [b"".as_slice(), b"meshtabs", cut, &good] {
            fs::write(&file, bytes).unwrap();
            let told =
                |loaded: Result<Loaded, LoadError>| loaded.map(|_| ()).map_err(|error| error.to_string());
            assert_eq!(told(map(&file)), told(Loaded::read(&file)));
        }
        assert!(matches!(map(&folder.path().join("none")), Err(LoadError::Unreadable { .. })));
        assert!(map(folder.path()).is_err());
    }
}
