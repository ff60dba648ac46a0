//! One attribute of a table: which rows look at it, and which of them a value satisfies.

use crate::attributes::{ClaimPath, Connection, RequestAttributes};
use crate::format::NONE;
use crate::identity::{Identity, SCHEME};
use crate::index::{Gather, Index, Side, Store};
use crate::joined::Joined;
use crate::kinds::{Attribute, Engine, View};
use crate::test::{Value, without_query};

/// An attribute, or one of several demands that rows make of it.
#[derive(Clone, Debug)]
pub(crate) struct Dimension<'t> {
    pub attribute: Attribute,
    /// It is asked of every request, not once per connection.
    pub is_of_request: bool,
    /// The name of a header, the path of a claim, filter and key of metadata.
    pub name: &'t str,
    /// The column of rows that want something of it.
    pub wanting: usize,
    /// That of rows that refuse something.
    pub refusing: Option<usize>,
    pub indexes: Vec<Index<'t>>,
    /// Tests that are spelled out, from one place up to another.
    pub tests: [u32; 2],
    pub spelled: u32,
    /// Rows that want nothing of it, as a set; of the one that leads at connections.
    pub indifferent: Option<u32>,
}

impl<'t> Dimension<'t> {
    /// Visits the sets that a connection leads to.
    pub fn of_connection(&self, store: &Store<'t>, connection: &Connection<'_>, to: &mut impl Gather<'t>) {
        match self.attribute {
            Attribute::Peer => {
                // ztunnel knows one name.
                let most = if store.engine == Engine::Ztunnel { 1 } else { usize::MAX };
                connection.names.iter().take(most).for_each(|name| self.peer(store, name, to));
            }
            Attribute::Port => self.record(store, |index| index.intervals.port(connection.port), to),
            Attribute::SourceIp => self.record(store, |index| index.intervals.address(connection.source), to),
            Attribute::RemoteIp => self.record(store, |index| index.intervals.address(connection.remote), to),
            Attribute::DestinationIp => {
                self.record(store, |index| index.intervals.address(connection.destination), to);
            }
            // gRPC servers know no name. Envoy takes a missing name for an empty one.
            Attribute::Sni if store.engine == Engine::Grpc => self.text(store, b"", to),
            Attribute::Sni => self.text(store, connection.sni.unwrap_or_default(), to),
            _ => {}
        }
    }

    /// Visits the sets that a request leads to.
    pub fn of_request(
        &self,
        store: &Store<'t>,
        request: &impl RequestAttributes,
        joins_headers: bool,
        to: &mut impl Gather<'t>,
    ) {
        match self.attribute {
            Attribute::Method => self.optional(store, request.method(), to),
            Attribute::Path => self.optional(store, request.path(), to),
            Attribute::Authority => self.optional(store, request.authority(), to),
            Attribute::Header if joins_headers => self.joined(store, request, to),
            Attribute::Header => request.header(self.name, &mut |line| self.text(store, line, to)),
            Attribute::Token => self.token(store, request, to),
            Attribute::Claim => {
                request.claim(ClaimPath(self.name), &mut |text| self.text(store, text, to));
            }
            Attribute::MetadataText => {
                let (filter, key) = self.filter_and_key();
                self.optional(store, request.metadata_text(filter, key), to);
            }
            Attribute::MetadataList => {
                let (filter, key) = self.filter_and_key();
                request.metadata_list(filter, key, &mut |text| self.text(store, text, to));
            }
            Attribute::RemoteIp => {
                if let Some(address) = request.remote() {
                    self.record(store, |index| index.intervals.address(address), to);
                }
            }
            _ => {}
        }
    }

    fn filter_and_key(&self) -> (&'t str, &'t str) {
        self.name.split_once('\0').unwrap_or((self.name, ""))
    }

    fn optional(&self, store: &Store<'t>, text: Option<&[u8]>, to: &mut impl Gather<'t>) {
        if let Some(text) = text {
            self.text(store, text, to);
        }
    }

    /// A text that is there.
    fn text(&self, store: &Store<'t>, text: &[u8], to: &mut impl Gather<'t>) {
        for index in &self.indexes {
            let part = if index.view == View::Path { without_query(text) } else { text };
            store.look_up(index, part, Value::of(text), to);
        }
    }

    fn record(&self, store: &Store<'t>, find: impl Fn(&Index<'t>) -> Option<u32>, to: &mut impl Gather<'t>) {
        if let Some(record) = self.indexes.first().and_then(find) {
            store.entry(record, Value::default(), to);
        }
    }

    /// A name of the peer. Names of workloads are looked up whole and in parts. Of every other name there is what it is
    /// as a whole, and tests of its parts, test by test.
    fn peer(&self, store: &Store<'t>, name: &[u8], to: &mut impl Gather<'t>) {
        let whole = self.indexes.first().filter(|index| index.view == View::Whole);
        let principal = name.strip_prefix(SCHEME);
        let value = Value::of(name);
        // A name that is not that of a workload is nobody there, even where a policy has the same text.
        if store.engine == Engine::Ztunnel && Identity::of_workload(name, store.engine).is_none() {
            return;
        }
        // A workload that is known as a whole is known in all its parts, so most names need not even be taken apart.
        if let (Some(whole), Some(principal)) = (whole, principal)
            && store.look_up_whole(whole, principal, value, to)
        {
            return;
        }
        match Identity::of_workload(name, store.engine) {
            Some(identity) => {
                for index in &self.indexes {
                    match index.view {
                        View::TrustDomain => store.look_up(index, identity.trust_domain, value, to),
                        View::Namespace => store.look_up(index, identity.namespace, value, to),
                        View::Account => store.look_up(index, identity.tail, value, to),
                        _ => store.look_beside(index, identity.principal, value, to),
                    }
                }
            }
            None => {
                match (whole, principal) {
                    (Some(whole), Some(principal)) => store.look_beside(whole, principal, value, to),
                    (Some(whole), None) if whole.there != NONE && !name.is_empty() => {
                        store.entry(whole.there, value, to);
                    }
                    _ => {}
                }
                self.spelled(store, value, to);
            }
        }
    }

    fn spelled(&self, store: &Store<'t>, value: Value<'_>, to: &mut impl Gather<'t>) {
        for (placed, test) in store.tests.range(self.tests, store.sets) {
            if test.holds(value, store.engine) {
                placed.wanted.into_iter().for_each(|set| to.add(Side::Wanted, set));
                placed.refused.into_iter().for_each(|set| to.add(Side::Refused, set));
            }
        }
    }

    fn token(&self, store: &Store<'t>, request: &impl RequestAttributes, to: &mut impl Gather<'t>) {
        let value = Value { text: request.issuer(), second: request.subject() };
        for index in &self.indexes {
            let part = if index.view == View::Subject { value.second } else { value.text };
            if let Some(part) = part {
                store.look_up(index, part, value, to);
            }
        }
    }

    /// Header lines that count as one text with commas.
    fn joined(&self, store: &Store<'t>, request: &impl RequestAttributes, to: &mut impl Gather<'t>) {
        let mut lines = 0usize;
        request.header(self.name, &mut |_| lines += 1);
        if lines == 1 {
            return request.header(self.name, &mut |line| self.text(store, line, to));
        }
        if lines == 0 {
            return;
        }
        let joined = Joined::new(|each| request.header(self.name, each));
        for (placed, test) in store.tests.range(self.tests, store.sets) {
            if joined.passes(&test) {
                placed.wanted.into_iter().for_each(|set| to.add(Side::Wanted, set));
                placed.refused.into_iter().for_each(|set| to.add(Side::Refused, set));
            }
        }
    }
}
