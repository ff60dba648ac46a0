//! Whatever the bytes are: they are refused, or they decide without a panic, an endless loop or a read outside.
//!
//! The hash is made to fit first, or nothing would get past it; what the fuzzer changes is met by validation alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meshproof_engine::{
    ClaimPath, Connection, Context, NoRequest, RequestAttributes, Table, Verdict, content_hash, format,
};

/// A request whose every attribute is there, and ends in what the fuzzer chose.
struct Chosen<'a> {
    end: &'a [u8],
    path: Vec<u8>,
}

impl RequestAttributes for Chosen<'_> {
    fn method(&self) -> Option<&[u8]> {
        Some(if self.end.len() % 2 == 0 { b"GET" } else { self.end })
    }

    fn path(&self) -> Option<&[u8]> {
        Some(&self.path)
    }

    fn authority(&self) -> Option<&[u8]> {
        Some(self.end)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        each(name.as_bytes());
        each(self.end);
    }

    fn issuer(&self) -> Option<&[u8]> {
        Some(self.end)
    }

    fn subject(&self) -> Option<&[u8]> {
        Some(self.end)
    }

    fn claim(&self, path: ClaimPath<'_>, each: &mut dyn FnMut(&[u8])) {
        path.names().for_each(|name| each(name.as_bytes()));
        each(self.end);
    }

    fn metadata_text(&self, _: &str, _: &str) -> Option<&[u8]> {
        Some(self.end)
    }

    fn metadata_list(&self, _: &str, _: &str, each: &mut dyn FnMut(&[u8])) {
        each(self.end);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if bytes.len() < format::HEAD {
        assert!(Table::open(&bytes).is_err());
        return;
    }
    bytes[..8].copy_from_slice(&format::MAGIC);
    bytes[8..12].copy_from_slice(&format::VERSION.to_le_bytes());
    let length = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    let hash = content_hash(&bytes);
    bytes[format::HASH_AT..format::HASH_AT + 32].copy_from_slice(&hash);
    let Ok(table) = Table::open(&bytes) else { return };
    let end = &bytes[bytes.len() - bytes.len().min(24)..];
    let request = Chosen { end, path: [b"/", end].concat() };
    let identity = [b"spiffe://cluster.local/ns/", end, b"/sa/b"].concat();
    let names: [&[u8]; 3] = [b"spiffe://cluster.local/ns/default/sa/sleep", &identity, end];
    let mut context = Context::new();
    for count in 0..=names.len() {
        let connection = Connection { names: &names[..count], sni: Some(end), ..Connection::default() };
        table.prepare(&connection, &mut context);
        for mut decision in [table.decide(&context, &request), table.decide(&context, &NoRequest)] {
            let mut asked = 0;
            while let Verdict::AskProvider(provider) = decision.verdict {
                let _ = table.provider(provider);
                decision = table.decide_after(provider, &context, &request);
                asked += 1;
                assert!(asked <= bytes.len(), "providers are asked in order, each once");
            }
            let rules = [decision.rule, decision.audit, decision.dry_run.deny, decision.dry_run.allow];
            rules.into_iter().flatten().for_each(|rule| drop(table.rule(rule).map(|rule| rule.to_string())));
        }
        let _ = table.decide_connection(&context);
    }
    let _ = table.stored_attributes();
});
