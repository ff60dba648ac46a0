//! One attribute of a table: which rows look at it, and which of them a value satisfies.

use crate::attributes::{ClaimPath, Connection, RequestAttributes};
use crate::bytes::U64s;
use crate::identity::Identity;
use crate::index::{Index, Side, Store};
use crate::joined::Joined;
use crate::kinds::{Attribute, Engine, View};
use crate::set::SetRef;
use crate::test::{Value, without_query};

/// An attribute, or one of several demands that rows make of it.
#[derive(Clone, Debug)]
pub(crate) struct Dimension<'t> {
    pub attribute: Attribute,
    /// It is asked of every request, not once per connection.
    pub is_of_request: bool,
    /// The name of a header, the path of a claim, filter and key of metadata.
    pub name: &'t str,
    /// Rows that want something of it.
    pub wanting: U64s<'t>,
    /// Rows that refuse something.
    pub refusing: Option<U64s<'t>>,
    pub indexes: Vec<Index<'t>>,
    /// Tests that are spelled out, from one on.
    pub tests: (u32, u32),
    /// Those are all tests of the attribute.
    pub has_all_tests: bool,
    /// Rows that want nothing of it.
    pub indifferent: SetRef,
}

impl<'t> Dimension<'t> {
    /// Visits the sets that a connection leads to.
    #[inline(always)]
    pub fn of_connection(
        &self,
        store: &Store<'t>,
        connection: &Connection<'_>,
        visit: &mut impl FnMut(Side, SetRef),
    ) {
        match self.attribute {
            Attribute::Peer => {
                // ztunnel knows one name.
                let most = if store.engine == Engine::Ztunnel { 1 } else { usize::MAX };
                connection.names.iter().take(most).for_each(|name| self.peer(store, name, visit));
            }
            Attribute::Port => self.record(store, |index| index.intervals.port(connection.port), visit),
            Attribute::SourceIp => {
                self.record(store, |index| index.intervals.address(connection.source), visit)
            }
            Attribute::RemoteIp => {
                self.record(store, |index| index.intervals.address(connection.remote), visit)
            }
            Attribute::DestinationIp => {
                self.record(store, |index| index.intervals.address(connection.destination), visit);
            }
            // gRPC servers know no name. Envoy takes a missing name for an empty one.
            Attribute::Sni if store.engine == Engine::Grpc => self.text(store, b"", visit),
            Attribute::Sni => self.text(store, connection.sni.unwrap_or_default(), visit),
            _ => {}
        }
    }

    /// Visits the sets that a request leads to.
    #[inline(always)]
    pub fn of_request(
        &self,
        store: &Store<'t>,
        request: &impl RequestAttributes,
        joins_headers: bool,
        visit: &mut impl FnMut(Side, SetRef),
    ) {
        match self.attribute {
            Attribute::Method => self.optional(store, request.method(), visit),
            Attribute::Path => self.optional(store, request.path(), visit),
            Attribute::Authority => self.optional(store, request.authority(), visit),
            Attribute::Header if joins_headers => self.joined(store, request, visit),
            Attribute::Header => request.header(self.name, &mut |line| self.text(store, line, visit)),
            Attribute::Token => self.token(store, request, visit),
            Attribute::Claim => {
                request.claim(ClaimPath(self.name), &mut |text| self.text(store, text, visit));
            }
            Attribute::MetadataText => {
                let (filter, key) = self.filter_and_key();
                self.optional(store, request.metadata_text(filter, key), visit);
            }
            Attribute::MetadataList => {
                let (filter, key) = self.filter_and_key();
                request.metadata_list(filter, key, &mut |text| self.text(store, text, visit));
            }
            Attribute::RemoteIp => {
                if let Some(address) = request.remote() {
                    self.record(store, |index| index.intervals.address(address), visit);
                }
            }
            _ => {}
        }
    }

    fn filter_and_key(&self) -> (&'t str, &'t str) {
        self.name.split_once('\0').unwrap_or((self.name, ""))
    }

    #[inline(always)]
    fn optional(&self, store: &Store<'t>, text: Option<&[u8]>, visit: &mut impl FnMut(Side, SetRef)) {
        if let Some(text) = text {
            self.text(store, text, visit);
        }
    }

    /// A text that is there.
    #[inline(always)]
    fn text(&self, store: &Store<'t>, text: &[u8], visit: &mut impl FnMut(Side, SetRef)) {
        for index in &self.indexes {
            let part = if index.view == View::Path { without_query(text) } else { text };
            store.look_up(index, part, Value::of(text), visit);
        }
    }

    #[inline(always)]
    fn record(
        &self,
        store: &Store<'t>,
        find: impl Fn(&Index<'t>) -> Option<u32>,
        visit: &mut impl FnMut(Side, SetRef),
    ) {
        if let Some(record) = self.indexes.first().and_then(find) {
            store.visit(record, Value::default(), visit);
        }
    }

    /// A name of the peer. Names of workloads are looked up; every other name is tested, test by test.
    #[inline(always)]
    fn peer(&self, store: &Store<'t>, name: &[u8], visit: &mut impl FnMut(Side, SetRef)) {
        let identity = if store.engine == Engine::Ztunnel {
            // Every other name is nobody, as far as ztunnel can tell.
            let Some(identity) = Identity::of_ztunnel(name) else { return };
            identity
        } else {
            match Identity::parse(name) {
                Some(identity) if identity.is_plain() => identity,
                _ => return self.all_tests(store, Value::of(name), visit),
            }
        };
        for index in &self.indexes {
            let part = match index.view {
                View::TrustDomain => identity.trust_domain,
                View::Namespace => identity.namespace,
                View::Account => identity.tail,
                _ => identity.principal,
            };
            // A name that is known as a whole is known in all its parts.
            if store.look_up(index, part, Value::of(name), visit) && index.view == View::Whole {
                return;
            }
        }
    }

    fn all_tests(&self, store: &Store<'t>, value: Value<'_>, visit: &mut impl FnMut(Side, SetRef)) {
        let (start, count) = self.tests;
        (start..start.saturating_add(count)).for_each(|test| store.test(test, value, visit));
    }

    fn token(
        &self,
        store: &Store<'t>,
        request: &impl RequestAttributes,
        visit: &mut impl FnMut(Side, SetRef),
    ) {
        let value = Value { text: request.issuer(), second: request.subject() };
        for index in &self.indexes {
            let part = if index.view == View::Subject { value.second } else { value.text };
            if let Some(part) = part {
                store.look_up(index, part, value, visit);
            }
        }
    }

    /// Header lines that count as one text with commas.
    fn joined(
        &self,
        store: &Store<'t>,
        request: &impl RequestAttributes,
        visit: &mut impl FnMut(Side, SetRef),
    ) {
        let mut lines = 0usize;
        request.header(self.name, &mut |_| lines += 1);
        if lines == 1 {
            return request.header(self.name, &mut |line| self.text(store, line, visit));
        }
        if lines == 0 {
            return;
        }
        let joined = Joined::new(|each| request.header(self.name, each));
        let (start, count) = self.tests;
        for test in (start..start.saturating_add(count)).filter_map(|test| store.tests.get(test)) {
            if joined.passes(&test) {
                test.wanted.into_iter().for_each(|set| visit(Side::Wanted, set));
                test.refused.into_iter().for_each(|set| visit(Side::Refused, set));
            }
        }
    }
}
