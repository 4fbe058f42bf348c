//! The worker as `pipeline` sees it: a process, its three streams and its exit code.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stages::files::{Cut, Types};
use stages::params::{Unit, stage_keys};
use stages::protocol::{Describe, PROTOCOL, Reply, Request, read_frame, write_frame};

fn worker(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline-neural"));
    command.args(args);
    command
}

struct WorkerProcess {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
}

impl WorkerProcess {
    fn start() -> Self {
        let mut command = worker(&["serve"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut this = Self { process, stdin, stdout };
        assert!(matches!(this.next(), Some(Reply::Hello(_))));
        this
    }

    fn send(&mut self, request: &Request) {
        write_frame(self.stdin.as_mut().unwrap(), request).unwrap();
    }

    fn order(&mut self, order: Value) {
        self.send(&Request::Order(Box::new(serde_json::from_value(order).unwrap())));
    }

    fn next(&mut self) -> Option<Reply> {
        read_frame(&mut self.stdout).unwrap()
    }

    /// All replies up to the end of the order.
    fn answer(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let reply = self.next().unwrap();
            let last = matches!(reply, Reply::Done(_) | Reply::Failed { .. });
            replies.push(reply);
            if last {
                return replies;
            }
        }
    }

    /// Closes standard input; returns the exit code and the log.
    fn end(mut self) -> (Option<i32>, String) {
        self.stdin = None;
        let begun = Instant::now();
        let status = self.process.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "the worker outlived its parent");
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

/// An order for a training run that would take days.
fn train(folder: &Path, id: u64, changes: &Value) -> Value {
    let keys = stage_keys("train").unwrap().keys;
    let mut params: Value = keys.iter().filter_map(|key| Some((key.name.to_owned(), key.default_value(1)?))).collect();
    (params["embedding"], params["hidden"]) = (json!(6), json!(8));
    for (key, value) in changes.as_object().unwrap() {
        params[key] = value.clone();
    }
    let ids: Vec<u8> = (0..400u32).flat_map(|i| (i * i % 11).to_le_bytes()).collect();
    std::fs::write(folder.join("train"), ids).unwrap();
    let cut = Cut { unit: Unit::Word, lowercase: false, eos: String::new() };
    let types = Types { cut, types: (0..11).map(|i| i.to_string()).collect(), counts: vec![1; 11] };
    types.save(&folder.join("vocab")).unwrap();
    let plan = json!({"version": 1, "layout": "streams", "size": 4, "unroll": 5, "tokens": 400, "seed": 0});
    std::fs::write(folder.join("plan"), plan.to_string()).unwrap();
    let path = |name: &str| folder.join(name);
    let length = 1u64 << 40;
    json!({
        "id": id, "stage": "train", "params": params, "folder": folder, "threads": 1,
        "inputs": {"train": path("train"), "vocab": path("vocab"), "plan": path("plan")},
        "segment": {"from": 0, "to": length, "length": length, "checkpoints": [0], "checkpoint_seconds": 3600},
    })
}

#[test]
fn the_worker_describes_itself() {
    let output = worker(&["describe"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    let describe: Describe = serde_json::from_str(&text).unwrap();
    assert_eq!(describe.protocol, PROTOCOL);
    assert_eq!(describe.stages.keys().collect::<Vec<_>>(), ["evaluate", "train"]);
    assert!(describe.libtorch.starts_with("2."), "{}", describe.libtorch);
    let names: Vec<_> = describe.libraries.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(names.contains(&"libc10.so") && names.contains(&"libtorch_cpu.so"), "{names:?}");
    assert!(describe.libraries.iter().all(|path| path.is_file()));
}

#[test]
fn an_invalid_command_line_is_refused_in_one_line() {
    for args in [&[][..], &["sreve"], &["serve", "now"]] {
        let output = worker(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let usage = "usage: pipeline-neural describe | serve | --version | --help\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), usage);
    }
}

#[test]
fn orders_are_served_one_after_another_and_a_bad_one_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = WorkerProcess::start();
    // A stop with nothing to stop must not hit the order that follows.
    worker.send(&Request::Stop);
    worker.order(json!({"id": 1, "stage": "sample", "params": {}, "inputs": {}, "folder": "/", "threads": 1}));
    worker.order(train(folder.path(), 2, &json!({"tied": true})));
    let failed = |replies: Vec<Reply>, id: u64, text: &str, number: Option<i32>| match &replies[..] {
        [Reply::Failed { order, message, os_error }] => {
            assert_eq!((*order, *os_error), (id, number));
            assert!(message.contains(text) && !message.contains('\n'), "{message}");
        }
        other => panic!("{other:?}"),
    };
    failed(worker.answer(), 1, "train and evaluate, not sample", None);
    failed(worker.answer(), 2, "train.embedding = train.hidden", None);
    // A system error is reported with its number too.
    let weights = folder.path().join("none.safetensors");
    worker.order(json!({
        "id": 5, "stage": "evaluate", "params": {"split": "test"}, "folder": folder.path(), "threads": 1,
        "inputs": {"weights": weights},
    }));
    failed(worker.answer(), 5, "none.safetensors", Some(2));

    worker.order(train(folder.path(), 3, &json!({})));
    while !matches!(worker.next(), Some(Reply::Step(_))) {}
    worker.send(&Request::Stop);
    let replies = worker.answer();
    let [.., Reply::Checkpoint(checkpoint), Reply::Done(done)] = &replies[..] else { panic!("{replies:?}") };
    assert!(done.stopped && done.order == 3 && done.peak_memory > 1 << 20);
    assert_eq!(done.reached, Some(checkpoint.step));
    assert_eq!(done.report["steps"], checkpoint.step);

    worker.order(json!({
        "id": 4, "stage": "evaluate", "params": {"split": "test"}, "folder": folder.path(), "threads": 1,
        "inputs": {"weights": checkpoint.weights, "ids": folder.path().join("train")},
    }));
    let replies = worker.answer();
    let [Reply::Progress { .. }, Reply::Evaluation(score), Reply::Done(done)] = &replies[..] else {
        panic!("{replies:?}")
    };
    assert_eq!((score.split.as_str(), score.tokens, score.step, done.stopped), ("test", 399, None, false));
    assert!(score.loss.0 > 0.0 && score.loss.0 < 3.0);

    let (code, log) = worker.end();
    assert_eq!(code, Some(0));
    for part in
        ["train: failed: ", "train: steps 0..", "stopped on request", "evaluate: test, 400 tokens", "nats per token"]
    {
        assert!(log.contains(part), "{part} is not in the log:\n{log}");
    }
}

#[test]
fn an_order_in_progress_can_be_given_more_threads_but_never_fewer_than_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = WorkerProcess::start();
    // For each order: the request about threads that is sent while it runs, and the most threads that it then uses.
    for (id, allowed, most) in [(1, (1, 3), 3), (2, (1, 5), 1), (3, (3, 0), 1)] {
        worker.order(train(folder.path(), id, &json!({})));
        while !matches!(worker.next(), Some(Reply::Step(_))) {}
        worker.send(&Request::Threads { order: allowed.0, threads: allowed.1 });
        // This is long enough for the request to arrive, and for the steps that were sent before it.
        let sent = Instant::now();
        while sent.elapsed() < Duration::from_millis(500) {
            assert!(matches!(worker.next(), Some(Reply::Step(_))));
        }
        worker.send(&Request::Stop);
        let replies = worker.answer();
        let [.., Reply::Done(done)] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(done.report["threads"], most, "order {id}");
    }
    let (_, log) = worker.end();
    assert_eq!(log.matches("up to 3 threads, stopped on request").count(), 1, "{log}");
}

#[test]
fn the_worker_ends_with_its_parent_in_the_middle_of_an_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = WorkerProcess::start();
    worker.order(train(folder.path(), 1, &json!({})));
    while !matches!(worker.next(), Some(Reply::Step(_))) {}
    assert_eq!(worker.end().0, Some(1));
}
