//! Services that pods name in their settings: values of `env`, items of `command` and `args`.
//!
//! `http://cart.shop:8080`, `redis:6379` or `cart.shop.svc.cluster.local` is as plain a word about a call as manifests
//! have. Other words are not guessed at, and nothing is known of what ConfigMaps, Secrets and programs hold.

use meshproof_ir::{ClusterId, WorkloadId};
use meshproof_resources::{Spec, Text};

use crate::Context;
use crate::clients::{Clients, HostPort};

/// Calls noted, over all pods; beyond it nothing more is looked at.
const CALLS: usize = 50_000;

/// A Service that a pod names.
pub(crate) struct WrittenCall<'c> {
    pub(crate) client: WorkloadId,
    /// Index into the hosts of [`Clients`].
    pub(crate) host: u32,
    pub(crate) port: HostPort,
    /// The text that names it.
    pub(crate) text: &'c Text,
    /// The application speaks TLS of its own, so that a certificate may be at hand.
    pub(crate) is_tls: bool,
    /// An init container calls, mostly before a sidecar is there.
    pub(crate) is_early: bool,
}

/// The calls that pods write down, in the order of the input; the servers themselves are left out.
pub(crate) fn find<'c>(ctx: &Context<'c>) -> Vec<WrittenCall<'c>> {
    let clients = ctx.clients();
    let mut found: Vec<WrittenCall<'c>> = Vec::new();
    for (client, workload) in ctx.mesh.workloads_with_ids() {
        let Spec::Workload(spec) = &ctx.resource(workload.resource).spec else { continue };
        let namespace = ctx.mesh.namespace(workload.namespace);
        let (Some(template), Some(own)) = (&spec.template, namespace.name.as_deref()) else { continue };
        let texts = template.containers.iter().flat_map(|container| {
            let is_early = container.init && !container.sidecar;
            container.addresses.iter().map(move |text| (text, is_early))
        });
        for (text, is_early) in texts {
            for address in addresses(&text.value) {
                let Some((host, port)) = resolve(clients, (namespace.cluster, own), &address) else {
                    continue;
                };
                let is_known = |call: &&WrittenCall<'_>| {
                    let same = (call.host, call.port.number, call.is_early) == (host, port.number, is_early);
                    call.client == client && same
                };
                let is_own = clients.hosts[host as usize].workloads.binary_search(&client).is_ok();
                if is_own || found.iter().rev().take(32).any(|call| is_known(&call)) {
                    continue;
                }
                found.push(WrittenCall { client, host, port, text, is_tls: address.is_tls, is_early });
                if found.len() >= CALLS {
                    return found;
                }
            }
        }
    }
    found
}

/// Part of a text that has the form of an address.
#[derive(Debug, PartialEq, Eq)]
struct Address<'t> {
    host: &'t str,
    port: Option<u16>,
    is_tls: bool,
}

/// Addresses in a text: behind a scheme, with a port, or with `.svc`.
fn addresses(text: &str) -> impl Iterator<Item = Address<'_>> {
    let breaks = |c: char| c.is_whitespace() || "\"'`,;=()[]{}|<>$\\".contains(c);
    text.split(breaks).filter_map(address)
}

fn address(word: &str) -> Option<Address<'_>> {
    let (scheme, rest) = match word.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, word),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
        None => (authority, None),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let is_plain = host.starts_with(|c: char| c.is_ascii_lowercase()) && host.chars().all(is_name);
    let is_address = scheme.is_some() || port.is_some() || host.split('.').nth(2) == Some("svc");
    let scheme_port = match scheme {
        Some("http" | "ws") => Some(80),
        Some("https" | "wss") => Some(443),
        _ => None,
    };
    let is_tls = scheme.is_some_and(|scheme| {
        matches!(scheme, "https" | "wss" | "tls" | "ssl" | "rediss" | "amqps" | "ldaps" | "grpcs" | "mqtts")
    });
    (is_plain && is_address).then_some(Address { host, port: port.or(scheme_port), is_tls })
}

/// The Service of an address as pods of a namespace look it up, and its port: the one that is named, else the only one.
fn resolve(
    clients: &Clients<'_>,
    (cluster, own): (ClusterId, &str),
    address: &Address<'_>,
) -> Option<(u32, HostPort)> {
    let mut parts = address.host.splitn(4, '.');
    let (name, namespace) = (parts.next()?, parts.next().unwrap_or(own));
    match (parts.next(), parts.next()) {
        (None, _) | (Some("svc"), None | Some("cluster.local")) => {}
        _ => return None,
    }
    let full = format!("{name}.{namespace}.svc.cluster.local");
    let at = clients.named(cluster, &full).next()?;
    let host = &clients.hosts[at as usize];
    let port = match (address.port, host.ports.as_slice()) {
        (Some(number), ports) => ports.iter().find(|port| port.number == number).copied()?,
        (None, [only]) => *only,
        (None, _) => return None,
    };
    Some((at, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_words() {
        let found = |text: &str| -> Vec<String> {
            let shown = |address: Address<'_>| {
                let port = address.port.map_or(String::new(), |port| format!(":{port}"));
                format!("{}{port}{}", address.host, if address.is_tls { "!" } else { "" })
            };
            addresses(text).map(shown).collect()
        };
        for (text, expected) in [
            ("http://cart.shop:8080/api?x=http", &["cart.shop:8080"][..]),
            ("https://cart", &["cart:443!"]),
            (
                "--backends=cart:80,orders.shop.svc.cluster.local.",
                &["cart:80", "orders.shop.svc.cluster.local"],
            ),
            ("jdbc:postgresql://user:secret@db.data:5432/x", &["db.data:5432"]),
            ("sh -c 'curl -s http://cart/ | grep ok'", &["cart:80"]),
            ("cart", &[]),
            ("registry.example.com/cart:v2", &[]),
            ("Level: info, 10.0.0.1:80 [::1]:80 0.0.0.0:8080", &[]),
            ("12:30", &[]),
            ("http://$(HOST):80/", &[]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }
}
