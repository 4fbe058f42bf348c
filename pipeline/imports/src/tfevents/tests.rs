use serde_json::Value as Json;

use super::*;
use crate::Remark;
use crate::protobuf::writer::{bytes, double, float, int, message, varint};
use crate::wandb::tests::{Collected, Trickle};

fn collect(file: &[u8]) -> Result<Collected, ReadError> {
    let mut collected = Collected::default();
    read(&mut &*file, &mut Names::default(), &mut collected)?;
    Ok(collected)
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = |bytes| records::masked(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

fn event(step: i64, fields: &[Vec<u8>]) -> Vec<u8> {
    let step = if step == 0 { Vec::new() } else { int(2, step) };
    record(&[double(1, 1.7e9), step, fields.concat()].concat())
}

fn version() -> Vec<u8> {
    event(0, &[bytes(3, b"brain.Event:2")])
}

fn summary(step: i64, values: &[Vec<u8>]) -> Vec<u8> {
    event(step, &[message(5, &values.iter().map(|value| bytes(1, value)).collect::<Vec<_>>())])
}

/// A scalar as PyTorch writes it.
fn scalar(tag: &str, number: f32) -> Vec<u8> {
    [bytes(1, tag.as_bytes()), float(2, number)].concat()
}

/// A value that a plugin shows.
fn plugin(tag: &str, name: &str, content: &[u8], tensor: &[Vec<u8>]) -> Vec<u8> {
    let metadata = message(9, &[message(1, &[bytes(1, name.as_bytes()), bytes(2, content)])]);
    [bytes(1, tag.as_bytes()), message(8, tensor), metadata].concat()
}

fn loss(step: i64, number: f32) -> Vec<u8> {
    summary(step, &[scalar("loss", number)])
}

/// A file with a bit of everything.
fn parts() -> Vec<Vec<u8>> {
    let text =
        [int(1, 7), message(2, &[message(2, &[int(1, 1)])]), bytes(8, b"{\"lr\": 0.1, \"model\": {\"layers\": 2}}")];
    vec![
        version(),
        summary(0, &[plugin("args/text_summary", "text", b"", &text)]),
        summary(10, &[scalar("loss", 2.5), scalar("lr", 0.5)]),
        summary(10, &[[bytes(1, b"weights"), bytes(5, b"\x09")].concat()]),
        loss(20, f32::NAN),
        loss(30, f32::INFINITY),
        event(0, &[bytes(4, b"graph")]),
        loss(20, 2.25),
        event(15, &[message(7, &[int(1, 1)])]),
        loss(16, -1.5),
    ]
}

#[test]
fn scalars_are_told_with_what_they_void() {
    let collected = collect(&parts().concat()).unwrap();
    let lines =
        ["2 10: loss=2.5 lr=0.5", "4 20: loss=NaN", "5 30: loss=inf", "!7 20: loss=2.25", "!8 15:", "!9 16: loss=-1.5"];
    assert_eq!(collected.lines(), lines);
    let settings = [("args/lr", 0.1.into()), ("args/model/layers", 2.into())];
    assert_eq!(collected.settings, settings.map(|(name, value): (&str, Json)| (name.to_owned(), value)));
    let said = ["3: skipped values that are not single numbers, such as histograms and images: 1"];
    assert_eq!(collected.said(), said);
}

#[test]
fn going_back_voids_the_tag_alone() {
    let file = [
        version(),
        loss(1, 1.0),
        loss(2, 2.0),
        summary(1, &[scalar("other", 1.0)]),
        loss(2, 3.0),
        summary(-3, &[scalar("other", 2.0)]),
        summary(i64::MIN, &[scalar("loss", 4.0)]),
        summary(i64::MAX, &[scalar("loss", 5.0)]),
    ];
    let expected = [
        "1 1: loss=1".to_owned(),
        "2 2: loss=2".to_owned(),
        "3 1: other=1".to_owned(),
        "4 2: loss=3".to_owned(),
        "!5 -3: other=2".to_owned(),
        format!("!6 {}: loss=4", i64::MIN),
        format!("7 {}: loss=5", i64::MAX),
    ];
    assert_eq!(collect(&file.concat()).unwrap().lines(), expected);
    // Twice in one event: TensorBoard shows the later one.
    let twice = [version(), summary(5, &[scalar("a", 1.0), scalar("b", 2.0), scalar("a", 3.0)])].concat();
    assert_eq!(collect(&twice).unwrap().lines(), ["1 5: a=3 b=2"]);
}

#[test]
fn after_the_mark_of_a_start_the_same_step_is_a_new_beginning() {
    let start = |step| event(step, &[message(7, &[int(1, 1)])]);
    let other = |step| event(step, &[message(7, &[int(1, 2)])]);
    let file =
        [version(), start(0), loss(1, 1.0), loss(2, 2.0), other(2), loss(2, 3.0), start(2), loss(2, 4.0), loss(2, 5.0)];
    let expected = ["!1 0:", "2 1: loss=1", "3 2: loss=2", "5 2: loss=3", "!6 2:", "!7 2: loss=4", "8 2: loss=5"];
    assert_eq!(collect(&file.concat()).unwrap().lines(), expected);
}

#[test]
fn tensors_of_one_number_are_numbers() {
    let content = |kind, bytes_: &[u8]| vec![int(1, kind), message(2, &[]), bytes(4, bytes_)];
    let dimension = message(2, &[message(2, &[int(1, 1)])]);
    for (tensor, expected) in [
        (vec![int(1, 1), message(2, &[]), bytes(5, &0.125f32.to_le_bytes())], Some("0.125")),
        (vec![int(1, 1), float(5, 0.125)], Some("0.125")),
        (content(1, &f32::NAN.to_le_bytes()), Some("NaN")),
        (vec![int(1, 2), bytes(6, &0.1f64.to_le_bytes())], Some("0.1")),
        (vec![int(1, 2), double(6, 0.1)], Some("0.1")),
        (content(2, &f64::NEG_INFINITY.to_le_bytes()), Some("-inf")),
        // Half: 1.5, the smallest, the largest, -0.
        (vec![int(1, 19), bytes(13, &varint(0x3e00))], Some("1.5")),
        (vec![int(1, 19), int(13, 1)], Some("0.00000005960464477539063")),
        (content(19, &[0xff, 0x7b]), Some("65504")),
        (content(19, &[0x00, 0x80]), Some("-0")),
        (content(19, &[0x00, 0xfc]), Some("-inf")),
        (content(19, &[0x01, 0x7c]), Some("NaN")),
        (vec![int(1, 14), bytes(13, &varint(0x3fc0))], Some("1.5")),
        (content(14, &[0xc0, 0x7f]), Some("NaN")),
        // Several numbers, a dimension, no number, bytes of another length, integers.
        (vec![int(1, 1), bytes(5, &[0; 8])], None),
        (vec![int(1, 1), float(5, 1.0), float(5, 2.0)], None),
        (vec![int(1, 1), dimension.clone(), float(5, 1.0)], None),
        (vec![int(1, 1), message(2, &[int(3, 1)]), float(5, 1.0)], None),
        (vec![int(1, 1)], None),
        (content(1, &[0; 3]), None),
        (content(2, &[0; 4]), None),
        (vec![int(1, 19), bytes(13, &varint(0x1_0000))], None),
        (vec![int(1, 19), bytes(13, &[1, 1])], None),
        (vec![int(1, 3), int(7, 5)], None),
    ] {
        let file = [version(), summary(1, &[plugin("loss", "scalars", b"", &tensor)])].concat();
        let collected = collect(&file).unwrap();
        let expected: Vec<_> = expected.iter().map(|number| format!("1 1: loss={number}")).collect();
        assert_eq!(collected.lines(), expected, "{tensor:?}");
        assert_eq!(collected.remarks.len(), 1 - expected.len(), "{tensor:?}");
    }
}

#[test]
fn hyperparameters_are_settings() {
    let entry = |name: &str, value: Vec<u8>| message(1, &[bytes(1, name.as_bytes()), bytes(2, &value)]);
    let start = message(
        3,
        &[
            entry("lr", double(2, 0.001)),
            entry("layers", double(2, 2.0)),
            entry("clip", double(2, f64::INFINITY)),
            entry("optimizer", bytes(3, b"adam")),
            entry("amp", int(4, 1)),
            entry("none", int(1, 0)),
        ],
    );
    let value = plugin("_hparams_/session_start_info", "hparams", &start, &[]);
    let collected = collect(&[version(), summary(0, &[value])].concat()).unwrap();
    let settings: [(&str, Json); 5] = [
        ("lr", 0.001.into()),
        ("layers", 2.into()),
        ("clip", "Infinity".into()),
        ("optimizer", "adam".into()),
        ("amp", true.into()),
    ];
    assert_eq!(collected.settings, settings.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((collected.reports.len(), collected.remarks.len()), (0, 0));
}

#[test]
fn the_first_text_of_a_tag_is_a_setting() {
    let text = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| bytes(8, text.as_bytes())).collect();
        [vec![int(1, 7)], texts].concat()
    };
    let file = [
        version(),
        summary(0, &[plugin("note", "text", b"", &text(&["seed 1"]))]),
        // TensorFlow gives a tag's metadata once.
        summary(9, &[[bytes(1, b"note"), message(8, &text(&["a sample"]))].concat()]),
        summary(0, &[plugin("table/text_summary", "text", b"", &text(&["a", "b"]))]),
        summary(0, &[plugin("long", "text", b"", &text(&[&"x".repeat(100_000)]))]),
        summary(0, &[plugin("layout", "custom_scalars", b"", &text(&["\x08"]))]),
    ];
    let collected = collect(&file.concat()).unwrap();
    let settings: [(&str, Json); 2] = [("note", "seed 1".into()), ("table", ["a", "b"].into_iter().collect())];
    assert_eq!(collected.settings, settings.map(|(name, value)| (name.to_owned(), value)));
    let said = ["5: skipped values that are not single numbers, such as histograms and images: 1"];
    assert_eq!(collected.said(), said);
}

#[test]
fn numbers_that_are_all_at_step_0_are_told() {
    let file = [version(), loss(0, 1.0), loss(0, 2.0), summary(0, &[scalar("once", 1.0)])].concat();
    let collected = collect(&file).unwrap();
    assert_eq!(collected.lines(), ["1 0: loss=1", "2 0: loss=2", "3 0: once=1"]);
    let said = "2: `loss` is reported 2 times, always at step 0: its program logs without steps";
    assert_eq!(collected.said(), [said]);
    let moves = [version(), loss(0, 1.0), loss(0, 2.0), loss(1, 1.0)].concat();
    assert_eq!(collect(&moves).unwrap().said(), [""; 0]);
}

#[test]
fn a_file_that_was_cut_tells_what_comes_before() {
    let file = parts().concat();
    let whole = collect(&file).unwrap();
    let ends: Vec<_> = (1..=parts().len()).map(|count| parts()[..count].concat().len()).collect();
    for cut in 0..file.len() {
        match collect(&file[..cut]) {
            Ok(part) => {
                assert!(cut >= 12 && part.begins(&whole), "cut at {cut}");
                let complete = ends.iter().filter(|end| **end <= cut).count();
                let start = complete.checked_sub(1).map_or(0, |last| ends[last]);
                let truncated = Remark { place: complete as u64, byte: Some(start as u64), what: Oddity::Truncated };
                assert_eq!(part.remarks.contains(&truncated), start != cut, "cut at {cut}");
                let expected = whole.reports.iter().filter(|report| report.place < complete as u64).count();
                assert_eq!(part.reports.len(), expected, "cut at {cut}");
            }
            Err(error) => assert!(cut < 12, "cut at {cut}: {error}"),
        }
    }
    for size in [1, 11, 100] {
        let mut again = Collected::default();
        read(&mut Trickle(&file, size), &mut Names::default(), &mut again).unwrap();
        assert_eq!(again, whole, "read {size} bytes at a time");
    }
}

#[test]
fn a_flipped_bit_ends_what_is_told() {
    let file = parts().concat();
    let whole = collect(&file).unwrap();
    let first = parts()[0].len();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            match collect(&flipped) {
                Ok(part) => {
                    assert!(part.begins(&whole) && part.reports.len() < whole.reports.len(), "{at}");
                    let last = part.remarks.last().unwrap();
                    assert_eq!(last.what, Oddity::Checksum, "{at}");
                    assert!(last.byte.is_some_and(|byte| byte <= at as u64), "{at}: {last:?}");
                }
                Err(error) => assert!(at < first.min(12), "{at}: {error}"),
            }
        }
    }
}

#[test]
fn long_records_are_read_or_passed_over_in_bounded_memory() {
    let graph = event(0, &[bytes(4, &vec![b'x'; 3 << 20])]);
    let file = [version(), loss(1, 1.0), graph.clone(), loss(2, 2.0)].concat();
    let collected = collect(&file).unwrap();
    assert_eq!((collected.lines().len(), collected.remarks.len()), (2, 0));

    let long = event(0, &[bytes(4, &vec![b'x'; 65 << 20])]);
    let file = [version(), loss(1, 1.0), long.clone(), loss(2, 2.0)].concat();
    let mut input = &file[..];
    let mut records = Records::new(&mut input);
    while !matches!(records.next().unwrap(), Next::End) {}
    assert!(records.held() <= 1 << 20);
    let collected = collect(&file).unwrap();
    assert_eq!(collected.lines(), ["1 1: loss=1", "3 2: loss=2"]);
    assert_eq!(collected.said(), ["2: skipped records longer than 64 MiB: 1"]);
    let damaged = [&version()[..], &long[..long.len() - 1], b"\0"].concat();
    assert_eq!(collect(&damaged).unwrap().said(), ["1: a checksum is wrong; nothing after it was read"]);
    let cut = [&version()[..], &long[..long.len() - 5]].concat();
    assert_eq!(collect(&cut).unwrap().remarks[0].what, Oddity::Truncated);

    // A length without end, whose checksum is right.
    let length = (u64::MAX - 3).to_le_bytes();
    let header = [&length[..], &records::masked(crc32c::crc32c(&length)).to_le_bytes()].concat();
    let endless = [version(), loss(1, 1.0), header, vec![0; 100]].concat();
    let collected = collect(&endless).unwrap();
    assert_eq!((collected.lines().len(), &collected.remarks[0].what), (1, &Oddity::Truncated));
}

#[test]
fn events_that_are_no_messages_are_passed_over() {
    let bad = [record(b"\x09"), event(2, &[bytes(5, b"\x0a\x03\x0a\x09")]), record(b"")];
    let file = [version(), loss(1, 1.0), bad.concat(), loss(3, 3.0)].concat();
    let collected = collect(&file).unwrap();
    assert_eq!(collected.lines(), ["1 1: loss=1", "5 3: loss=3"]);
    assert_eq!(collected.said(), ["2: skipped records that can't be decoded: 2"]);
}

#[test]
fn no_event_panics() {
    let parts = parts();
    for (index, part) in parts.iter().enumerate().skip(1) {
        let data = &part[12..part.len() - 4];
        for at in 0..data.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff, data[at] ^ 1, data[at] ^ 2, data[at] ^ 8] {
                let mut changed = data.to_vec();
                changed[at] = byte;
                let file = [parts[..index].concat(), record(&changed), parts[index + 1..].concat()].concat();
                let collected = collect(&file).unwrap();
                assert!(collected.reports.len() >= 5 && collected.remarks.len() <= 3, "{index} {at} {byte}");
            }
        }
    }
}

#[test]
fn tags_without_end_take_no_memory_without_end() {
    let values: Vec<_> = (0..100_010).map(|number| scalar(&format!("loss{number}"), 1.0)).collect();
    let long = scalar(&"x".repeat(2000), 1.0);
    let collected = collect(&[version(), summary(1, &values), summary(2, &[long])].concat()).unwrap();
    assert_eq!(collected.reports[0].numbers.len(), 100_000);
    assert_eq!(collected.said(), ["1: skipped values whose tag is too long, or one too many: 11"]);
}

#[test]
fn other_files_are_refused() {
    let example = record(&message(1, &[bytes(1, b"loss")]));
    for other in [&b""[..], b"\x18", &version()[..11], b"step,loss\n1,2.5\n2,2.25\n", &[0; 64], &example] {
        assert!(matches!(collect(other), Err(ReadError::Format(_))), "{other:?}");
        assert!(!is_it(other), "{other:?}");
    }
    assert!(is_it(&version()) && is_it(&version()[..13]) && !is_it(&version()[..12]));
    // A run that ended before its first report.
    assert_eq!(collect(&version()).unwrap(), Collected::default());
}
