//! The ports of a workload: what leads there, which protocol is spoken, whether the proxy sees them.

use std::collections::BTreeMap;

use meshproof_grammar::protocol::ProtocolClass;
use meshproof_resources::{Meta, Resource, Transport};
use meshproof_source::Span;

use crate::age::created;
use crate::inbound::InboundCapture;
use crate::peer_authentication::{InForce, inherited};
use crate::pods::Pods;
use crate::services::{
    NamedPorts, Selecting, Services, class_origin, entry_port_class, entry_target_port, service_port_class,
};
use crate::sidecars::Ingress;
use crate::{EntryBinding, Fact, Origin, PortBinding, PortCapture, WorkloadPort};

#[derive(Default)]
struct Draft<'a> {
    declared: Option<Span>,
    name: Option<&'a str>,
    transport: Transport,
    bindings: Vec<PortBinding>,
    entries: Vec<EntryBinding>,
    votes: Vec<Vote<'a>>,
}

/// What one Service or ServiceEntry says of the protocol of a port.
struct Vote<'a> {
    by: &'a Meta,
    class: ProtocolClass,
    origin: Origin,
    /// It only may lead here.
    maybe: bool,
}

/// What ports are made from.
pub(crate) struct PortSources<'a, 't> {
    pub(crate) pods: &'t Pods<'t>,
    pub(crate) selecting: &'t Selecting,
    pub(crate) services: &'t Services<'a>,
    pub(crate) resources: &'a [Resource],
    pub(crate) inbound: &'t InboundCapture,
    pub(crate) ingress: Option<&'t [Ingress]>,
    pub(crate) in_force: &'t InForce,
}

impl<'a> PortSources<'a, '_> {
    /// Every port that anything says something of, sorted by number.
    pub(crate) fn ports(&self) -> Vec<WorkloadPort> {
        let mut drafts = declared(self.pods);
        self.add_services(&mut drafts);
        self.add_entries(&mut drafts);
        let listeners = self.ingress.unwrap_or_default();
        let named = self.in_force.ports.keys().chain(self.inbound.named());
        for number in named.copied().chain(listeners.iter().map(|listener| listener.port)) {
            drafts.entry(number).or_default();
        }
        drafts.into_iter().map(|(number, draft)| self.finish(number, draft)).collect()
    }

    fn add_services<'d>(&self, drafts: &mut BTreeMap<u16, Draft<'d>>)
    where
        'a: 'd,
    {
        let named = NamedPorts::of(self.pods);
        let certain = self.selecting.services.iter().map(|id| (id, false));
        for (id, maybe) in certain.chain(self.selecting.maybe.iter().map(|id| (id, true))) {
            let (service, spec) = &self.services.all[id.index()];
            let by = &self.resources[service.resource.index()].meta;
            for (at, port) in spec.ports.iter().enumerate() {
                let Some(number) = named.target_of(port) else { continue };
                if maybe && !drafts.contains_key(&number) {
                    continue;
                }
                let fresh = || Draft { transport: port.protocol, ..Draft::default() };
                let draft = drafts.entry(number).or_insert_with(fresh);
                draft.vote(Vote { by, class: service_port_class(port), origin: class_origin(port), maybe });
                if !maybe {
                    draft.bindings.push(PortBinding { service: *id, port: at });
                }
            }
        }
    }

    fn add_entries<'d>(&self, drafts: &mut BTreeMap<u16, Draft<'d>>)
    where
        'a: 'd,
    {
        if self.selecting.entries.is_empty() {
            return;
        }
        let named = NamedPorts::of(self.pods);
        for id in &self.selecting.entries {
            let Some(entry) = self.services.entry(*id) else { continue };
            let by = &self.resources[id.index()].meta;
            for (at, port) in entry.ports.iter().enumerate() {
                let Some(number) = entry_target_port(port, &named) else { continue };
                let draft = drafts.entry(number).or_default();
                let origin =
                    Origin::Inherited(port.protocol.as_ref().map_or(port.span, |protocol| protocol.span));
                draft.vote(Vote { by, class: entry_port_class(port), origin, maybe: false });
                draft.entries.push(EntryBinding { entry: *id, port: at });
            }
        }
    }

    fn finish(&self, number: u16, mut draft: Draft<'_>) -> WorkloadPort {
        draft.bindings.sort_unstable_by_key(|binding| (binding.service, binding.port));
        let protocol = match self.ingress {
            Some(listeners) => of_listeners(number, listeners),
            None if self.selecting.too_many => {
                Fact::Unknown("more Services select these pods than are looked at".to_owned())
            }
            None => draft.protocol(),
        };
        let mode = self.in_force.ports.get(&number).cloned();
        let is_datagram = protocol.is(&ProtocolClass::Udp);
        WorkloadPort {
            number,
            declared: draft.declared,
            name: draft.name.map(str::to_owned),
            mode: mode.unwrap_or_else(|| inherited(&self.in_force.mode)),
            capture: if is_datagram { PortCapture::Excluded { by: None } } else { self.inbound.of(number) },
            protocol,
            bindings: draft.bindings,
            service_entries: draft.entries,
        }
    }
}

/// With listeners written in a Sidecar, Services no longer say the protocol; other ports are sniffed.
fn of_listeners(number: u16, listeners: &[Ingress]) -> Fact<ProtocolClass> {
    let found = listeners.iter().find(|listener| listener.port == number);
    found.map_or(Fact::Known(ProtocolClass::Auto, Origin::Default), |listener| {
        Fact::Known(listener.class, Origin::Inherited(listener.span))
    })
}

/// Ports that containers declare. Of two entries for one number the one with TCP counts, else the first.
fn declared<'a>(pods: &'a Pods<'_>) -> BTreeMap<u16, Draft<'a>> {
    let mut drafts: BTreeMap<u16, Draft<'a>> = BTreeMap::new();
    for port in pods.containers.iter().flat_map(|container| &container.ports) {
        let fresh = Draft {
            declared: Some(port.number.span),
            name: port.name.as_ref().map(|name| name.value.as_str()),
            transport: port.protocol,
            ..Draft::default()
        };
        match drafts.get(&port.number.value) {
            Some(old) if old.transport == Transport::Tcp || fresh.transport != Transport::Tcp => {}
            _ => {
                drafts.insert(port.number.value, fresh);
            }
        }
    }
    drafts
}

impl<'a> Draft<'a> {
    /// Of several ports of one Service the first counts; datagrams never meet a chain.
    fn vote(&mut self, vote: Vote<'a>) {
        let again = self.votes.last().is_some_and(|last| std::ptr::eq(last.by, vote.by));
        if vote.class != ProtocolClass::Udp && !again {
            self.votes.push(vote);
        }
    }

    /// The chains of the port: what the oldest of those that lead here says; where nothing leads, the proxy looks at
    /// the bytes (Istio 1.32, networking/core/listener_inbound.go; proxies order their Services by creation time).
    fn protocol(&self) -> Fact<ProtocolClass> {
        if !self.votes.iter().any(|vote| !vote.maybe) {
            let datagrams = self.transport != Transport::Tcp;
            let class = if datagrams { ProtocolClass::Udp } else { ProtocolClass::Auto };
            let others = self.votes.iter().filter(|vote| vote.class != class && !datagrams);
            let other = others.min_by_key(|vote| vote.by.name());
            return other.map_or(Fact::Known(class, Origin::Default), doubtful);
        }
        let oldest_time = self.votes.iter().map(|vote| created(vote.by)).min().flatten();
        let mut oldest: Vec<&Vote<'_>> =
            self.votes.iter().filter(|vote| created(vote.by) == oldest_time || vote.maybe).collect();
        oldest.sort_by_key(|vote| (vote.maybe, vote.by.name()));
        let first = oldest[0];
        let Some(other) = oldest.iter().find(|vote| vote.class != first.class) else {
            return Fact::Known(first.class, first.origin);
        };
        if other.maybe {
            return doubtful(other);
        }
        if oldest_time.is_some() {
            // Created in one second: the host name decides.
            return Fact::Known(first.class, first.origin);
        }
        let mut names: Vec<&str> = oldest.iter().map(|vote| vote.by.name()).collect();
        names.truncate(4);
        Fact::Unknown(format!(
            "{} send different protocols to this port, and the oldest of them decides",
            names.join(", ")
        ))
    }
}

fn doubtful(vote: &Vote<'_>) -> Fact<ProtocolClass> {
    Fact::Unknown(format!(
        "Service {} may lead to this port: whether it selects these pods is not in the input",
        vote.by.name()
    ))
}
