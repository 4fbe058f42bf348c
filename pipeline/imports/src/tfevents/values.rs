//! What one value of a summary says: a number, a text, hyperparameters, or something that is passed over.
//!
//! Formats: `tensorboard/compat/proto/summary.proto`, `tensor.proto` and `types.proto`;
//! `plugins/hparams/plugin_data.proto`.

use serde_json::Value as Json;

use crate::Sink;
use crate::protobuf::{Fields, Malformed, Value, varint};
use crate::wandb::settings;

// Types of tensors, as `types.proto` numbers them.
const FLOAT: u64 = 1;
const DOUBLE: u64 = 2;
const STRING: u64 = 7;
const BFLOAT16: u64 = 14;
const HALF: u64 = 19;

/// A longer text is no setting.
const LONGEST_TEXT: usize = 1 << 16;

/// A value of a summary.
pub(super) struct SummaryValue<'a> {
    pub(super) tag: &'a [u8],
    /// The plugin that shows it and what that was given: known of a tag's first value alone, in general.
    pub(super) plugin: &'a [u8],
    pub(super) content: &'a [u8],
    pub(super) what: What<'a>,
}

/// What a value holds.
pub(super) enum What<'a> {
    /// Nothing but metadata.
    Nothing,
    /// One number.
    Number(f64),
    /// A tensor of texts.
    Texts(&'a [u8]),
    /// A histogram, an image, a sound, a tensor of several numbers.
    Other,
}

/// Reads a value of a summary.
pub(super) fn value(bytes: &[u8]) -> Result<SummaryValue<'_>, Malformed> {
    let none = &bytes[..0];
    let (mut tag, mut node, mut metadata, mut what) = (none, none, none, What::Nothing);
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => tag = bytes,
            (7, Value::Bytes(bytes)) => node = bytes,
            (9, Value::Bytes(bytes)) => metadata = bytes,
            (2, Value::Fixed32(number)) => what = What::Number(f32::from_le_bytes(number).into()),
            (8, Value::Bytes(bytes)) => what = tensor(bytes)?,
            (3..=6, Value::Bytes(_)) => what = What::Other,
            _ => {}
        }
    }
    // Programs of TensorFlow's first years name tensors by their node.
    let tag = if tag.is_empty() { node } else { tag };
    let (mut plugin, mut content) = (none, none);
    for field in Fields::of(metadata) {
        let (1, Value::Bytes(data)) = field? else { continue };
        for field in Fields::of(data) {
            match field? {
                (1, Value::Bytes(name)) => plugin = name,
                (2, Value::Bytes(bytes)) => content = bytes,
                _ => {}
            }
        }
    }
    Ok(SummaryValue { tag, plugin, content, what })
}

/// Reads a tensor. It is a number if it has no dimensions and holds one floating-point number.
fn tensor(bytes: &[u8]) -> Result<What<'_>, Malformed> {
    let (mut kind, mut scalar, mut content, mut one) = (0, true, None, None);
    let mut count = 0;
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Varint(number)) => kind = number,
            // A dimension, or the mark of an unknown number of them.
            (2, Value::Bytes(shape)) => {
                for field in Fields::of(shape) {
                    scalar &= !matches!(field?, (2, Value::Bytes(_)) | (3, Value::Varint(1)));
                }
            }
            (4, Value::Bytes(bytes)) if !bytes.is_empty() => content = Some(bytes),
            // Numbers stand one after the other in one field, or each in its own.
            (5, Value::Fixed32(number)) => (one, count) = (Some(f32::from_le_bytes(number).into()), count + 1),
            (6, Value::Fixed64(number)) => (one, count) = (Some(f64::from_le_bytes(number)), count + 1),
            (13, Value::Varint(bits)) => (one, count) = (small(kind, bits), count + 1),
            (5, Value::Bytes(numbers)) => (one, count) = (float(numbers), count + 1),
            (6, Value::Bytes(numbers)) => (one, count) = (double(numbers), count + 1),
            (13, Value::Bytes(mut numbers)) => {
                let bits = varint(&mut numbers).filter(|_| numbers.is_empty());
                (one, count) = (bits.and_then(|bits| small(kind, bits)), count + 1);
            }
            _ => {}
        }
    }
    if kind == STRING {
        return Ok(What::Texts(bytes));
    }
    let number = match (count, content, kind) {
        (1, None, FLOAT | DOUBLE | HALF | BFLOAT16) => one,
        (0, Some(bytes), FLOAT) => float(bytes),
        (0, Some(bytes), DOUBLE) => double(bytes),
        (0, Some(bytes), HALF | BFLOAT16) => {
            <[u8; 2]>::try_from(bytes).ok().and_then(|bits| small(kind, u16::from_le_bytes(bits).into()))
        }
        _ => None,
    };
    Ok(number.filter(|_| scalar).map_or(What::Other, What::Number))
}

fn float(bytes: &[u8]) -> Option<f64> {
    Some(f32::from_le_bytes(bytes.try_into().ok()?).into())
}

fn double(bytes: &[u8]) -> Option<f64> {
    Some(f64::from_le_bytes(bytes.try_into().ok()?))
}

/// A number of 16 bits.
fn small(kind: u64, bits: u64) -> Option<f64> {
    let bits = u16::try_from(bits).ok()?;
    match kind {
        // The upper half of a float.
        BFLOAT16 => Some(f32::from_bits(u32::from(bits) << 16).into()),
        HALF => Some(half(bits)),
        _ => None,
    }
}

/// IEEE 754's binary16: a sign, 5 bits of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// Hands on a tag's text as a setting, and each key of it where it is a JSON object, as Transformers writes its
/// arguments.
pub(super) fn text(tag: &[u8], tensor: &[u8], sink: &mut dyn Sink) -> Result<(), Malformed> {
    let mut texts = Vec::new();
    for field in Fields::of(tensor) {
        let (8, Value::Bytes(text)) = field? else { continue };
        texts.push(text);
    }
    if texts.iter().map(|text| text.len()).sum::<usize>() > LONGEST_TEXT {
        return Ok(());
    }
    let tag = String::from_utf8_lossy(tag);
    // PyTorch's addition.
    let name = tag.strip_suffix("/text_summary").unwrap_or(&tag);
    let text = |bytes| Json::String(String::from_utf8_lossy(bytes).into_owned());
    match texts[..] {
        [] => {}
        [one] => {
            let object = std::str::from_utf8(one).ok().and_then(settings::read).filter(Json::is_object);
            settings::hand_on(name, object.unwrap_or_else(|| text(one)), sink);
        }
        _ => sink.setting(name, texts.into_iter().map(text).collect()),
    }
    Ok(())
}

/// Hands on the hyperparameters with which a session started, from what the plugin `hparams` was given.
pub(super) fn hyperparameters(content: &[u8], sink: &mut dyn Sink) -> Result<(), Malformed> {
    for field in Fields::of(content) {
        let (3, Value::Bytes(start)) = field? else { continue };
        for field in Fields::of(start) {
            let (1, Value::Bytes(entry)) = field? else { continue };
            let (mut name, mut value) = (&entry[..0], None);
            for field in Fields::of(entry) {
                match field? {
                    (1, Value::Bytes(key)) => name = key,
                    (2, Value::Bytes(bytes)) => value = hyperparameter(bytes)?,
                    _ => {}
                }
            }
            if let Some(value) = value {
                settings::hand_on(&String::from_utf8_lossy(name), value, sink);
            }
        }
    }
    Ok(())
}

/// A `google.protobuf.Value` that is a number, a text or a truth value: hyperparameters are no others.
fn hyperparameter(bytes: &[u8]) -> Result<Option<Json>, Malformed> {
    let mut value = None;
    for field in Fields::of(bytes) {
        match field? {
            (2, Value::Fixed64(number)) => value = Some(settings::number(f64::from_le_bytes(number))),
            (3, Value::Bytes(text)) => value = Some(Json::String(String::from_utf8_lossy(text).into_owned())),
            (4, Value::Varint(truth)) => value = Some(Json::Bool(truth != 0)),
            _ => {}
        }
    }
    Ok(value)
}
