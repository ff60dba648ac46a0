//! Dynamic metadata: how a client of the run makes Envoy hold some.
//!
//! Over HTTP a header carries a value of any kind, which a filter in front moves into the metadata of the request. A
//! connection without HTTP carries text in the PROXY protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::config::TYPES;

/// The filter whose metadata policies ask for.
pub(super) const FILTER: &str = "envoy.filters.http.lua";
/// Its only key.
pub(super) const KEY: &str = "tier";
/// The header that carries a value.
pub(super) const HEADER: &str = "x-metadata-of-the-run";
/// The type of the PROXY protocol's field that carries a value; the protocol leaves it to its users.
pub(super) const FIELD: u8 = 0xEA;

/// What a request carries, in the form of the vectors.
pub(super) fn written(value: Value) -> Value {
    json!({ FILTER: { KEY: value } })
}

/// The value that a request carries.
pub(super) fn of(request: &Value) -> Option<&Value> {
    request["metadata"][FILTER].get(KEY)
}

/// The value of the header.
pub(super) fn header(value: &Value) -> String {
    STANDARD.encode(encoded(value))
}

/// `google.protobuf.Value` on the wire, for what lists and texts are made of; anything else becomes a number.
fn encoded(value: &Value) -> Vec<u8> {
    let framed = |tag: u8, bytes: Vec<u8>| {
        // Everything here is shorter than the 128 bytes at which lengths take a second byte.
        let length = u8::try_from(bytes.len()).unwrap_or(0) & 0x7f;
        [vec![tag, length], bytes].concat()
    };
    match value {
        Value::String(text) => framed(0x1a, text.as_bytes().to_vec()),
        Value::Array(items) => {
            framed(0x32, items.iter().flat_map(|item| framed(0x0a, encoded(item))).collect())
        }
        other => [vec![0x11], other.as_f64().unwrap_or_default().to_le_bytes().to_vec()].concat(),
    }
}

/// The filter that moves the header into the metadata.
pub(super) fn filter() -> Value {
    json!({ "name": "metadata", "typedConfig": {
        "@type": format!("{TYPES}.filters.http.header_to_metadata.v3.Config"),
        "requestRules": [{
            "header": HEADER,
            "onHeaderPresent": {
                "metadataNamespace": FILTER, "key": KEY, "type": "PROTOBUF_VALUE", "encode": "BASE64" },
            "remove": true,
        }],
    } })
}

/// What the filter of the PROXY protocol does with its field.
pub(super) fn field_rules() -> Value {
    json!([{ "tlvType": FIELD, "onTlvPresent": { "metadataNamespace": FILTER, "key": KEY } }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_on_the_wire() {
        assert_eq!(encoded(&json!("ab")), [0x1a, 2, b'a', b'b']);
        assert_eq!(encoded(&json!(["a", ""])), [0x32, 9, 0x0a, 3, 0x1a, 1, b'a', 0x0a, 2, 0x1a, 0]);
        assert_eq!(encoded(&json!(1.0)), [0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
