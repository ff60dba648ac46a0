//! What Sidecar objects say of hosts: that which concerns every namespace, and that which concerns one.
//!
//! Two Sidecar objects that say the same to every namespace (`*/host`) know the same of a host unless one of them names its
//! namespace, so that a Sidecar in each namespace does not make each namespace a class of its own for every host.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use meshproof_resources::{EgressListener, OutboundMode, Sidecar};

use super::roster::Roster;
use crate::Transport;
use crate::clients::ClientClass;

/// What a Sidecar object says to hosts of every namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct View {
    outbound: Option<OutboundMode>,
    listeners: Vec<Listener>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Listener {
    /// It imports this port alone.
    port: Option<u16>,
    is_proxy: bool,
    /// `~/*` takes everything back.
    takes_back: bool,
    /// Hosts that it imports from every namespace, sorted.
    everywhere: Vec<String>,
}

impl View {
    pub(super) fn of(sidecar: &Sidecar) -> View {
        let listener = |listener: &EgressListener| {
            let mut everywhere: Vec<String> = entries(listener)
                .filter(|(namespace, _)| *namespace == "*")
                .map(|(_, host)| host.to_owned())
                .collect();
            everywhere.sort_unstable();
            everywhere.dedup();
            let port = listener.port.as_ref();
            let protocol = port.and_then(|port| port.protocol.as_ref());
            Listener {
                port: port.and_then(|port| port.number.as_ref()).map(|number| number.value),
                is_proxy: protocol.is_some_and(|name| name.value.eq_ignore_ascii_case("HTTP_PROXY")),
                takes_back: entries(listener).any(|(namespace, _)| namespace == "~"),
                everywhere,
            }
        };
        View {
            outbound: sidecar.outbound.as_ref().map(|mode| mode.value),
            listeners: sidecar.egress.iter().map(listener).collect(),
        }
    }
}

fn entries(listener: &EgressListener) -> impl Iterator<Item = (&str, &str)> {
    listener.hosts.iter().filter_map(|entry| entry.value.split_once('/'))
}

/// What is imported from one namespace: the number of the listener, and the host.
type Imported = Vec<(usize, String)>;

/// Which clients import something from a namespace that they name.
#[derive(Default)]
pub(super) struct Importers {
    /// By the name of the namespace; equal numbers stand for equal imports.
    by_namespace: HashMap<String, Vec<(ClientClass, u32)>, RandomState>,
}

impl Importers {
    pub(super) fn new(transport: &Transport<'_>, roster: &Roster) -> Self {
        let mut importers = Importers::default();
        let mut known: HashMap<Imported, u32, RandomState> = HashMap::default();
        let scopes = transport.scopes();
        for (class, example) in roster.scoped() {
            let Some(sidecar) = scopes.sidecar(&transport.clients.profile(example).scope) else { continue };
            let mut named: BTreeMap<&str, Imported> = BTreeMap::new();
            for (at, listener) in sidecar.egress.iter().enumerate() {
                for (namespace, host) in
                    entries(listener).filter(|(from, _)| !matches!(*from, "*" | "." | "~"))
                {
                    named.entry(namespace).or_default().push((at, host.to_owned()));
                }
            }
            for (namespace, mut imported) in named {
                imported.sort_unstable();
                imported.dedup();
                let next = known.len() as u32;
                let number = *known.entry(imported).or_insert(next);
                importers.by_namespace.entry(namespace.to_owned()).or_default().push((class, number));
            }
        }
        importers
    }

    /// Those that import something of these namespaces by name; each list imports the same.
    pub(super) fn of<'n>(&self, namespaces: impl Iterator<Item = &'n str>) -> Vec<Vec<ClientClass>> {
        let mut of_class: BTreeMap<ClientClass, Vec<(usize, u32)>> = BTreeMap::new();
        for (at, name) in namespaces.enumerate() {
            for (class, number) in self.by_namespace.get(name).into_iter().flatten() {
                of_class.entry(*class).or_default().push((at, *number));
            }
        }
        let mut alike: BTreeMap<Vec<(usize, u32)>, Vec<ClientClass>> = BTreeMap::new();
        for (class, imported) in of_class {
            alike.entry(imported).or_default().push(class);
        }
        alike.into_values().collect()
    }
}
