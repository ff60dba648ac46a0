//! Whether a policy selects pods, and whether a rule matches a packet.

use ipnet::IpNet;
use meshproof_ir::{ClusterId, Mesh};
use meshproof_resources::Transport;

use crate::endpoint::{Endpoint, Pod};
use crate::holds::Holds;
use crate::policy::{Accounts, Namespaces, Origin, Peer, Policy, PortMatch, Ports, Rule, Selection, Side};
use crate::selector::{Label, Selector};
use crate::sets::NetworkSets;

/// A packet with both ends as the policies of one cluster see them.
pub(crate) struct Packet<'m> {
    pub(crate) mesh: &'m Mesh,
    pub(crate) cluster: ClusterId,
    pub(crate) source: Endpoint<'m>,
    pub(crate) destination: Endpoint<'m>,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
}

/// What rules look things up in.
pub(crate) struct Surroundings<'n, 'm> {
    pub(crate) sets: &'n NetworkSets<'m>,
    /// Blocks that hold the addresses of all pods; empty when nobody has said.
    pub(crate) pod_networks: &'n [IpNet],
}

impl Selection {
    /// Whether pods are selected.
    pub(crate) fn matches(&self, mesh: &Mesh, pod: &Pod<'_>) -> Holds {
        let selected = self.in_namespace(mesh, pod);
        let selected = selected.and(|| self.pods.matches(&|key| pod.label(key)));
        selected.and(|| self.accounts.as_ref().map_or(Holds::Yes, |accounts| accounts.matches(pod)))
    }

    fn in_namespace(&self, mesh: &Mesh, pod: &Pod<'_>) -> Holds {
        match &self.namespaces {
            Namespaces::Any => Holds::Yes,
            Namespaces::None => Holds::No,
            Namespaces::Matching(selector) => selector.matches(&|key| pod.namespace_label(key)),
            Namespaces::Own(own) if *own == pod.namespace => Holds::Yes,
            Namespaces::Own(own) => {
                let (own, other) = (mesh.namespace(*own), mesh.namespace(pod.namespace));
                match (own.cluster == other.cluster, &own.name, &other.name) {
                    (true, None, _) => Holds::maybe("the namespace of the policy is not known"),
                    (true, Some(_), None) => {
                        Holds::maybe(format!("the namespace of {} is not known", pod.name()))
                    }
                    _ => Holds::No,
                }
            }
        }
    }
}

impl Accounts {
    fn matches(&self, pod: &Pod<'_>) -> Holds {
        let named = match pod.account_name() {
            _ if self.names.is_empty() => Holds::Yes,
            Label::Known(name) => name.is_some_and(|name| self.names.iter().any(|one| one == name)).into(),
            Label::Unknown(reason) => Holds::Maybe(reason),
        };
        named.and(|| self.selector.matches(&|key| pod.account_label(key)))
    }
}

impl Policy {
    /// Whether it is in force at pods that its selection is known to take or not.
    pub(crate) fn in_force(&self, selected: Holds, pod: &Pod<'_>) -> Holds {
        let in_force = selected.and(|| self.doubt.as_ref().map_or(Holds::Yes, Holds::maybe));
        if !pod.host_network {
            return in_force;
        }
        in_force.and(|| {
            let name = pod.display();
            Holds::maybe(match self.origin {
                Origin::CalicoGlobal => {
                    format!(
                        "{name} runs in the network of its node, where policies for host endpoints decide"
                    )
                }
                Origin::Kubernetes | Origin::Calico => {
                    format!("{name} runs in the network of its node, where pod policies usually have no say")
                }
            })
        })
    }
}

impl Rule {
    /// Whether it matches a packet.
    pub(crate) fn matches<'m>(&self, packet: &Packet<'m>, around: &Surroundings<'_, 'm>) -> Holds {
        let number = match packet.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            Transport::Sctp => 132,
        };
        let fits = self.protocol.is_none_or(|wanted| wanted == number) && self.not_protocol != Some(number);
        Holds::from(fits)
            .and(|| self.destination.takes_port(packet))
            .and(|| self.source.takes_source_port())
            .and(|| self.source.matches(&packet.source, packet, around))
            .and(|| self.destination.matches(&packet.destination, packet, around))
            .and(|| self.ip_version.map_or(Holds::Yes, |version| is_version(version, packet)))
            .and(|| self.doubt.as_ref().map_or(Holds::Yes, Holds::maybe))
    }
}

fn is_version(version: u8, packet: &Packet<'_>) -> Holds {
    let ends = [packet.source.is_version(version), packet.destination.is_version(version)];
    // Both ends speak the same; one known address tells.
    ends.iter().find(|end| !matches!(end, Holds::Maybe(_))).unwrap_or(&ends[0]).clone()
}

impl Side {
    fn takes_port(&self, packet: &Packet<'_>) -> Holds {
        let one = |wanted: &PortMatch| wanted.matches(packet);
        let listed = if self.ports.is_empty() { Holds::Yes } else { Holds::any(self.ports.iter().map(one)) };
        listed.and(|| Holds::any(self.not_ports.iter().map(one)).negated())
    }

    /// Ports that clients send from are chosen by chance.
    fn takes_source_port(&self) -> Holds {
        if self.ports.is_empty() && self.not_ports.is_empty() {
            return Holds::Yes;
        }
        Holds::maybe("a rule asks for the port that the client sends from")
    }

    fn matches<'m>(&self, end: &Endpoint<'m>, packet: &Packet<'m>, around: &Surroundings<'_, 'm>) -> Holds {
        if self.one_of.is_empty() {
            return Holds::Yes;
        }
        Holds::any(self.one_of.iter().map(|peer| peer.matches(end, packet, around)))
    }
}

impl PortMatch {
    fn matches(&self, packet: &Packet<'_>) -> Holds {
        if self.transport.is_some_and(|transport| transport != packet.transport) {
            return Holds::No;
        }
        match &self.ports {
            Ports::Any => Holds::Yes,
            Ports::Range(first, last) => (*first..=*last).contains(&packet.port).into(),
            Ports::Named(name) => packet.destination.has_named_port(name, packet.transport, packet.port),
        }
    }
}

impl Peer {
    fn matches<'m>(&self, end: &Endpoint<'m>, packet: &Packet<'m>, around: &Surroundings<'_, 'm>) -> Holds {
        self.selects(end, packet, around)
            .and(|| self.not_selects(end, packet, around))
            .and(|| self.has_address(end, around))
            .and(|| self.is_of_service(end, packet))
    }

    fn selects<'m>(&self, end: &Endpoint<'m>, packet: &Packet<'m>, around: &Surroundings<'_, 'm>) -> Holds {
        let Some(selection) = &self.selection else { return Holds::Yes };
        let pods = match end.pod() {
            Some(pod) => seen_as_pod(pod, selection.matches(packet.mesh, pod)),
            None => Holds::No,
        };
        pods.or(|| around.sets.hold(packet.cluster, selection, end, around.pod_networks))
    }

    fn not_selects<'m>(
        &self,
        end: &Endpoint<'m>,
        packet: &Packet<'m>,
        around: &Surroundings<'_, 'm>,
    ) -> Holds {
        let Some(selector) = &self.not_selector else { return Holds::Yes };
        let pods = match end.pod() {
            Some(pod) => seen_as_pod(pod, self.selector_takes(selector, pod)),
            None => Holds::No,
        };
        pods.or(|| around.sets.hold_anywhere(packet.cluster, selector, end, around.pod_networks)).negated()
    }

    fn selector_takes(&self, selector: &Selector, pod: &Pod<'_>) -> Holds {
        selector.matches(&|key| pod.label(key))
    }

    fn has_address(&self, end: &Endpoint<'_>, around: &Surroundings<'_, '_>) -> Holds {
        let within = match &self.nets {
            Some(nets) => end.is_in(nets, around.pod_networks),
            None => Holds::Yes,
        };
        let within = within.and(|| end.is_in(&self.not_nets, around.pod_networks).negated());
        match (self.is_ip_block, end.pod(), within) {
            (true, Some(pod), Holds::Yes) => Holds::maybe(format!(
                "an ipBlock covers the address of {}, and it is up to the network plugin whether that counts",
                pod.display()
            )),
            (_, _, within) => within,
        }
    }

    fn is_of_service(&self, end: &Endpoint<'_>, packet: &Packet<'_>) -> Holds {
        let Some(service) = &self.service else { return Holds::Yes };
        match (end.pod(), &service.namespace) {
            (Some(pod), Some(namespace)) => {
                let port = service.with_ports.then_some(packet.port);
                seen_as_pod(pod, pod.serves(namespace, &service.name, port))
            }
            _ => Holds::maybe(format!("the addresses of Service {} are not known", service.name)),
        }
    }
}

/// Pods in the network of their node have its address, and plugins differ in whether they still count as pods.
fn seen_as_pod(pod: &Pod<'_>, is_selected: Holds) -> Holds {
    if !pod.host_network {
        return is_selected;
    }
    is_selected.and(|| {
        Holds::maybe(format!("{} runs in the network of its node and is seen by its address", pod.display()))
    })
}
