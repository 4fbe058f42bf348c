//! Whole-program tests: the two programs are run as a user would run them, and what they leave behind is looked at with
//! an own reading of SQLite and an own SHA-256.

pub mod browser;
pub mod mount;
mod older;
pub mod process;
pub mod record;
pub mod rounding;
pub mod space;

pub use process::{Ended, Started};
pub use record::Cell;
pub use space::{TestSpace, copy_folder};

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The folder of the two programs, built once in the profile of this test: with nothing to do it takes a moment.
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/<profile>/deps/<test>
        let test = std::env::current_exe().expect("a test knows its own path");
        let folder = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        // The whole workspace, as `make build`: the features of shared dependencies are then those of that build.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--workspace", "--bins", "--profile", profile]).current_dir(repository());
        // What cargo tells a test about its package would be read by build scripts (ring's, for one), and everything
        // above them would be compiled again.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|it| name.starts_with(it)))
            {
                cargo.env_remove(name);
            }
        }
        assert!(cargo.status().expect("cargo starts").success(), "the programs were not built");
        folder.to_owned()
    })
}

/// Draws that are the same each time: splitmix64.
pub struct Draws(u64);

impl Draws {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
