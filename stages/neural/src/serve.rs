//! The worker's main loop: carries out orders one after another until standard input ends.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use identity::observations::{Evaluation, Measured};
use serde_json::json;
use stages::files::Ids;
use stages::params::{self, Precision, Train};
use stages::protocol::{Done, Order, Reply, Request, read_frame};

use crate::card::{GPU, Loaded};
use crate::describe::{describe, peak_memory};
use crate::evaluate::{Score, score};
use crate::failure::{NeuralError, Result, WithName as _, ensure};
use crate::log::log;
use crate::model::Model;
use crate::pace::Pace;
use crate::pipe::{Pipe, SMALL_STACK};
use crate::raw;
use crate::train::{Trainer, TrainingEnd};
use crate::weights::Stored;

/// The exit code if standard input ends with no order in progress.
const EXIT_OK: i32 = 0;
/// The exit code if standard input ends with an order in progress, or can't be read.
const EXIT_ABANDONED: i32 = 1;

/// The most threads that an order may have.
const MOST_THREADS: u32 = 4096;

/// What the thread that reads requests shares with the thread that works.
#[derive(Debug, Default)]
struct RequestState {
    /// The number of orders that are read but not yet finished.
    open: Mutex<usize>,
    /// Whether the order in progress must end after its current step. It is written only while `open` is locked.
    stop: AtomicBool,
    /// The latest request about threads: an order, and how many threads it may use.
    allowed: Mutex<Option<(u64, u32)>>,
}

impl RequestState {
    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a stop, unless no order is in progress: the request would then stop the next order.
    fn ask_to_stop(&self) {
        let open = self.open();
        self.stop.store(*open > 0, Ordering::Relaxed);
    }

    /// Marks an order as finished. A request to stop that came too late for it must not stop the next one.
    fn settle(&self) {
        let mut open = self.open();
        *open -= 1;
        self.stop.store(false, Ordering::Relaxed);
    }

    fn allowed(&self) -> MutexGuard<'_, Option<(u64, u32)>> {
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads an order may use now: as many as it names, or more.
    fn threads(&self, order: &Order) -> usize {
        let allowed = self.allowed().filter(|(id, _)| *id == order.id).map_or(0, |(_, threads)| threads);
        granted(order.threads, allowed) as usize
    }
}

/// The number of threads of an order: as many as it is allowed, up to [`MOST_THREADS`], and at least as many as it
/// names.
fn granted(named: u32, allowed: u32) -> u32 {
    named.max(allowed.min(MOST_THREADS))
}

/// Serves orders from standard input; returns only when the parent no longer listens.
///
/// # Errors
/// If a frame can't be written.
pub(crate) fn serve(frames: File) -> Result<()> {
    raw::heed_signals();
    raw::keep_freed_memory();
    raw::flush_denormals();
    tch::set_num_interop_threads(1);
    let mut pipe = Pipe::new(frames);
    pipe.send(Reply::Hello(describe()))?;
    // After `describe`, whose call into libtorch sets a number of threads itself.
    raw::use_one_openmp_thread();

    let shared = Arc::new(RequestState::default());
    let (sender, orders) = mpsc::channel();
    let reader = Arc::clone(&shared);
    let requests = thread::Builder::new().stack_size(SMALL_STACK).spawn(move || read_requests(&reader, &sender));
    requests.of("can't start the thread that reads requests")?;
    for order in orders {
        let last = answer(&order, &mut pipe, &shared);
        // This comes before the reply, so that the parent finds the worker idle when it reads the reply.
        shared.settle();
        pipe.send(last)?;
    }
    Ok(())
}

/// Reads requests until the parent is gone, and then ends the process at once, whatever it is doing.
fn read_requests(shared: &RequestState, orders: &mpsc::Sender<Box<Order>>) {
    let mut input = std::io::stdin().lock();
    loop {
        match read_frame::<Request>(&mut input) {
            Ok(Some(Request::Order(order))) => {
                *shared.open() += 1;
                if orders.send(order).is_err() {
                    return;
                }
            }
            Ok(Some(Request::Stop)) => shared.ask_to_stop(),
            Ok(Some(Request::Threads { order, threads })) => *shared.allowed() = Some((order, threads)),
            Ok(None) => raw::exit_now(if *shared.open() > 0 { EXIT_ABANDONED } else { EXIT_OK }),
            Err(error) => {
                log(&format!("error: standard input: {error}"));
                raw::exit_now(EXIT_ABANDONED);
            }
        }
    }
}

/// Serves one order; returns its final reply, [`Reply::Done`] or [`Reply::Failed`].
fn answer(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Reply {
    // tch panics where it has no function that returns an error. After such a panic the worker can take another order.
    let outcome = catch_unwind(AssertUnwindSafe(|| carry_out(order, pipe, shared)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("BUG: {}", text.unwrap_or("a panic without a message")).into())
    });
    match outcome {
        Ok(done) => Reply::Done(done),
        Err(error) => {
            // libtorch appends a stack trace to its messages.
            let whole = error.to_string();
            let message = whole.lines().next().unwrap_or_default().to_owned();
            log(&format!("{}: failed: {whole}", order.stage));
            Reply::Failed { order: order.id, message, os_error: error.os_error() }
        }
    }
}

fn carry_out(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Result<Done> {
    ensure!(
        (1..=MOST_THREADS).contains(&order.threads),
        "the job asks for {} threads; allowed: 1 to {MOST_THREADS}",
        order.threads
    );
    // The loops of the CPU start their own threads and don't need this call, which starts a pool of threads and waits
    // forever if none can be started.
    if order.params.get("device").is_some_and(|device| device == "cuda") {
        tch::set_num_threads(i32::try_from(order.threads)?);
    }
    match order.stage.as_str() {
        "train" => train(order, pipe, shared),
        "evaluate" => evaluate(order, pipe, shared),
        other => Err(format!("this worker runs train and evaluate, not {other}").into()),
    }
}

fn train(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Result<Done> {
    let Train { precision, .. } = params::read("train", &order.params)?;
    match precision {
        Precision::F64 => train_in::<f64>(order, pipe, shared),
        Precision::F32 | Precision::Bf16 => train_in::<f32>(order, pipe, shared),
    }
}

fn train_in<T: Stored>(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Result<Done> {
    let (begun, spent_before) = (Instant::now(), pipe.spent);
    let mut training = Trainer::<T>::open(order)?;
    log(&training.summary());
    let from = training.from();
    let allowed = || shared.threads(order);
    let TrainingEnd { reached, stopped } = training.run(&mut |reply| Ok(pipe.send(reply)?), &shared.stop, &allowed)?;
    let (seconds, observing) = (begun.elapsed().as_secs_f64(), (pipe.spent - spent_before).as_secs_f64());
    let steps = reached - from;
    let why = if stopped { ", stopped on request" } else { "" };
    let threads = training.most_threads();
    let helped = if threads > order.threads as usize { format!(", up to {threads} threads") } else { String::new() };
    log(&format!("train: {steps} steps in {seconds:.1} s, including {observing:.3} s of recording{helped}{why}"));
    Ok(Done {
        order: order.id,
        reached: Some(reached),
        stopped,
        peak_memory: peak_memory(),
        report: json!({
            "steps": steps, "seconds": seconds, "observe_seconds": observing, "phases": training.phases(),
            "threads": threads,
        }),
    })
}

fn evaluate(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Result<Done> {
    let begun = Instant::now();
    let input =
        |name: &str| order.inputs.get(name).ok_or_else(|| NeuralError::from(format!("the job has no input `{name}`")));
    let split = order.params.get("split").and_then(|split| split.as_str()).ok_or("the job names no split")?;
    let model = Model::load(input("weights")?)?;
    let ids = Ids::open(input("ids")?)?;
    let id = order.id;
    log(&format!("evaluate: {split}, {} tokens, {} types", ids.len(), model.shape.vocab));
    let progress = |done, whole| Ok(pipe.send(Reply::Progress { order: id, done, whole })?);
    let (mut pace, mut since) = (Pace::new(order.threads as usize), None::<Instant>);
    let mut threads = || {
        if let Some(since) = since.replace(Instant::now()) {
            pace.took(since.elapsed().as_secs_f64());
        }
        pace.threads(shared.threads(order))
    };
    let found = match order.params.get("device").and_then(|device| device.as_str()) {
        Some("cuda") => Loaded::new(&model, true, GPU)?.score(&ids, &shared.stop, progress)?,
        _ => score(&model, &ids, &mut threads, &shared.stop, progress)?,
    };
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(Score { loss, tokens }) = found {
        log(&format!("evaluate: {split}: {loss:.4} nats per token, perplexity {:.2}, in {seconds:.1} s", loss.exp()));
        let (split, loss) = (split.to_owned(), Measured(loss));
        pipe.send(Reply::Evaluation(Evaluation { split, step: None, loss, tokens, seconds }))?;
    }
    let (peak_memory, report) = (peak_memory(), json!({ "seconds": seconds, "threads": pace.most() }));
    Ok(Done { order: id, reached: None, stopped: found.is_none(), peak_memory, report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_gets_as_many_threads_as_it_names_or_more_if_allowed() {
        assert_eq!([granted(2, 0), granted(2, 1), granted(2, 3), granted(2, u32::MAX)], [2, 2, 3, MOST_THREADS]);
    }
}
