//! The tables of a mesh: every proxy, every chain, each distinct list of policies once.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use meshproof_authz::{Context, Policy};
use meshproof_engine::{Layer as EngineLayer, Table};
use meshproof_ir::{Layer, Mesh, Settings};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::bundle::{BundledChain, bundle};
use super::earlier::{Earlier, EarlierTable, Input};
use super::verify::{Proof, verify};
use super::write::refuse_all;
use super::{ReportOrder, Uncompiled, table};
use crate::compile::{Chain, ChainPort, Compiled, Proxy, Target, compile_for};
use crate::files::{file_names, head, not_emitted, service};

/// What the files are for.
pub const TABLE_TARGET: &str = "table";
/// The file with the tables of all workloads.
pub const MESH_FILE: &str = "mesh.mpt";
/// Tables with at most so many rows are proven when they are made, without being asked for it.
pub const PROVEN_ROWS: usize = 2_000;

/// Which tables are proven to say what the policies say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proofs {
    /// None.
    None,
    /// Those of at most [`PROVEN_ROWS`] rows.
    #[default]
    Small,
    /// All.
    All,
}

/// The tables of a mesh.
#[derive(Debug)]
pub struct MeshTables {
    /// The proxies; a chain has the place of its table.
    pub compiled: Compiled<usize>,
    /// The name of each proxy in the file of the mesh, in their order.
    pub names: Vec<String>,
    /// The tables, one for each distinct input; where their bytes are equal too, files have them once.
    pub tables: Vec<MadeTable>,
}

/// A table, and how it came about.
#[derive(Debug)]
pub struct MadeTable {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Why it refuses everything: the policies could not be compiled.
    pub refuses: Option<Uncompiled>,
    /// What was proven; nothing when nobody asked.
    pub proof: Option<Result<Proven, String>>,
    /// What it was made from; nothing where it refuses everything.
    pub input: Option<Input>,
    /// It is the one of an earlier run.
    pub is_kept: bool,
}

/// When a table was proven to say what the policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// In this run.
    Now(Proof),
    /// In the run that made it, from the same input.
    Earlier,
}

/// The policies of a chain, waiting to be compiled.
struct Job<'m> {
    policies: Vec<Policy<'m>>,
    context: Context,
}

#[derive(Default)]
struct Tables<'m>(Vec<Job<'m>>);

impl<'m> Target<'m> for Tables<'m> {
    type Output = usize;
    const TAKES_ALL_ENGINES: bool = true;

    fn chain(&mut self, policies: &[Policy<'m>], context: &Context, _: &Settings) -> usize {
        self.0.push(Job { policies: policies.to_vec(), context: context.clone() });
        self.0.len() - 1
    }

    fn doubts(_: &usize) -> Vec<String> {
        Vec::new()
    }

    fn has_identity(_: &usize) -> bool {
        // The proxy tells the names of its peers, wherever it has them from.
        false
    }
}

/// Compiles every workload of a mesh, in parallel. Equal input is compiled once, and not at all where an earlier run left
/// its table, unless every table is to be proven.
pub fn mesh_tables(mesh: &Mesh, order: ReportOrder, proofs: Proofs, earlier: &Earlier<'_>) -> MeshTables {
    let mut target = Tables::default();
    let compiled = compile_for(mesh, &mut target);
    let jobs = target.0;
    let inputs: Vec<Option<Input>> =
        jobs.par_iter().map(|job| Input::of(&job.policies, &job.context, order)).collect();
    let mut first: HashMap<Input, usize> = HashMap::new();
    let (mut distinct, mut made_by) = (Vec::new(), Vec::with_capacity(jobs.len()));
    for (at, input) in inputs.iter().enumerate() {
        let next = distinct.len();
        let by = input.map_or(next, |input| *first.entry(input).or_insert(next));
        if by == next {
            distinct.push(at);
        }
        made_by.push(by);
    }
    let tables: Vec<MadeTable> = distinct
        .par_iter()
        .filter_map(|at| Some(made(jobs.get(*at)?, *inputs.get(*at)?, order, proofs, earlier)))
        .collect();
    let compiled = compiled.map(|job| made_by.get(*job).copied().unwrap_or_default());
    let names = file_names(mesh, &compiled, "");
    MeshTables { compiled, names, tables }
}

fn made(
    job: &Job<'_>,
    input: Option<Input>,
    order: ReportOrder,
    proofs: Proofs,
    earlier: &Earlier<'_>,
) -> MadeTable {
    let kept = input.and_then(|input| earlier.get(input)).filter(|kept| is_enough(kept, proofs));
    if let Some(EarlierTable { bytes, is_proven }) = kept {
        let proof = is_proven.then_some(Ok(Proven::Earlier));
        return MadeTable { bytes: bytes.to_vec(), refuses: None, proof, input, is_kept: true };
    }
    match table(&job.policies, &job.context, order) {
        Err(error) => {
            let bytes = refuse_all(&job.context, order);
            MadeTable { bytes, refuses: Some(error), proof: None, input: None, is_kept: false }
        }
        Ok(bytes) => {
            let rows = Table::open(&bytes).map_or(0, |table| table.row_count());
            let prove = || {
                let proof = verify(&bytes, &job.policies, &job.context, order);
                proof.map(Proven::Now).map_err(|error| error.to_string())
            };
            let proof = is_wanted(rows, proofs).then(prove);
            MadeTable { bytes, refuses: None, proof, input, is_kept: false }
        }
    }
}

fn is_wanted(rows: usize, proofs: Proofs) -> bool {
    proofs == Proofs::All || (proofs == Proofs::Small && rows <= PROVEN_ROWS)
}

/// Whether a table of an earlier run does. Who asks for every proof does not want to hear of earlier ones.
fn is_enough(kept: &EarlierTable<'_>, proofs: Proofs) -> bool {
    let rows = || Table::open(kept.bytes).map_or(0, |table| table.row_count());
    proofs != Proofs::All && (kept.is_proven || !is_wanted(rows(), proofs))
}

impl MeshTables {
    /// Tables that do not say what the policies say. There is none unless meshproof is wrong.
    pub fn unproven(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().filter_map(|table| table.proof.as_ref()?.as_ref().err().map(String::as_str))
    }

    /// Tables that an earlier run made.
    pub fn kept(&self) -> usize {
        self.tables.iter().filter(|table| table.is_kept).count()
    }

    /// The files by name: one for each proxy, in their order, then [`MESH_FILE`] with all of them.
    ///
    /// # Errors
    /// One would be too large.
    pub fn files(&self, mesh: &Mesh) -> Result<Vec<(String, Vec<u8>)>, Uncompiled> {
        let tables: Vec<&[u8]> = self.tables.iter().map(|table| table.bytes.as_slice()).collect();
        let proxies = self.names.iter().zip(&self.compiled.proxies);
        let all: Vec<(&str, Vec<BundledChain>)> =
            proxies.map(|(name, proxy)| (name.as_str(), chains(mesh, proxy))).collect();
        let one = |(name, chains): &(&str, Vec<BundledChain>)| {
            let file = bundle(&BTreeMap::from([(*name, chains.as_slice())]), &tables)?;
            Ok((format!("{name}.mpt"), file))
        };
        let mut files: Vec<(String, Vec<u8>)> = all.par_iter().map(one).collect::<Result<_, Uncompiled>>()?;
        let workloads = all.iter().map(|(name, chains)| (*name, chains.as_slice())).collect();
        files.push((MESH_FILE.to_owned(), bundle(&workloads, &tables)?));
        Ok(files)
    }

    /// The index of a run: its files, what is in them, and everything that is not as sure as it looks.
    pub fn index(&self, mesh: &Mesh) -> Value {
        let inside: Vec<Map<String, Value>> = self.tables.iter().map(about).collect();
        let proxy = |(proxy, name): (&Proxy<usize>, &String)| {
            let mut written = head(mesh, proxy);
            written.insert("file".to_owned(), json!(format!("{name}.mpt")));
            let chains: Vec<Value> = proxy
                .chains
                .iter()
                .map(|chain| {
                    let mut about = inside.get(*chain.filters).cloned().unwrap_or_default();
                    let ports: Vec<Value> = chain
                        .ports
                        .iter()
                        .map(|port| port_of(port).map_or(json!("other"), |port| json!(port)))
                        .collect();
                    about.insert("ports".to_owned(), json!(ports));
                    about.insert(
                        "layer".to_owned(),
                        json!(if chain.layer == Layer::Http { "http" } else { "tcp" }),
                    );
                    if let Some(called) = chain.service.and_then(|called| service(mesh, called)) {
                        about.insert("service".to_owned(), json!(called));
                    }
                    Value::Object(about)
                })
                .collect();
            written.insert("chains".to_owned(), json!(chains));
            Value::Object(written)
        };
        let proxies: Vec<Value> = self.compiled.proxies.iter().zip(&self.names).map(proxy).collect();
        json!({
            "format": crate::FORMAT,
            "target": TABLE_TARGET,
            "file": MESH_FILE,
            "proxies": proxies,
            "notEmitted": not_emitted(mesh, &self.compiled),
        })
    }
}

fn about(made: &MadeTable) -> Map<String, Value> {
    let mut about = Map::new();
    if let Ok(table) = Table::open(&made.bytes) {
        about.insert("table".to_owned(), json!(short_hash(&table)));
        about.insert("engine".to_owned(), json!(engine_name(table.engine())));
        about.insert("rules".to_owned(), json!(table.rule_count()));
        about.insert("rows".to_owned(), json!(table.row_count()));
        about.insert("bytes".to_owned(), json!(table.size()));
    }
    if let Some(input) = made.input {
        about.insert("input".to_owned(), json!(input.written()));
    }
    about.insert("proven".to_owned(), json!(matches!(made.proof, Some(Ok(_)))));
    if let Some(refuses) = &made.refuses {
        about.insert("refusesAll".to_owned(), json!(refuses.to_string()));
    }
    about
}

/// The first eight bytes of its hash: what an index names a table by.
pub(super) fn short_hash(table: &Table<'_>) -> String {
    table.hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The name of an engine in what is printed.
pub fn engine_name(engine: meshproof_engine::Engine) -> &'static str {
    match engine {
        meshproof_engine::Engine::EnvoyHttp => "envoy-http",
        meshproof_engine::Engine::EnvoyTcp => "envoy-tcp",
        meshproof_engine::Engine::Ztunnel => "ztunnel",
        meshproof_engine::Engine::Grpc => "grpc",
    }
}

fn port_of(port: &ChainPort) -> Option<u16> {
    match port {
        ChainPort::Number(port) => Some(*port),
        ChainPort::Other => None,
    }
}

fn chains(mesh: &Mesh, proxy: &Proxy<usize>) -> Vec<BundledChain> {
    let layer = |chain: &Chain<usize>| match chain.layer {
        Layer::Http => EngineLayer::Http,
        Layer::Tcp => EngineLayer::Tcp,
    };
    let each = proxy.chains.iter().flat_map(|chain| {
        chain.ports.iter().map(move |port| BundledChain {
            service: chain.service.and_then(|called| service(mesh, called)),
            layer: layer(chain),
            port: port_of(port),
            table: *chain.filters,
        })
    });
    let mut chains: Vec<BundledChain> = each.collect();
    chains.sort();
    chains
}
