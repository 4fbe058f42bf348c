//! The wire format of protocol buffers, as far as logs need it: the fields of one message, borrowed from its bytes.
//!
//! It knows no schema: a reader picks the fields that it wants by number and kind, and passes over all others, as
//! decoders do with fields that they don't know. Not for writing, and not for groups, which no message of a log has.
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

/// What a field holds, as far as the bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, a boolean or an enum's number. Negative ones are stored as their two's complement in 64 bits.
    Varint(u64),
    /// A double or a fixed 64-bit integer, little-endian.
    Fixed64([u8; 8]),
    /// Text, bytes, a message, or numbers one after the other.
    Bytes(&'a [u8]),
    /// A float or a fixed 32-bit integer, little-endian.
    Fixed32([u8; 4]),
}

/// The bytes are no message: they end within a field, or hold a field of a kind that doesn't exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes that are no protocol buffer")]
pub struct Malformed;

/// The fields of a message with their numbers, in the order in which they were written. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a message.
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    #[inline]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(self.take()?),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(self.take()?),
            _ => return None,
        };
        Some((number, value))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// Takes an integer off the front: seven bits a byte, the lowest first. `None` where the bytes end within it.
#[inline]
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    // Keys, most lengths and all enums.
    if let [byte @ 0..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Some(u64::from(*byte));
    }
    long_varint(bytes)
}

fn long_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        // Of a tenth byte, 64 bits have room for one bit: decoders drop the others.
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A writer of messages, for the inputs that tests make up.
#[cfg(test)]
pub(crate) mod writer {
    pub(crate) fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    fn field(number: u32, kind: u64, content: &[u8]) -> Vec<u8> {
        [varint(u64::from(number) << 3 | kind), content.to_vec()].concat()
    }

    pub(crate) fn int(number: u32, value: i64) -> Vec<u8> {
        field(number, 0, &varint(value as u64))
    }

    pub(crate) fn double(number: u32, value: f64) -> Vec<u8> {
        field(number, 1, &value.to_le_bytes())
    }

    pub(crate) fn float(number: u32, value: f32) -> Vec<u8> {
        field(number, 5, &value.to_le_bytes())
    }

    pub(crate) fn bytes(number: u32, content: &[u8]) -> Vec<u8> {
        field(number, 2, &[varint(content.len() as u64), content.to_vec()].concat())
    }

    pub(crate) fn message(number: u32, fields: &[Vec<u8>]) -> Vec<u8> {
        bytes(number, &fields.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Vec<Result<(u32, Value<'_>), Malformed>> {
        Fields::of(message).collect()
    }

    #[test]
    fn fields_are_read_as_they_were_written() {
        let message = [
            writer::int(1, 150),
            writer::int(2, -1),
            writer::double(3, 0.5),
            writer::bytes(16, b"loss"),
            writer::float(536_870_911, f32::NEG_INFINITY),
        ]
        .concat();
        let expected = [
            (1, Value::Varint(150)),
            (2, Value::Varint(u64::MAX)),
            (3, Value::Fixed64(0.5f64.to_le_bytes())),
            (16, Value::Bytes(b"loss")),
            (536_870_911, Value::Fixed32(f32::NEG_INFINITY.to_le_bytes())),
        ];
        assert_eq!(all(&message), expected.map(Ok));
        // The example of the format's own description.
        assert_eq!(all(b"\x08\x96\x01"), [Ok((1, Value::Varint(150)))]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_message_that_ends_within_a_field_says_so_once() {
        let message = [writer::int(1, 300), writer::bytes(2, b"loss"), writer::double(3, 1.0)].concat();
        let whole = all(&message);
        let ends = [0, 3, 9, 18];
        for cut in 0..message.len() {
            let fields = all(&message[..cut]);
            let complete = ends.iter().filter(|end| (1..=cut).contains(*end)).count();
            assert_eq!(fields[..complete], whole[..complete], "cut at {cut}");
            let expected: &[_] = if ends.contains(&cut) { &[] } else { &[Err(Malformed)] };
            assert_eq!(&fields[complete..], expected, "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error() {
        for bytes in [
            // A group, kinds 6 and 7, a field of number 0, an integer of eleven bytes, a length beyond everything.
            &b"\x0b\x0c"[..],
            b"\x0e\x00",
            b"\x0f\x00",
            b"\x00\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01loss",
        ] {
            assert_eq!(all(bytes), [Err(Malformed)], "{bytes:x?}");
        }
    }

    #[test]
    fn no_bytes_panic() {
        for first in 0..=255 {
            for second in 0..=255 {
                for length in 0..12 {
                    let bytes = [&[first, second][..], &[0xff; 12][..length]].concat();
                    assert!(Fields::of(&bytes).count() <= bytes.len());
                }
            }
        }
    }
}
