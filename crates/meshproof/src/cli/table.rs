//! `meshproof table`: what is inside of compiled tables.

use std::io::{self, Write};

use meshproof_compiler::table::engine_name;
use meshproof_engine::{Bundle, Chain, Layer, Table};
use meshproof_load::Loaded;

use super::args::TableArgs;
use super::decide::table_file;
use super::{CLEAN, FAILED, output};

/// Runs the command and gives the exit code.
pub(crate) fn run(args: &TableArgs) -> u8 {
    let path = table_file(&args.table);
    let text = Loaded::read(&path).map_err(|error| error.to_string()).and_then(|loaded| {
        described(&loaded, args.workload.as_deref()).map_err(|error| format!("{}: {error}", path.display()))
    });
    match text {
        Ok(text) => {
            // Whoever reads standard output may stop reading.
            let _ = write!(io::stdout(), "{text}");
            CLEAN
        }
        Err(error) => {
            output::complain(&error);
            FAILED
        }
    }
}

/// A line per chain of every workload, or everything about one.
fn described(loaded: &Loaded, workload: Option<&str>) -> Result<String, String> {
    let bundle = loaded.bundle();
    let Some(name) = workload else { return Ok(listed(bundle, loaded.size())) };
    let found = bundle.workload(name).ok_or_else(|| format!("there is no workload {name} in the tables"))?;
    let mut text = String::new();
    let mut last = None;
    for chain in found.chains() {
        let Some(table) = found.table_of(chain) else { continue };
        text.push_str(&format!("{name} {}: {}\n", place(chain), summary(table)));
        if last != Some(table.hash()) {
            text.push_str(&attributes(table));
        }
        last = Some(table.hash());
    }
    Ok(text)
}

fn listed(bundle: &Bundle<'_>, size: usize) -> String {
    let mut text = String::new();
    let mut workloads = 0;
    for workload in bundle.workloads() {
        workloads += 1;
        for chain in workload.chains() {
            let Some(table) = workload.table_of(chain) else { continue };
            text.push_str(&format!("{} {}: {}\n", workload.name, place(chain), summary(table)));
        }
    }
    let tables = bundle.tables().len();
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    text.push_str(&format!(
        "{}, {}, {size} bytes\n",
        plural(workloads, "workload"),
        plural(tables, "distinct table")
    ));
    text
}

/// `http 8080`, `tcp other`, `http 80 for shop/web`.
fn place(chain: &Chain<'_>) -> String {
    let layer = if chain.layer == Layer::Http { "http" } else { "tcp" };
    let port = chain.port.map_or("other".to_owned(), |port| port.to_string());
    let service = chain.service.map(|service| format!(" for {service}")).unwrap_or_default();
    format!("{layer} {port}{service}")
}

fn summary(table: &Table<'_>) -> String {
    let hash: String = table.hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let default =
        if table.needs_allow() { "denies what no rule allows" } else { "allows what no rule denies" };
    let form = if table.is_told_by_rows() { "row by row" } else { "by words" };
    format!(
        "{} table {hash}, {form}, rules {}, rows {}, bytes {}, {default}",
        engine_name(table.engine()),
        table.rule_count(),
        table.row_count(),
        table.size()
    )
}

/// What the rows of a table look at.
fn attributes(table: &Table<'_>) -> String {
    let mut text = String::new();
    for attribute in table.stored_attributes() {
        let name = match attribute.name.as_str() {
            "" => String::new(),
            name => format!(" {}", name.replace('\0', ".")),
        };
        let asked = if attribute.is_of_request { "per request" } else { "per connection" };
        let first = if attribute.is_driver { ", first" } else { "" };
        text.push_str(&format!(
            "  {:?}{name}: {asked}{first}, {} tests, {} rows want and {} refuse some\n",
            attribute.attribute,
            attribute.tests.len(),
            attribute.wanting.len(),
            attribute.refusing.len()
        ));
    }
    text
}
