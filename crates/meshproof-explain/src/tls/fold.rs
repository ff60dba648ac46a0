//! Ports of which the same is to be told are told of once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
use meshproof_source::Span;

use super::answer::{Because, TlsPort, TlsRow};

/// What is the first row's own.
struct First {
    port: TlsPort,
    hosts: Vec<String>,
    namespaces: Vec<Place>,
    alike: Vec<TlsPort>,
    /// Namespaces of others say the same elsewhere.
    elsewhere: bool,
}

/// An object and the place in it.
type Place = (Option<String>, Option<Span>);

/// Joins rows that differ in nothing but their port, the names of the hosts in front of it, and the Namespace that says that
/// they have a proxy. Rows stay in the order of their first ports.
pub(super) fn fold(rows: Vec<TlsRow>) -> Vec<TlsRow> {
    let mut places: HashMap<TlsRow, usize, RandomState> = HashMap::default();
    let mut first: Vec<First> = Vec::new();
    for mut row in rows {
        let port = TlsPort { to: std::mem::take(&mut row.to), cluster: row.cluster.take(), port: row.port };
        row.port = 0;
        let hosts = take_hosts(&mut row);
        let namespaces = take_namespaces(&mut row);
        match places.entry(row) {
            Entry::Occupied(known) => {
                let first = &mut first[*known.get()];
                first.elsewhere |= first.namespaces != namespaces;
                first.alike.push(port);
            }
            Entry::Vacant(place) => {
                place.insert(first.len());
                first.push(First { port, hosts, namespaces, alike: Vec::new(), elsewhere: false });
            }
        }
    }
    let mut rows: Vec<(usize, TlsRow)> = places.into_iter().map(|(row, at)| (at, row)).collect();
    rows.sort_by_key(|(at, _)| *at);
    let restore = |((_, mut row), first): ((usize, TlsRow), First)| {
        let First { port, hosts, namespaces, alike, elsewhere } = first;
        let mut namespaces = namespaces.into_iter();
        for clients in &mut row.clients {
            let taken = |because: &&mut Because| because.object.as_deref() == Some(TAKEN);
            for because in clients.because.iter_mut().filter(taken) {
                (because.object, because.span) = namespaces.next().unwrap_or_default();
                clients.and_alike |= elsewhere;
            }
        }
        for via in row.clients.iter_mut().flat_map(|clients| &mut clients.via) {
            if let Some(host) = via.parse().ok().and_then(|at: usize| hosts.get(at)) {
                via.clone_from(host);
            }
        }
        TlsRow { to: port.to, cluster: port.cluster, port: port.port, alike, ..row }
    };
    rows.into_iter().zip(first).map(restore).collect()
}

/// Stands for a Namespace while rows are compared.
const TAKEN: &str = "Namespace";

/// Takes out which Namespaces decide.
fn take_namespaces(row: &mut TlsRow) -> Vec<Place> {
    let all = row.clients.iter_mut().flat_map(|clients| &mut clients.because);
    let of_namespaces = all.filter(|because| {
        because
            .object
            .as_deref()
            .and_then(|object| object.split_once(' '))
            .is_some_and(|(kind, _)| kind == TAKEN)
    });
    of_namespaces
        .map(|because| {
            let object = because.object.replace(TAKEN.to_owned());
            (object, because.span.take())
        })
        .collect()
}

/// Replaces what is called by numbers, in the order in which it comes.
fn take_hosts(row: &mut TlsRow) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for via in row.clients.iter_mut().flat_map(|clients| &mut clients.via) {
        let at = hosts.iter().position(|known| known == via).unwrap_or_else(|| {
            hosts.push(via.clone());
            hosts.len() - 1
        });
        // The address of a pod is no host: rows that know it are not like rows that do not.
        if via != super::rows::ADDRESS {
            *via = at.to_string();
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Outcome;
    use crate::tls::TlsClients;

    fn row(to: &str, mode: &str, via: &[&[&str]]) -> TlsRow {
        let clients = |via: &&[&str]| TlsClients {
            who: "somebody".to_owned(),
            count: 1,
            names: Vec::new(),
            via: via.iter().map(|host| (*host).to_owned()).collect(),
            wire: None,
            sends: String::new(),
            outcome: Outcome::Mtls,
            reason: None,
            identity: None,
            because: Vec::new(),
            and_alike: false,
            unknown: Vec::new(),
        };
        TlsRow {
            to: to.to_owned(),
            cluster: None,
            port: 80,
            mode: mode.to_owned(),
            decided_by: None,
            place: None,
            clients: via.iter().map(clients).collect(),
            notes: Vec::new(),
            alike: Vec::new(),
        }
    }

    #[test]
    fn rows_that_differ_in_names_alone_become_one() {
        let folded = fold(vec![
            row("a/x", "STRICT", &[&["x.a:80", "address"]]),
            row("a/y", "STRICT", &[&["y.a:80"], &["address"]]),
            row("b/x", "STRICT", &[&["x.b:80", "address"]]),
            row("b/y", "DISABLE", &[&["y.b:80", "address"]]),
            row("b/z", "STRICT", &[&["z.b:80", "z2.b:80"]]),
        ]);
        let names: Vec<(&str, Vec<&str>)> = folded
            .iter()
            .map(|row| (row.to.as_str(), row.alike.iter().map(|port| port.to.as_str()).collect()))
            .collect();
        assert_eq!(names, [("a/x", vec!["b/x"]), ("a/y", vec![]), ("b/y", vec![]), ("b/z", vec![])]);
        assert_eq!(folded[0].clients[0].via, ["x.a:80", "address"]);
    }
}
