//! `x-forwarded-for` and the client address that a proxy takes from it: one value, two views.
//!
//! Proxies read one entry of the header, counted from its end; when it is missing or no address, the other end of the
//! connection counts. Where header lines are tested one by one, a last line decides alone which address that is, and one
//! of the form `x, 10.0.0.1` passes no test but those for presence, and those that the end of an address passes. So there
//! are two kinds of requests: some line names any address, or the address is that of the connection.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use meshproof_authz::{ClientAddress, Context, Engine};
use meshproof_grammar::pattern::Pattern;

use crate::boxes::Clause;
use crate::domain::Domain;
use crate::lower::{joins_headers, remote_is_source};
use crate::test::Test;
use crate::variable::Variable;

/// The header.
pub(crate) const NAME: &str = "x-forwarded-for";
/// More blocks than this are not told apart.
const MOST_BLOCKS: usize = 200;
/// So many addresses from the start of a stretch on are looked at.
const TRIED: u128 = 16;

/// How the two views go together.
#[derive(Debug, PartialEq)]
pub(crate) enum Views {
    /// They are independent, or policies look at one of them only.
    Apart,
    /// In one of these kinds of requests.
    Together(Vec<Vec<Clause>>),
    /// In a way that kinds cannot say.
    Unknown,
}

/// The entry from the end that proxies take the client address from, the last one being 0; nothing where it does not
/// come from the header.
pub(crate) fn entry(context: &Context) -> Option<u32> {
    match context.semantics.client_address {
        _ if context.engine != Engine::EnvoyHttp => None,
        ClientAddress::Forwarded(hops) => Some(hops),
        ClientAddress::TrustedProxies(hops) => hops.checked_sub(1),
    }
}

/// The address that the lines claim (Envoy, `Utility::getLastAddressFromXFF`).
pub(crate) fn claimed(lines: &[&str], entry: u32) -> Option<IpAddr> {
    let lines = lines.join(",");
    lines.rsplit(',').nth(usize::try_from(entry).ok()?)?.trim().parse().ok()
}

/// How the views go together for policies that make these tests of a variable.
pub(crate) fn views(
    tests: impl Fn(&Variable) -> Option<Vec<Test>>,
    context: &Context,
    domain: &Domain,
) -> Views {
    let header = Variable::Header(NAME.to_owned());
    let Some(of_header) = tests(&header) else { return Views::Apart };
    let Some(of_remote) = tests(&Variable::RemoteIp) else { return Views::Apart };
    let Some(entry) = entry(context).filter(|_| !remote_is_source(context, domain.proxy_protocol)) else {
        return Views::Apart;
    };
    if joins_headers(context) {
        return Views::Unknown;
    }
    let Some(of_source) = tests(&Variable::SourceIp).filter(|_| !domain.proxy_protocol) else {
        return Views::Apart;
    };
    let atoms = atoms(blocks(of_remote.iter().chain(&of_source)));
    if atoms.len() > MOST_BLOCKS {
        return Views::Unknown;
    }
    let ends = if entry == 0 { ends(&of_header) } else { Vec::new() };
    let Some(mut kinds) = naming(&header, &atoms, &ends) else { return Views::Unknown };
    kinds.extend(
        atoms.iter().map(|atom| [Variable::SourceIp, Variable::RemoteIp].map(|it| atom.clause(it)).to_vec()),
    );
    Views::Together(kinds)
}

/// The kinds of requests with a line that names the address; nothing when no few of them say it.
fn naming(header: &Variable, atoms: &[Atom], ends: &[String]) -> Option<Vec<Vec<Clause>>> {
    let there = Clause::any(header.clone(), vec![Test::Text(Pattern::Present)]);
    let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
    let mut single = Vec::new();
    for atom in atoms.iter().filter(|atom| !atom.has_address(&ends)) {
        let is_one = atom.block.prefix_len() == atom.block.max_prefix_len();
        // An IPv6 address has many texts: 2001:db8:0:0:0:0:0:1 does not end as 2001:db8::1 does.
        let is_one_text = is_one && matches!(atom.block, IpNet::V4(_));
        if !is_one_text || ends.iter().any(|end| end.contains([',', ' ', '\t'])) {
            return None;
        }
        single.push(atom.block);
    }
    let blocks = single.iter().copied().map(Test::Block).collect();
    let mut kinds = vec![vec![there.clone()]];
    if !single.is_empty() {
        kinds[0].push(Clause::none(Variable::RemoteIp, blocks));
    }
    // Whoever names one of these passes the tests of its end, since IPv4 addresses are written in one way only.
    kinds.extend(single.iter().map(|block| {
        let text = block.addr().to_string();
        let passed = ends.iter().filter(|end| text.ends_with(**end));
        let passed = passed.map(|end| Test::Header(Pattern::Suffix((*end).to_owned())));
        let mut clauses = vec![there.clone(), Clause::any(Variable::RemoteIp, vec![Test::Block(*block)])];
        clauses.extend(passed.map(|test| Clause::any(header.clone(), vec![test])));
        clauses
    }));
    Some(kinds)
}

/// What tests ask of the end of a line.
pub(crate) fn ends(of_header: &[Test]) -> Vec<String> {
    let suffix = |test: &Test| match test {
        Test::Header(Pattern::Suffix(text)) => Some(text.clone()),
        _ => None,
    };
    of_header.iter().filter_map(suffix).collect()
}

/// The blocks that tests ask about.
pub(crate) fn blocks<'t>(tests: impl Iterator<Item = &'t Test>) -> Vec<IpNet> {
    let block = |test: &Test| match test {
        Test::Block(block) => Some(block.trunc()),
        _ => None,
    };
    tests.filter_map(block).collect()
}

/// Addresses that the same blocks hold: those of one block and of none inside of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Atom {
    block: IpNet,
    inside: Vec<IpNet>,
}

/// All addresses, taken apart by the blocks.
pub(crate) fn atoms(mut blocks: Vec<IpNet>) -> Vec<Atom> {
    blocks.extend([IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]);
    blocks.sort_unstable();
    blocks.dedup();
    blocks.truncate(MOST_BLOCKS + 1);
    let inside = |block: &IpNet| {
        let smaller = blocks.iter().filter(|other| *other != block && block.contains(*other));
        smaller.copied().collect()
    };
    blocks.iter().map(|block| Atom { block: *block, inside: inside(block) }).collect()
}

impl Atom {
    pub fn holds(&self, address: IpAddr) -> bool {
        self.block.contains(&address) && !self.inside.iter().any(|inside| inside.contains(&address))
    }

    fn clause(&self, variable: Variable) -> Clause {
        let inside = self.inside.iter().copied().map(Test::Block).collect();
        Clause::new(variable, vec![Test::Block(self.block)], inside)
    }

    /// Whether there is no address, or one whose text ends in none of these ways.
    fn has_address(&self, ends: &[&str]) -> bool {
        ends.is_empty() || self.address(&[]).is_none() || self.address(ends).is_some()
    }

    /// An address whose text ends in none of these ways, among those at the start of each free stretch.
    pub fn address(&self, ends: &[&str]) -> Option<IpAddr> {
        let after = self.inside.iter().map(|inside| next(inside.broadcast(), 1));
        let starts = std::iter::once(Some(self.block.network())).chain(after).flatten();
        let mut tried = starts.flat_map(|start| (0..TRIED).filter_map(move |more| next(start, more)));
        tried.find(|address| self.holds(*address) && !ends.iter().any(|end| ends_in(*address, end)))
    }
}

fn next(address: IpAddr, more: u128) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let number = u32::from(address).checked_add(u32::try_from(more).ok()?)?;
            Some(IpAddr::V4(number.into()))
        }
        IpAddr::V6(address) => Some(IpAddr::V6(u128::from(address).checked_add(more)?.into())),
    }
}

/// Whether an entry with the address may end so: what stands before the address is not looked at.
fn ends_in(address: IpAddr, end: &str) -> bool {
    let last = end.rsplit(',').next().unwrap_or(end).trim_start_matches([' ', '\t']);
    address.to_string().ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn atoms_hold_every_address_once() {
        let blocks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32"].map(net);
        let atoms = atoms(blocks.to_vec());
        for text in ["10.1.2.3", "10.1.2.4", "10.2.0.0", "11.0.0.0", "::1", "2001:db8::7"] {
            let address = text.parse().unwrap();
            assert_eq!(atoms.iter().filter(|atom| atom.holds(address)).count(), 1, "{text}");
        }
    }

    #[test]
    fn an_address_of_another_end_is_found_where_there_is_one() {
        let all = atoms(vec![net("10.0.0.0/8"), net("10.0.0.0/9"), net("10.0.0.1/32")]);
        let found: Vec<Option<String>> =
            all.iter().map(|atom| atom.address(&["0", ".1"]).map(|it| it.to_string())).collect();
        let said = ["0.0.0.2", "10.128.0.2", "10.0.0.2"].map(|text| Some(text.to_owned()));
        assert_eq!(found[..3], said);
        // A single address ends as it does.
        assert_eq!(all[3].address(&[".1"]), None);
        assert_eq!(all[3].address(&[", 10.0.0.1"]), None);
        assert_eq!(all[4].address(&["1", "."]).map(|it| it.to_string()), Some("::".to_owned()));
    }

    #[test]
    fn the_entry_is_counted_from_the_end() {
        assert_eq!(claimed(&["1.1.1.1, 2.2.2.2"], 0), Some("2.2.2.2".parse().unwrap()));
        assert_eq!(claimed(&["1.1.1.1", "x"], 1), Some("1.1.1.1".parse().unwrap()));
        assert_eq!(claimed(&["1.1.1.1", "x"], 0), None);
        assert_eq!(claimed(&[], 0), None);
    }
}
