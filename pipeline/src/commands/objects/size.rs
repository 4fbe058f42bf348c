//! `pipeline objects size`.

use std::collections::BTreeMap;
use std::io;

use crate::commands::owners::{entries, owners, runs, size_of};
use crate::ui::format::{bytes, count};
use crate::ui::look::Look;
use crate::ui::table::{Table, left, right};
use engine::store::Store;
use identity::RunId;
use record::objects::Reference;

/// A number of objects and their total size.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    objects: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// The contents of the store by stage, by run, and in total.
pub fn screen(store: &Store, references: &[Reference], look: Look) -> io::Result<String> {
    let owners = owners(references);
    let (mut stages, mut own, mut shared) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut whole, mut unreferenced, mut several, mut nobody) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (id, size) in store.objects()? {
        whole.add(size);
        let Some(references) = owners.get(&id) else {
            unreferenced.add(size);
            continue;
        };
        let what = |reference: &Reference| match reference.name.at_step() {
            Some((part, _)) => format!("{} {part}", reference.stage),
            None => reference.stage.clone(),
        };
        stages.entry(what(references[0])).or_insert_with(Sum::default).add(size);
        let runs = runs(references);
        let map = if runs.len() > 1 { &mut shared } else { &mut own };
        for run in &runs {
            map.entry(*run).or_insert_with(Sum::default).add(size);
        }
        match runs.len() {
            0 => nobody.add(size),
            1 => {}
            _ => several.add(size),
        }
    }
    let mut table = Table::new(vec![left("stage"), right("objects"), right("bytes")]);
    let row = |table: &mut Table, name: &str, sum: Sum| {
        table.plain(vec![name.to_owned(), count(sum.objects as i64), bytes(sum.bytes)]);
    };
    stages.iter().for_each(|(name, sum)| row(&mut table, name, *sum));
    if unreferenced.objects > 0 {
        row(&mut table, "(unreferenced)", unreferenced);
    }
    row(&mut table, "total", whole);
    let mut text = table.render(look).0;

    let titles = [right("objects"), right("bytes"), right("shared"), right("shared bytes")];
    let mut table = Table::new(std::iter::once(left("run")).chain(titles).collect());
    let numbers: std::collections::BTreeSet<RunId> = own.keys().chain(shared.keys()).copied().collect();
    let cells = |own: Sum, shared: Sum| {
        [count(own.objects as i64), bytes(own.bytes), count(shared.objects as i64), bytes(shared.bytes)]
    };
    for run in numbers {
        let of = |map: &BTreeMap<RunId, Sum>| map.get(&run).copied().unwrap_or_default();
        table.plain(std::iter::once(run.to_string()).chain(cells(of(&own), of(&shared))).collect());
    }
    if several.objects > 0 {
        // Each shared object counts once here.
        table.plain(std::iter::once("(shared)".to_owned()).chain(cells(Sum::default(), several)).collect());
    }
    if nobody.objects > 0 {
        table.plain(std::iter::once("(no run)".to_owned()).chain(cells(nobody, Sum::default())).collect());
    }
    text.push('\n');
    text.push_str(&table.render(look).0);

    let mut table = Table::new(vec![left("folder"), right("entries"), right("bytes")]);
    for (folder, called) in [("damaged", "set aside"), ("tmp", "in progress"), ("logs", "worker output")] {
        let found = entries(&store.root().join(folder));
        if !found.is_empty() {
            let size = found.iter().map(|path| size_of(path)).sum();
            table.plain(vec![format!("{folder} ({called})"), count(found.len() as i64), bytes(size)]);
        }
    }
    text.push('\n');
    text.push_str(&table.render(look).0);
    Ok(text)
}
