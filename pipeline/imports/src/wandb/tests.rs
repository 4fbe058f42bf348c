use std::io::Read;

use super::*;
use crate::Remark;
use crate::protobuf::writer::{bytes, int, message};

/// What a reader told, in its order.
#[derive(Debug, Default, PartialEq, Clone)]
pub(crate) struct Collected {
    pub(crate) reports: Vec<Row>,
    pub(crate) settings: Vec<(String, Json)>,
    pub(crate) run_names: Vec<String>,
    pub(crate) remarks: Vec<Remark>,
}

/// A report: its place, its axis, whether it voids later ones, and its numbers as text, since NaN is not equal to
/// itself.
#[derive(Debug, PartialEq, Clone)]
pub(crate) struct Row {
    pub(crate) place: u64,
    pub(crate) at: At,
    pub(crate) voids_later: bool,
    pub(crate) numbers: Vec<(String, String)>,
}

impl Sink for Collected {
    fn report(&mut self, names: &Names, report: &Report<'_>) {
        let number = |(series, number): &(Series, f64)| (names.name(*series).name.clone(), number.to_string());
        let numbers = report.numbers.iter().map(number).collect();
        let Report { place, at, voids_later, .. } = *report;
        self.reports.push(Row { place, at, voids_later, numbers });
    }

    fn setting(&mut self, name: &str, value: Json) {
        self.settings.push((name.to_owned(), value));
    }

    fn run_name(&mut self, name: &str) {
        self.run_names.push(name.to_owned());
    }

    fn remark(&mut self, remark: Remark) {
        self.remarks.push(remark);
    }
}

impl Collected {
    /// `place step: name=number …`, with `!` before the place of a report that voids later ones.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.reports.iter().map(Row::line).collect()
    }

    /// What the remarks say.
    pub(crate) fn said(&self) -> Vec<String> {
        self.remarks.iter().map(|remark| format!("{}: {}", remark.place, remark.what)).collect()
    }

    /// Whether this is the beginning of what another one told; remarks aside.
    pub(crate) fn begins(&self, whole: &Self) -> bool {
        whole.reports.starts_with(&self.reports)
            && whole.settings.starts_with(&self.settings)
            && whole.run_names.starts_with(&self.run_names)
    }
}

impl Row {
    fn line(&self) -> String {
        let mark = if self.voids_later { "!" } else { "" };
        let step = self.at.step.map_or_else(|| "-".to_owned(), |step| step.to_string());
        let numbers = self.numbers.iter().map(|(name, number)| format!(" {name}={number}"));
        format!("{mark}{} {step}:{}", self.place, numbers.collect::<String>())
    }
}

/// Lends its bytes a few at a time, as a pipe does.
pub(crate) struct Trickle<'a>(pub(crate) &'a [u8], pub(crate) usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

fn collect(file: &[u8]) -> Result<Collected, ReadError> {
    let mut collected = Collected::default();
    read(&mut &*file, &mut Names::default(), &mut collected)?;
    Ok(collected)
}

/// A file of records, framed as W&B frames them.
fn file(records: &[Vec<u8>]) -> Vec<u8> {
    let mut file = HEADER.to_vec();
    for record in records {
        let (mut rest, mut first) = (&record[..], true);
        loop {
            let mut room = 32_768 - file.len() % 32_768;
            if room < 7 {
                file.resize(file.len() + room, 0);
                room = 32_768;
            }
            let (data, after) = rest.split_at(rest.len().min(room - 7));
            let kind = match (first, after.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            file.extend(chunk(kind, data));
            (rest, first) = (after, false);
            if rest.is_empty() {
                break;
            }
        }
    }
    file
}

fn chunk(kind: u8, data: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(&[&[kind], data].concat());
    [&checksum.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &[kind], data].concat()
}

fn items(number: u32, items: &[(&[&str], &str)]) -> Vec<Vec<u8>> {
    let key = |path: &[&str]| match path {
        [key] => bytes(1, key.as_bytes()),
        _ => path.iter().flat_map(|part| bytes(2, part.as_bytes())).collect(),
    };
    items.iter().map(|(path, json)| message(number, &[key(path), bytes(16, json.as_bytes())])).collect()
}

/// A record of a history's row.
fn row(values: &[(&[&str], &str)]) -> Vec<u8> {
    message(2, &items(1, values))
}

fn losses(first: i64, last: i64) -> Vec<Vec<u8>> {
    (first..=last).map(|step| row(&[(&["loss"], &format!("{step}.5")), (&["_step"], &step.to_string())])).collect()
}

/// A run with a bit of everything.
fn run() -> Vec<Vec<u8>> {
    let config = items(1, &[(&["lr"], "0.001"), (&["model"], r#"{"layers": 2, "clip": Infinity, "tags": ["NaN"]}"#)]);
    let wandb = items(1, &[(&["_wandb"], r#"{"cli_version": "0.1"}"#), (&["seed"], "7")]);
    vec![
        message(21, &[]),
        message(17, &[bytes(1, b"a1b2"), message(4, &config), bytes(8, b"sunny-river-3")]),
        message(5, &wandb),
        row(&[(&["train/loss"], "2.5"), (&["_runtime"], "0.25"), (&["epoch"], "0.5"), (&["_step"], "0")]),
        row(&[(&["train/loss"], "NaN"), (&["eval", "acc"], "1e-3"), (&["_step"], "1")]),
        row(&[(&["train/loss"], r#""-Infinity""#), (&["note"], r#""Infinite""#), (&["_step"], "2")]),
        row(&[(&["nested"], r#"{"a": {"b": NaN, "c": 3}, "d": null}"#), (&["_step"], "3")]),
        row(&[(&["weights"], r#"{"_type": "histogram", "bins": [1, 2]}"#), (&["_step"], "4")]),
        message(18, &[int(1, 255), int(2, 60)]),
    ]
}

#[test]
fn a_run_is_told_with_its_settings_and_its_end() {
    let collected = collect(&file(&run())).unwrap();
    assert_eq!(
        collected.lines(),
        [
            "3 0: train/loss=2.5 _runtime=0.25 epoch=0.5",
            "4 1: train/loss=NaN eval.acc=0.001",
            "5 2: train/loss=-inf",
            "6 3: nested.a.b=NaN nested.a.c=3",
        ]
    );
    assert_eq!(collected.reports[0].at.epoch, Some(0.5));
    let settings = [
        ("lr", 0.001.into()),
        ("model/clip", "Infinity".into()),
        ("model/layers", 2.into()),
        ("model/tags", ["NaN"].into_iter().collect()),
        ("seed", 7.into()),
    ];
    assert_eq!(collected.settings, settings.map(|(name, value): (&str, Json)| (name.to_owned(), value)));
    assert_eq!(collected.run_names, ["sunny-river-3"]);
    assert_eq!(
        collected.said(),
        [
            "8: the program ended with exit code 255",
            "5: skipped values that are not single numbers, such as texts and images: 3"
        ]
    );
}

#[test]
fn a_run_without_a_name_is_called_by_its_id() {
    let runs = [message(17, &[bytes(1, b"a1b2")]), message(17, &[bytes(1, b"a1b2")])];
    assert_eq!(collect(&file(&runs)).unwrap().run_names, ["a1b2"]);
}

#[test]
fn the_step_is_the_axis_that_the_program_named() {
    let axis = message(12, &[bytes(2, b"*"), bytes(4, b"train/global_step")]);
    let records = [
        message(12, &[bytes(1, b"train/global_step")]),
        axis,
        row(&[(&["loss"], "1"), (&["_step"], "0")]),
        row(&[(&["loss"], "2"), (&["train/global_step"], "500"), (&["_step"], "1")]),
        row(&[(&["loss"], "3"), (&["_step"], "2")]),
        row(&[(&["loss"], "4"), (&["train/global_step"], "1000.0"), (&["_step"], "3")]),
    ];
    let expected = [
        "2 0: loss=1",
        "3 500: loss=2 train/global_step=500",
        "4 500: loss=3",
        "5 1000: loss=4 train/global_step=1000",
    ];
    assert_eq!(collect(&file(&records)).unwrap().lines(), expected);
    // An axis for one series alone is none for the run.
    let one = message(12, &[bytes(1, b"loss"), bytes(4, b"loss")]);
    assert_eq!(collect(&file(&[one, losses(7, 7).remove(0)])).unwrap().lines(), ["1 7: loss=7.5"]);
}

#[test]
fn odd_steps_are_told_once() {
    let step = |json| row(&[(&["loss"], "1"), (&["_step"], json)]);
    let records = [
        step("-5"),
        step("3.0"),
        step("3.5"),
        step("9223372036854775807"),
        step("9223372036854775808"),
        step("NaN"),
        message(2, &[items(1, &[(&["loss"], "2")]).concat(), message(2, &[int(1, 12)])]),
        message(2, &[items(1, &[(&["loss"], "2")]).concat(), message(2, &[])]),
        row(&[(&["loss"], "2")]),
    ];
    let collected = collect(&file(&records)).unwrap();
    let steps: Vec<_> = collected.reports.iter().map(|report| report.at.step).collect();
    let expected = [Some(-5), Some(3), None, Some(i64::MAX), None, None, Some(12), Some(0), None];
    assert_eq!(steps, expected);
    assert_eq!(collected.said(), ["2: rows whose step is not a whole number: 3"]);
}

#[test]
fn numbers_are_read_as_python_writes_them() {
    for (json, expected) in [
        ("0.1", Some(0.1)),
        ("-1e-07", Some(-1e-7)),
        ("12345678901234567890", Some(12_345_678_901_234_567_890.0)),
        ("1e400", Some(f64::INFINITY)),
        (" 5 ", Some(5.0)),
        ("Infinity", Some(f64::INFINITY)),
        ("-Infinity", Some(f64::NEG_INFINITY)),
        ("\"Infinity\"", Some(f64::INFINITY)),
        ("\"inf\"", Some(f64::INFINITY)),
        ("\"5\"", None),
        ("\"1e400\"", None),
        ("\"\"", None),
        ("\"", None),
        ("", None),
        ("true", None),
        ("null", None),
        ("(+nanz)", None),
        ("nanms", None),
    ] {
        assert_eq!(number(json.as_bytes()), expected, "{json}");
    }
    assert!(["NaN", "nan", "\"NaN\"", "\"nan\""].iter().all(|json| number(json.as_bytes()).unwrap().is_nan()));
}

#[test]
fn json_may_have_numbers_that_json_has_not() {
    let text = r#"{"a": [NaN, -Infinity, Infinity], "NaN \" NaN": "NaN \\"}"#;
    let expected = r#"{"a": ["NaN", "-Infinity", "Infinity"], "NaN \" NaN": "NaN \\"}"#;
    assert_eq!(settings::read(text), serde_json::from_str(expected).ok());
    for broken in ["", "{", "{\"a\": NaN", "\"\\", "NaN\"", "[NaNa]", &"[".repeat(1000)] {
        assert_eq!(settings::read(broken), None, "{broken}");
    }
}

#[test]
fn records_may_lie_across_blocks() {
    let mut records = losses(0, 700);
    // A chunk that ends with its block; one of a few bytes less, whose block ends in padding; one of several blocks.
    for room in 0..=8 {
        let used = file(&records).len() % 32_768;
        let length = (32_768 - used).checked_sub(7 + room).unwrap();
        records.push([bytes(13, &vec![b'x'; length - 4]), vec![]].concat());
        records.extend(losses(1000 + room as i64 * 10, 1009 + room as i64 * 10));
    }
    records.push(bytes(13, &[b'x'; 200_000]));
    records.extend(losses(2000, 2001));
    let file = file(&records);
    let collected = collect(&file).unwrap();
    assert_eq!((collected.reports.len(), collected.remarks.len()), (701 + 90 + 2, 0));
    assert_eq!(collected.lines().last().unwrap(), &format!("{} 2001: loss=2001.5", records.len() - 1));
    for size in [1, 7, 4096, 32_767] {
        let mut again = Collected::default();
        read(&mut Trickle(&file, size), &mut Names::default(), &mut again).unwrap();
        assert_eq!(again, collected, "read {size} bytes at a time");
    }
}

#[test]
fn a_file_that_was_cut_tells_what_comes_before() {
    let mut records = run();
    records.insert(3, bytes(13, &[b'x'; 40_000]));
    let file = file(&records);
    let whole = collect(&file).unwrap();
    let mut told = 0;
    for cut in 0..file.len() {
        match collect(&file[..cut]) {
            Ok(part) => {
                assert!(cut >= 7 && part.begins(&whole), "cut at {cut}");
                assert!(part.reports.len() >= told, "cut at {cut}");
                told = part.reports.len();
                let truncated = part.remarks.iter().find(|remark| remark.what == Oddity::Truncated);
                assert!(truncated.is_none_or(|remark| remark.byte.is_some_and(|byte| byte < cut as u64)));
            }
            Err(error) => assert!(cut < 7, "cut at {cut}: {error}"),
        }
    }
    assert_eq!(told, whole.reports.len());
    // As where a file system lost the last writes.
    let zeros = [&file[..], &[0; 100]].concat();
    let collected = collect(&zeros).unwrap();
    assert_eq!(collected.reports, whole.reports);
    let end = Remark { place: records.len() as u64, byte: Some(file.len() as u64), what: Oddity::Truncated };
    assert_eq!(collected.remarks.last(), Some(&end));
}

#[test]
fn a_flipped_byte_ends_what_is_told() {
    let last_two = file(&run()[..7]).len();
    let file = file(&run());
    let whole = collect(&file).unwrap();
    let impossible = Oddity::Unreadable("is no record, and nothing after it was read".to_owned());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            match collect(&flipped) {
                Ok(part) => {
                    // All but the last two records tell something.
                    assert!(part.begins(&whole) && (part.reports != whole.reports || at >= last_two), "{at}");
                    let last = part.remarks.last().unwrap();
                    assert!(
                        matches!(last.what, Oddity::Checksum | Oddity::Truncated) || last.what == impossible,
                        "{at}"
                    );
                    assert!(last.byte.is_some_and(|byte| byte <= at as u64), "{at}: {last:?}");
                }
                Err(error) => assert!(at < 7, "{at}: {error}"),
            }
        }
    }
}

#[test]
fn a_record_without_its_beginning_or_end_is_passed_over() {
    let loss = |step| losses(step, step).remove(0);
    let (a, b) = (loss(1), loss(2));
    let file = [
        HEADER.to_vec(),
        chunk(3, b"middle"),
        chunk(4, b"last"),
        chunk(1, &a),
        chunk(2, b"first"),
        chunk(3, b"middle"),
        chunk(1, &b),
        chunk(2, b"first"),
        chunk(2, &b[..5]),
        chunk(4, &b[5..]),
    ]
    .concat();
    let collected = collect(&file).unwrap();
    assert_eq!(collected.lines(), ["2 1: loss=1.5", "4 2: loss=2.5", "6 2: loss=2.5"]);
    assert_eq!(collected.said(), ["0: skipped records that can't be decoded: 4"]);
}

#[test]
fn a_record_that_is_no_message_is_passed_over() {
    let records = [losses(1, 1), vec![b"\x12\x05loss".to_vec(), b"\x12\x02\x0a\x09".to_vec()], losses(2, 2)].concat();
    let collected = collect(&file(&records)).unwrap();
    assert_eq!(collected.lines(), ["0 1: loss=1.5", "3 2: loss=2.5"]);
    assert_eq!(collected.said(), ["1: skipped records that can't be decoded: 2"]);
}

#[test]
fn values_without_end_take_no_memory_without_end() {
    let list = format!("{{\"a\": [{}1]}}", "1,".repeat(1 << 20));
    let key = "k".repeat(5000);
    let inner = format!("{{\"{key}\": {{\"x\": 1, \"y\": 2}}, \"z\": 3}}");
    let config = items(1, &[(&["long"], &list), (&["deep"], &inner), (&[&key], "1")]);
    let records = [
        row(&[(&["loss"], "1"), (&["long"], &list), (&["deep"], &inner), (&[&key], "1"), (&["_step"], "0")]),
        message(5, &config),
    ];
    let collected = collect(&file(&records)).unwrap();
    assert_eq!(collected.lines(), ["0 0: loss=1 deep.z=3"]);
    let settings: Vec<_> = collected.settings.iter().map(|(name, value)| (name.len(), value.to_string())).collect();
    assert_eq!(settings, [(5 + 5000, r#"{"x":1,"y":2}"#.to_owned()), (6, "3".to_owned())]);
    let said =
        ["0: skipped values whose key is too long, or one too many: 2", "0: skipped values that are too long: 3"];
    assert_eq!(collected.said(), said);
}

#[test]
fn no_record_panics() {
    let records = run();
    for (index, record) in records.iter().enumerate() {
        for at in 0..record.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff, record[at] ^ 1, record[at] ^ 2, b'{', b'"'] {
                let mut records = records.clone();
                records[index][at] = byte;
                let collected = collect(&file(&records)).unwrap();
                assert!(collected.reports.len() >= 2 && collected.remarks.len() <= 5, "{index} {at} {byte}");
            }
            let mut records = records.clone();
            records[index].truncate(at);
            assert!(collect(&file(&records)).unwrap().reports.len() >= 3, "{index} {at}");
        }
    }
}

#[test]
fn other_files_are_refused() {
    for other in [&b""[..], b":W&", b":W&B\xe1\xbe", b":W&B\xe1\xbe\x01", b"step,loss\n1,2\n"] {
        assert!(matches!(collect(other), Err(ReadError::Format(_))), "{other:?}");
    }
    assert!(is_it(HEADER) && !is_it(b"") && !is_it(b":W&B") && !is_it(b"step,loss\n"));
    // A run that was never told anything.
    assert_eq!(collect(HEADER).unwrap(), Collected::default());
}
