//! The frames between the program and its worker.

use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stages::protocol::{Reply, Request, read_frame, write_frame};

/// The longest frame that is believed.
const LONGEST: usize = 1 << 26;

/// A stream that hands out its bytes in pieces, as a pipe may: each as long as the next of some numbers says.
struct Pieces<'b> {
    bytes: &'b [u8],
    lengths: &'b [u8],
    at: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = usize::from(self.lengths[self.at % self.lengths.len()] % 9) + 1;
        self.at += 1;
        let n = length.min(self.bytes.len()).min(into.len());
        into[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

/// All messages of a stream, each as the bytes of its frame, and why it ended, if not at a frame's end.
fn read<T: Serialize + DeserializeOwned>(mut stream: impl Read) -> (Vec<Vec<u8>>, Option<String>) {
    let mut frames = Vec::new();
    loop {
        match read_frame::<T>(&mut stream) {
            Ok(Some(message)) => {
                let mut bytes = Vec::new();
                write_frame(&mut bytes, &message).unwrap();
                frames.push(bytes);
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error.to_string())),
        }
    }
}

fn hold<T: Serialize + DeserializeOwned>(bytes: &[u8], lengths: &[u8]) {
    let whole = read::<T>(bytes);
    assert_eq!(read::<T>(Pieces { bytes, lengths, at: 0 }), whole, "pieces are read otherwise than the whole");
    // What was read is written so that it is read again.
    let (frames, ending) = read::<T>(&whole.0.concat()[..]);
    assert_eq!((frames, ending), (whole.0, None));
}

/// A stream of frames after a byte that says how many bytes follow, which say how the stream is cut into pieces.
pub fn frames(bytes: &[u8]) {
    let Some((&cuts, rest)) = bytes.split_first() else { return };
    let (lengths, stream) = rest.split_at(usize::from(cuts % 16).min(rest.len()));
    let lengths = if lengths.is_empty() { &[0][..] } else { lengths };
    hold::<Reply>(stream, lengths);
    hold::<Request>(stream, lengths);
    if let Some(length) = stream.first_chunk().map(|length| u32::from_le_bytes(*length))
        && length as usize > LONGEST
    {
        // It is refused by its length alone, before anything is read or room is made for it.
        let mut rest = stream;
        read_frame::<Reply>(&mut rest).unwrap_err();
        assert_eq!(rest.len(), stream.len() - 4);
    }
}
