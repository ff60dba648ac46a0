//! Whether a connection and a request are what a row asks for.

use std::net::IpAddr;

use crate::attributes::{ClaimPath, Connection, RequestAttributes};
use crate::bytes::{Reader, place};
use crate::format::{TEXT_ALWAYS, TEXT_EXACT, TEXT_MISSING, TEXT_SUFFIX};
use crate::identity::Identity;
use crate::joined::Joined;
use crate::kinds::{Attribute, Engine};
use crate::mark::{mark_at, path_bit};
use crate::script::{DemandHead, Scripts, Shape, TextTest, block, is_within};
use crate::test::{Value, without_query};

/// A dimension of a table that has scripts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'t> {
    pub attribute: Attribute,
    /// The name of a header, the path of a claim, filter and key of metadata.
    pub name: &'t str,
    pub is_of_request: bool,
}

impl<'t> Told<'t> {
    fn filter_and_key(&self) -> (&'t str, &'t str) {
        self.name.split_once('\0').unwrap_or((self.name, ""))
    }
}

/// Scripts with all that is needed to read them.
#[derive(Clone, Debug)]
pub(crate) struct ByRows<'t> {
    pub scripts: Scripts<'t>,
    pub dimensions: Vec<Told<'t>>,
    /// The first dimension of paths.
    pub path: usize,
    pub engine: Engine,
    pub joins_headers: bool,
}

/// What of a request was already looked at.
pub(crate) struct Seen<'r, R> {
    request: &'r R,
    path: Option<Option<&'r [u8]>>,
}

impl<'r, R: RequestAttributes> Seen<'r, R> {
    pub fn new(request: &'r R) -> Seen<'r, R> {
        Seen { request, path: None }
    }

    #[inline(always)]
    fn path(&mut self) -> Option<&'r [u8]> {
        *self.path.get_or_insert_with(|| self.request.path().map(without_query))
    }

    /// The bits that a row must have to let the request pass.
    #[inline(always)]
    pub fn bits(&mut self, scripts: &Scripts<'_>) -> u64 {
        let Scripts { layout, methods, .. } = scripts;
        let mut bits = 0;
        if layout.methods.values() != 0 {
            bits |= layout.methods.bit(self.request.method().and_then(|method| methods.number(method)));
        }
        let paths = layout.paths.values();
        if let Some(at) = scripts.path_bits_at {
            bits |= layout.paths.bit(self.path().and_then(|path| path_bit(path, at, paths)));
        }
        bits
    }
}

/// Whether any test of a demand holds, and what stands behind its tests.
type Found<'t> = (bool, &'t [u8]);

impl<'t> ByRows<'t> {
    /// The bit that a row must have to let the connection pass.
    #[inline(always)]
    pub fn port_bit(&self, port: u16) -> u64 {
        self.scripts.layout.ports.bit(self.scripts.ports.number(port))
    }

    /// The row as it is asked about requests, if the connection is what it asks for; it has the bit of its port, and demands
    /// beyond that.
    #[inline(never)]
    pub fn connection_holds(&self, row: u64, connection: &Connection<'_>) -> Option<u64> {
        let (count, is_elsewhere, mut reader) = self.scripts.of_connection(row);
        let mut rest = reader.rest();
        for _ in 0..count {
            let (demand, tests) = DemandHead::read(rest)?;
            let (any, behind) = self.any_of_connection(demand, tests, connection);
            if any == demand.refuses {
                return None;
            }
            rest = behind;
        }
        reader.at = reader.bytes.len() - rest.len();
        let at = if is_elsewhere { place(reader.number()) } else { reader.at };
        Some(self.scripts.layout.at(row, at))
    }

    /// Whether any test of a demand holds for the connection.
    #[inline(never)]
    pub fn any_of_connection(
        &self,
        demand: DemandHead,
        tests: &'t [u8],
        connection: &Connection<'_>,
    ) -> Found<'t> {
        let Some(told) = self.dimensions.get(demand.dimension) else { return (false, &[]) };
        match told.attribute {
            Attribute::Port => port(tests, demand.tests, connection.port),
            Attribute::SourceIp => address(tests, demand.tests, Some(connection.source)),
            Attribute::RemoteIp => address(tests, demand.tests, Some(connection.remote)),
            Attribute::DestinationIp => address(tests, demand.tests, Some(connection.destination)),
            Attribute::Peer => self.any_name(tests, demand.tests, connection.names),
            // gRPC servers know no name. Envoy takes a missing name for an empty one.
            Attribute::Sni => {
                let name = connection.sni.filter(|_| self.engine != Engine::Grpc).unwrap_or_default();
                self.any_sni(tests, demand.tests, name)
            }
            _ => self.any_short::<false>(tests, demand.tests, None),
        }
    }

    #[inline(never)]
    fn any_sni(&self, tests: &'t [u8], count: u8, name: &[u8]) -> Found<'t> {
        self.any::<true>(tests, count, Some(name))
    }

    /// Whether the row asks anything of requests.
    pub fn asks_request(&self, row: u64) -> bool {
        let Scripts { layout, .. } = &self.scripts;
        let fields = [layout.methods, layout.paths];
        fields.into_iter().any(|field| field.asked(row).is_some())
            || self.scripts.touch(layout.place(row)) != 0
    }

    /// Whether the request is what the row asks for, given that it has its bits.
    #[inline(always)]
    pub fn request_holds<R: RequestAttributes>(&self, row: u64, seen: &mut Seen<'_, R>) -> bool {
        let script = self.scripts.bytes.get(self.scripts.layout.place(row)..);
        let Some((demands, mut rest)) = script.and_then(<[u8]>::split_first) else { return false };
        for _ in 0..*demands {
            let Some((demand, tests)) = DemandHead::read(rest) else { return false };
            // Most rows ask for a path.
            let (any, behind) = match demand.dimension == self.path {
                true => self.any::<false>(tests, demand.tests, seen.path()),
                false => self.any_of_request(demand, tests, seen),
            };
            if any == demand.refuses {
                return false;
            }
            rest = behind;
        }
        true
    }

    /// Whether any test of a demand holds for the request.
    #[inline(never)]
    pub fn any_of_request<R: RequestAttributes>(
        &self,
        demand: DemandHead,
        tests: &'t [u8],
        seen: &mut Seen<'_, R>,
    ) -> Found<'t> {
        let Some(told) = self.dimensions.get(demand.dimension) else { return (false, &[]) };
        let (count, request) = (demand.tests, seen.request);
        match told.attribute {
            Attribute::Path => self.any::<false>(tests, count, seen.path()),
            Attribute::Authority => self.any::<true>(tests, count, request.authority()),
            Attribute::Method => self.any::<false>(tests, count, request.method()),
            Attribute::RemoteIp => address(tests, count, request.remote()),
            Attribute::Header => self.any_line(told, tests, count, request),
            Attribute::Claim => self.any_text(tests, count, |each| request.claim(ClaimPath(told.name), each)),
            Attribute::MetadataText => {
                let (filter, key) = told.filter_and_key();
                self.any::<false>(tests, count, request.metadata_text(filter, key))
            }
            Attribute::MetadataList => {
                let (filter, key) = told.filter_and_key();
                self.any_text(tests, count, |each| request.metadata_list(filter, key, each))
            }
            Attribute::Token => {
                let value = Value { text: request.issuer(), second: request.subject() };
                let holds = |test: TextTest<'t>| {
                    test.other(&self.scripts.starts).is_some_and(|test| test.holds(value, self.engine))
                };
                each(tests, count, holds)
            }
            _ => self.any::<false>(tests, count, None),
        }
    }

    /// Whether the value passes any of the tests. Of most it is seen by their marks that it does not.
    #[inline(always)]
    fn any<const FOLD: bool>(&self, tests: &'t [u8], count: u8, value: Option<&[u8]>) -> Found<'t> {
        let Some(value) = value.filter(|value| value.len() >= 8) else {
            return self.any_short::<FOLD>(tests, count, value);
        };
        let mut rest = tests;
        for left in (0..count).rev() {
            let Some((head, behind)) = rest.split_first_chunk::<4>() else { break };
            let [form, length, mark, size] = *head;
            let (way, longer) = (form & 3, value.len().wrapping_sub(usize::from(length)));
            // Without a branch, as everything up to the mark.
            let is_suffix = 0usize.wrapping_sub(usize::from(way == TEXT_SUFFIX));
            let start = (longer & is_suffix) | ((usize::from(length.max(8)) - 8) & !is_suffix);
            let is_mark = mark_at(value, start, u32::from(form & TEXT_MISSING), FOLD) == mark;
            let fits = (value.len() >= usize::from(length)) & ((way != TEXT_EXACT) | (longer == 0));
            if (is_mark & fits) | (form & TEXT_ALWAYS != 0) {
                let passes = self.closely::<FOLD>(rest, value);
                rest = Scripts::behind(rest, Shape::Text, 1);
                if passes {
                    return (true, Scripts::behind(rest, Shape::Text, left));
                }
            } else {
                rest = behind.get(usize::from(size)..).unwrap_or_default();
            }
        }
        (false, rest)
    }

    /// The same for a value that is missing, or has not the bytes that a mark is of.
    #[inline(never)]
    fn any_short<const FOLD: bool>(&self, tests: &'t [u8], count: u8, value: Option<&[u8]>) -> Found<'t> {
        let mut rest = tests;
        let mut found = false;
        for _ in 0..count {
            found = found || value.is_some_and(|value| self.closely::<FOLD>(rest, value));
            rest = Scripts::behind(rest, Shape::Text, 1);
        }
        (found, rest)
    }

    /// Whether the value passes the first of the tests.
    #[inline(never)]
    fn closely<const FOLD: bool>(&self, tests: &'t [u8], value: &[u8]) -> bool {
        let test = TextTest::read(&mut Reader::new(tests, 0));
        if !test.is_other() {
            return test.is::<FOLD>(value, &self.scripts.starts);
        }
        test.begins::<FOLD>(value)
            && test
                .other(&self.scripts.starts)
                .is_some_and(|other| other.holds(Value::of(value), self.engine))
    }

    /// Whether any of several texts passes any of the tests.
    fn any_text(&self, tests: &'t [u8], count: u8, texts: impl Fn(&mut dyn FnMut(&[u8]))) -> Found<'t> {
        let mut found = false;
        texts(&mut |text| found = found || self.any::<false>(tests, count, Some(text)).0);
        (found, Scripts::behind(tests, Shape::Text, count))
    }

    /// Whether any name of the peer passes any of the tests. ztunnel knows one name, and one that is not that of a workload
    /// is nobody there.
    #[inline(never)]
    fn any_name(&self, tests: &'t [u8], count: u8, names: &[&[u8]]) -> Found<'t> {
        let is_ztunnel = self.engine == Engine::Ztunnel;
        let known = names.iter().take(if is_ztunnel { 1 } else { usize::MAX });
        let mut known =
            known.filter(|name| !is_ztunnel || Identity::of_workload(name, self.engine).is_some());
        let found = known.any(|name| self.any::<false>(tests, count, Some(name)).0);
        (found, Scripts::behind(tests, Shape::Text, count))
    }

    /// Whether any line of a header passes any of the tests, or all of them as one text with commas.
    fn any_line(
        &self,
        told: &Told<'t>,
        tests: &'t [u8],
        count: u8,
        request: &impl RequestAttributes,
    ) -> Found<'t> {
        let mut lines = 0usize;
        if self.joins_headers {
            request.header(told.name, &mut |_| lines += 1);
        }
        if lines < 2 {
            return self.any_text(tests, count, |each| request.header(told.name, each));
        }
        let joined = Joined::new(|each: &mut dyn FnMut(&[u8])| request.header(told.name, each));
        let starts = &self.scripts.starts;
        each(tests, count, |test| match test.is_other() {
            true => test.other(starts).is_some_and(|test| joined.passes(&test)),
            false => joined.passes_text(test.way(), test.text(starts)),
        })
    }
}

/// Whether any test passes.
fn each<'t>(tests: &'t [u8], count: u8, mut passes: impl FnMut(TextTest<'t>) -> bool) -> Found<'t> {
    let mut reader = Reader::new(tests, 0);
    let mut found = false;
    for _ in 0..count {
        let test = TextTest::read(&mut reader);
        found = found || passes(test);
    }
    (found, reader.rest())
}

#[inline(always)]
fn port(tests: &[u8], count: u8, port: u16) -> Found<'_> {
    let (ports, rest) = tests.split_at_checked(usize::from(count) * 2).unwrap_or_default();
    (ports.as_chunks::<2>().0.iter().any(|one| u16::from_le_bytes(*one) == port), rest)
}

#[inline(always)]
fn address(tests: &[u8], count: u8, address: Option<IpAddr>) -> Found<'_> {
    let mut rest = tests;
    let mut found = false;
    for _ in 0..count {
        let Some((head, network, behind)) = block(rest) else { break };
        found |= address.is_some_and(|address| is_within(address, network, head));
        rest = behind;
    }
    (found, rest)
}
