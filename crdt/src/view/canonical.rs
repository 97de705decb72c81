//! Canonical JSON (RFC 8785), so that any client can compute our hashes with what its language offers.

use std::fmt::Write as _;

use serde_json::{Number, Value};

use super::Element;
use crate::schema;

/// Recursive: views are no deeper than [`VIEW_DEPTH_MAX`](super::VIEW_DEPTH_MAX) and a few levels of their own.
pub(super) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_text(text, out),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at != 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            write_object(entries.iter().map(|(key, value)| (key.as_str(), value)).collect(), out);
        }
    }
}

pub(super) fn write_object(mut entries: Vec<(&str, &Value)>, out: &mut String) {
    // RFC 8785 sorts by UTF-16 units, which differs from the order of code points above the surrogates.
    entries.sort_by(|(a, _), (b, _)| {
        if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
    });
    out.push('{');
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at != 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

pub(super) fn write_elements(elements: &[Element], out: &mut String) {
    out.push('[');
    for (at, element) in elements.iter().enumerate() {
        if at != 0 {
            out.push(',');
        }
        let id = Value::String(element.id.clone());
        let body = element
            .body
            .iter()
            .filter(|(key, _)| *key != schema::ID)
            .map(|(key, value)| (key.as_str(), value));
        write_object(std::iter::once((schema::ID, &id)).chain(body).collect(), out);
    }
    out.push(']');
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// As JavaScript writes numbers (ECMA-262, `Number::toString`).
fn write_number(number: &Number, out: &mut String) {
    let value = number.as_f64().unwrap_or_default();
    if !value.is_finite() || value == 0.0 {
        out.push('0');
        return;
    }
    if value < 0.0 {
        out.push('-');
    }
    // The shortest digits that read back as the same number, and the exponent of the first of them.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = exponent + 1;
    let zeros = |many: i32| "0".repeat(usize::try_from(many).unwrap_or_default());
    if (count..=21).contains(&point) {
        out.push_str(&digits);
        out.push_str(&zeros(point - count));
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
        let _ = write!(out, "{whole}.{fraction}");
    } else if (-5..=0).contains(&point) {
        let _ = write!(out, "0.{}{digits}", zeros(-point));
    } else {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            let _ = write!(out, ".{rest}");
        }
        let _ = write!(out, "e{exponent:+}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        let mut text = String::new();
        write(value, &mut text);
        text
    }

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        // Samples of RFC 8785, appendix B, and both sides of each border of the layout.
        for (bits, text) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
        ] {
            assert_eq!(canonical(&json!(f64::from_bits(bits))), text, "{bits:016x}");
        }
        assert_eq!(canonical(&json!([100, 100.0, -1.5, 0.1])), "[100,100,-1.5,0.1]");
    }

    #[test]
    fn keys_are_sorted_by_utf16_units_and_texts_escaped_shortly() {
        let value = json!({"\u{fb33}": 1, "😂": 2, "ö": 3, "1": 4, "\r": 5, "€": "\u{f}\n\"\\\u{7f}"});
        assert_eq!(
            canonical(&value),
            "{\"\\r\":5,\"1\":4,\"ö\":3,\"€\":\"\\u000f\\n\\\"\\\\\u{7f}\",\"😂\":2,\"\u{fb33}\":1}"
        );
    }

    #[test]
    fn an_element_is_written_with_its_id_in_order() {
        let body = json!({"zIndex": 1, "data": {}}).as_object().unwrap().clone();
        let mut text = String::new();
        write_elements(&[Element { id: "n".into(), body }], &mut text);
        assert_eq!(text, r#"[{"data":{},"id":"n","zIndex":1}]"#);
    }
}
