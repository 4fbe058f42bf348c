//! A headless Chromium, spoken to in its own protocol over two pipes.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. It is killed when nobody needs it.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    session: Option<String>,
    /// What it told unasked.
    told: VecDeque<Value>,
    _profile: TempDir,
}

/// Where Chromium is, if it is: `PIPELINE_CHROMIUM`, or one of its names on the PATH.
pub fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PIPELINE_CHROMIUM").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

impl Browser {
    /// Opens a file, in a window of a size.
    ///
    /// # Panics
    /// When the browser does not start, or the page does not load.
    pub fn open(program: &Path, page: &Path, width: u32, height: u32) -> Self {
        let profile = TempDir::with_prefix("pipeline-chromium-").expect("a temporary folder");
        let mut command = Command::new("sh");
        // The protocol's pipes are descriptors 3 and 4, which a shell can tie without unsafe code.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"]).arg(program);
        command.args([
            "--headless",
            "--remote-debugging-pipe",
            // The page is ours, and a sandbox can't be had as root in a container.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(format!("--window-size={width},{height}"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell starts");
        let to = child.stdin.take().expect("a pipe");
        let mut pipe = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while pipe.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                let message = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes));
                if message.ok().is_none_or(|message| sender.send(message).is_err()) {
                    break;
                }
                bytes.clear();
            }
        });
        let mut this = Self { child, to, from, next: 0, session: None, told: VecDeque::new(), _profile: profile };
        let target = this.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = this.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        this.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            this.call(&format!("{domain}.enable"), json!({}));
        }
        this.size(width, height);
        this.go(page);
        this
    }

    /// Opens another file in its place.
    pub fn go(&mut self, page: &Path) {
        self.told.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", page.display())}));
        self.await_told("Page.loadEventFired");
    }

    /// Gives the page another size.
    pub fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Asks for something.
    ///
    /// # Panics
    /// When the browser refuses, or says nothing for a minute.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).and_then(|()| self.to.flush()).expect("the browser listens");
        let until = Instant::now() + PATIENCE;
        loop {
            let mut answer = self.hear(until, method);
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.told.push_back(answer);
        }
    }

    fn hear(&mut self, until: Instant, what: &str) -> Value {
        match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("{what}: the browser says nothing"),
            Err(RecvTimeoutError::Disconnected) => panic!("{what}: the browser is gone"),
        }
    }

    fn await_told(&mut self, event: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.told.iter().any(|told| told["method"] == event) {
            let told = self.hear(until, event);
            self.told.push_back(told);
        }
    }

    /// What an expression comes to in the page; promises are awaited.
    ///
    /// # Panics
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Presses the mouse at one place of the window, and lets go at another.
    pub fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
        for (kind, (x, y)) in [
            ("mouseMoved", from),
            ("mousePressed", from),
            ("mouseMoved", middle),
            ("mouseMoved", to),
            ("mouseReleased", to),
        ] {
            let buttons = i32::from(kind != "mouseReleased");
            let event = json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Errors on the console, exceptions, and what the page's own policy stopped.
    pub fn complaints(&self) -> Vec<String> {
        let bad = |told: &&Value| match told["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => told["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => ["error", "assert"].iter().any(|it| told["params"]["type"] == *it),
            _ => false,
        };
        self.told.iter().filter(bad).map(|told| told["params"].to_string()).collect()
    }

    /// What was fetched, or tried.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.told.iter().filter(|told| told["method"] == "Network.requestWillBeSent");
        sent.map(|told| told["params"]["request"]["url"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends itself when asked; killed it would leave its children to do so.
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
