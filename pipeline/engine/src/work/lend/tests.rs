use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

use serde_json::json;

use super::*;
use crate::graph::{Node, Plan, Stage, Upstream, WorkerFacts};
use crate::launch::{Launcher, Made, Message, Task};
use crate::lock;
use crate::store::Store;
use crate::work::{End, Graph, JobLabel, Progress, Settings, Track, WorkObserver};
use identity::{StageKey, StageName};
use record::Record;
use stages::StageError;

#[test]
fn shares_are_even_and_never_below_the_initial_threads() {
    assert_eq!(shares(2, &[(1, true)]), [2]);
    assert_eq!(shares(8, &[(2, true), (2, true), (2, true)]), [3, 3, 2]);
    assert_eq!(shares(8, &[(2, false), (2, true)]), [2, 6]);
    assert_eq!(shares(8, &[(2, false)]), [2]);
    assert_eq!(shares(3, &[(1, true), (1, true)]), [2, 1]);
    // More jobs than cores; then training runs that started with more threads than there are cores.
    assert_eq!(shares(2, &[(1, true), (1, true), (1, true)]), [1, 1, 1]);
    assert_eq!(shares(2, &[(16, true), (u32::MAX, true)]), [16, u32::MAX]);
    assert_eq!(shares(2, &[]), [0u32; 0]);
}

/// A point with one execution of `first`, and for the point b also two of `second`.
struct Point {
    name: &'static str,
    device: &'static str,
}

impl Plan for Point {
    fn nodes(&self, stage: &StageName, _: &Upstream) -> Result<Vec<Node>, StageError> {
        let node = |item: String| {
            let params = json!({"name": item, "device": self.device});
            Node { item, step: None, key_params: params.clone(), params, inputs: Vec::new(), training: None }
        };
        Ok(match (stage.as_str(), self.name) {
            ("first", name) => vec![node(name.to_owned())],
            (_, "b") => vec![node("b1".to_owned()), node("b2".to_owned())],
            _ => Vec::new(),
        })
    }
}

/// A launcher with a script of entries (threads of all running executions, executions that then end).
struct Scripted {
    script: Vec<(&'static str, &'static [&'static str])>,
    running: HashMap<StageKey, (String, Sender<Message>)>,
    threads: BTreeMap<String, u32>,
}

impl Launcher for Scripted {
    fn launch(&mut self, task: Task, to: &Sender<Message>) {
        let name = task.params["name"].as_str().unwrap().to_owned();
        self.threads.insert(name.clone(), task.threads);
        self.running.insert(task.key, (name, to.clone()));
    }

    fn allow(&mut self, key: StageKey, threads: u32) {
        // Threads may still be allowed to an execution whose end has not been received yet.
        let Some((name, _)) = self.running.get(&key) else { return };
        self.threads.insert(name.clone(), threads);
        let now = self.threads.iter().map(|(name, threads)| format!("{name} {threads}")).collect::<Vec<_>>().join(", ");
        if self.script.first().is_none_or(|(due, _)| now != *due) {
            return;
        }
        for ended in self.script.remove(0).1 {
            self.threads.remove(*ended);
            let key = *self.running.iter().find(|(_, (name, _))| name == ended).unwrap().0;
            let (_, to) = self.running.remove(&key).unwrap();
            to.send(Message::Ended(key, Ok(Made { report: json!({}), ..Made::default() }))).unwrap();
        }
    }

    fn share(&self, _: StageKey) -> Option<u64> {
        None
    }

    fn stop(&mut self) {}
}

/// Gives up after ten seconds.
struct Patience {
    ticks: usize,
}

impl WorkObserver for Patience {
    fn started(&mut self, _: &JobLabel<'_>) {}
    fn progress(&mut self, _: &JobLabel<'_>, _: &Progress) {}
    fn ended(&mut self, _: &JobLabel<'_>, _: f64, _: Option<&str>) {}
    fn explained(&mut self, _: &JobLabel<'_>, _: &[String]) {}
    fn note(&mut self, _: &str) {}
    fn tick(&mut self, _: usize, _: usize) {
        self.ticks += 1;
        assert!(self.ticks < 100, "the script is stuck");
    }
}

/// Works on the points a (on `device`) and b with three jobs on three cores, and checks that the whole script happens.
fn work(device: &'static str, script: Vec<(&'static str, &'static [&'static str])>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
    let mut record = Record::create(&folder.path().join("experiments.db")).unwrap();
    let own = lock::process_path(store.root(), "own");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(own, "").unwrap();
    let stage = |name: &str, needs: &[&str]| {
        let needs = needs.iter().map(|need| need.parse().unwrap()).collect();
        Stage { name: name.parse().unwrap(), version: 1, needs, each: None, later: false, way: Way::Worker }
    };
    let facts = WorkerFacts { libtorch: String::new(), cpu_capability: String::new(), gpu: None };
    let graph = Graph { stages: vec![stage("first", &[]), stage("second", &["first"])], facts };
    let settings = Settings {
        jobs: 3,
        threads: 1,
        threads_asked: false,
        cores: 3,
        until: None,
        dry_run: false,
        explain: false,
        keep_going: false,
        process: "own".to_owned(),
        stop: Arc::new(AtomicBool::new(false)),
    };
    let points = [Point { name: "a", device }, Point { name: "b", device: CPU }];
    let track = |plan| Track { plan, run: None, settled: false, attached: None, label: String::new() };
    let tracks = points.iter().map(|point| track(point as &dyn Plan)).collect();
    let mut watch = Patience { ticks: 0 };
    let mut launcher = Scripted { script, running: HashMap::new(), threads: BTreeMap::new() };
    let work = Work::new(&mut record, store, graph, &mut launcher, settings, tracks, &mut watch);
    assert_eq!(work.run().unwrap().ends, [End::Finished, End::Finished]);
    assert!(launcher.script.is_empty(), "{:?}", launcher.script);
}

#[test]
fn the_only_running_execution_gets_all_cores_until_others_start() {
    work(CPU, vec![("a 2, b 1", &["b"]), ("a 1, b1 1, b2 1", &["b1", "b2"]), ("a 3", &["a"])]);
}

#[test]
fn executions_on_a_gpu_keep_their_threads() {
    work("cuda", vec![("a 1, b 2", &["b"]), ("a 1, b1 1, b2 1", &["b1", "b2"]), ("a 1", &["a"])]);
}
