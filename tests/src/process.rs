//! Programs as they run: started, signalled, awaited, read.

use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that runs, in a process group of its own. It is killed when nobody awaits it.
pub struct Started {
    child: Child,
    began: Instant,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// What a program left on the screen, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
    /// How long it ran.
    pub seconds: f64,
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Started {
    /// Starts a command with its output collected.
    pub fn new(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("a program starts");
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Self { child, began: Instant::now(), stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child is awaited").is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        send(self.pid(), signal);
    }

    /// Sends its process group a signal, as a terminal does at Ctrl-C.
    pub fn signal_group(&self, signal: i32) {
        send(-self.pid(), signal);
    }

    /// The process ids of its workers that serve.
    pub fn workers(&self) -> Vec<i32> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // pid (name) state ppid …; the name may hold anything.
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
            let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            if parent == Some(self.pid()) && command.contains("pipeline-neural\0serve") {
                found.push(pid);
            }
        }
        found
    }

    /// Waits until `ready` says so; `false` when the program ended before.
    pub fn wait_until(&mut self, mut ready: impl FnMut(&Self) -> bool) -> bool {
        while self.runs() {
            if ready(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        false
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("a child is awaited") {
                break status;
            }
            if self.began.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let text = self.stderr.take().map(|thread| thread.join().unwrap_or_default()).unwrap_or_default();
                panic!("it hangs; so far it said:\n{text}");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let seconds = self.began.elapsed().as_secs_f64();
        let take =
            |thread: Option<JoinHandle<String>>| thread.map(|t| t.join().unwrap_or_default()).unwrap_or_default();
        let (stdout, stderr) = (take(self.stdout.take()), take(self.stderr.take()));
        Ended { code: status.code(), signal: status.signal(), stdout, stderr, seconds }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal. A process that is gone needs none.
#[expect(unsafe_code, reason = "the standard library sends SIGKILL alone")]
pub fn send(pid: i32, signal: i32) {
    // SAFETY: kill takes two numbers and touches no memory of this process.
    unsafe { libc::kill(pid, signal) };
}

impl Ended {
    /// Checks that it was done.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Checks that it ended with a code other than 0: one line says what is wrong, and no panic was met.
    #[track_caller]
    pub fn complains(self, code: i32, words: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "one error line is wanted\n{self}");
        assert!(errors[0].contains(words), "{words:?} is not in the error line\n{self}");
        assert!(self.stderr.lines().filter(|line| line.starts_with("hint: ")).count() <= 1, "two hints\n{self}");
        for sign in ["panicked", "RUST_BACKTRACE", "BUG"] {
            assert!(!self.stderr.contains(sign), "{self}");
        }
        self
    }

    /// Checks that a hint says something.
    #[track_caller]
    pub fn hints(self, words: &str) -> Self {
        let hint = self.stderr.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default();
        assert!(hint.contains(words), "{words:?} is not in the hint\n{self}");
        self
    }

    /// The number of executed stages that the program reports.
    #[track_caller]
    pub fn executed(&self) -> usize {
        if self.stderr.contains(" is up to date (") {
            return 0;
        }
        let count =
            self.stderr.split(" executed, ").next().and_then(|text| text.rsplit([' ', '(']).next()?.parse().ok());
        count.unwrap_or_else(|| panic!("the number of executed stages is not reported\n{self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, signal, stdout, stderr, .. } = self;
        write!(f, "code {code:?}, signal {signal:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
