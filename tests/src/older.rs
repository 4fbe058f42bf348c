//! Records as earlier versions of the program would have left them.

use std::path::Path;

use rusqlite::Connection;

use crate::TestSpace;

/// The migrations, in their order.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipeline/record/src/migrations");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("it is there").flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read_to_string(file).expect("it is readable")).collect()
}

impl TestSpace {
    /// Makes the record what the program of an earlier schema would have left: the rows that it had room for.
    ///
    /// # Panics
    /// Where nobody could have left that.
    #[track_caller]
    pub fn age(&self, version: usize) {
        let (now, old) = (self.path("experiments.db"), self.path("older.db"));
        let application = self.number("PRAGMA application_id");
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)");
        let database = Connection::open(&old).expect("a new file");
        let run = |statement: &str| database.execute_batch(statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
        let column = |query: &str| -> Vec<String> {
            let mut statement = database.prepare(query).expect("it fits");
            let found = statement.query_map([], |row| row.get(0)).expect("it fits");
            found.map(|text| text.expect("a text")).collect()
        };
        run("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF");
        migrations()[..version].iter().for_each(|text| run(text));
        run(&format!("ATTACH '{}' AS now", now.display()));
        let triggers = column("SELECT sql FROM main.sqlite_schema WHERE type = 'trigger'");
        for name in column("SELECT name FROM main.sqlite_schema WHERE type = 'trigger'") {
            run(&format!("DROP TRIGGER {name}"));
        }
        let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name <> 'sqlite_sequence'";
        for table in column(tables) {
            let both = format!(
                "SELECT o.name FROM pragma_table_info('{table}', 'main') o JOIN pragma_table_info('{table}', 'now') USING (name)"
            );
            let columns = column(&both).join(", ");
            run(&format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"));
        }
        triggers.iter().for_each(|text| run(text));
        run(&format!(
            "DELETE FROM main.meta WHERE key = 'uid'; PRAGMA main.application_id = {application};
             PRAGMA main.user_version = {version}; DETACH now; PRAGMA wal_checkpoint(TRUNCATE)"
        ));
        drop(database);
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(self.path(&format!("experiments.db{ending}")));
        }
        std::fs::rename(old, now).expect("a folder of its own");
    }
}
