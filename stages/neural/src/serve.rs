//! The worker's life: takes orders one after another until its standard input ends.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use identity::observations::{Evaluation, Measured};
use serde_json::json;
use stages::files::Ids;
use stages::params::{self, Precision, Train};
use stages::protocol::{Done, Order, Reply, Request, read_frame};

use crate::card::{GPU, Loaded};
use crate::describe::{describe, peak_memory};
use crate::evaluate::{Score, score};
use crate::log::log;
use crate::model::Model;
use crate::pace::Pace;
use crate::pipe::{Pipe, SMALL_STACK};
use crate::raw;
use crate::train::{Trainer, TrainingEnd};
use crate::weights::Stored;

/// The end of standard input found nothing to do.
const EXIT_OK: i32 = 0;
/// The end of standard input, or of its sense, found an order in progress.
const EXIT_ABANDONED: i32 = 1;

/// The most threads that an order may have.
const MOST_THREADS: u32 = 4096;

/// What the thread that reads requests shares with the one that works.
#[derive(Debug, Default)]
struct RequestState {
    /// Orders that were read and are not settled.
    open: Mutex<usize>,
    /// Whether the order in progress is to end after its step; written only while `open` is locked.
    stop: AtomicBool,
    /// The newest word on threads: an order, and how many it may compute with.
    allowed: Mutex<Option<(u64, u32)>>,
}

impl RequestState {
    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With no order in progress there is nothing to stop, and the next order did not ask for it.
    fn ask_to_stop(&self) {
        let open = self.open();
        self.stop.store(*open > 0, Ordering::Relaxed);
    }

    /// An order's work is over. A stop that came too late for it must not meet the next one.
    fn settle(&self) {
        let mut open = self.open();
        *open -= 1;
        self.stop.store(false, Ordering::Relaxed);
    }

    fn allowed(&self) -> MutexGuard<'_, Option<(u64, u32)>> {
        self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads an order may compute with now: as many as it names, or more.
    fn threads(&self, order: &Order) -> usize {
        let allowed = self.allowed().filter(|(id, _)| *id == order.id).map_or(0, |(_, threads)| threads);
        granted(order.threads, allowed) as usize
    }
}

/// Threads of an order that names some and is allowed others: not fewer than it names, nor more than any can have.
fn granted(named: u32, allowed: u32) -> u32 {
    named.max(allowed.min(MOST_THREADS))
}

/// Serves orders from standard input; returns only when the parent no longer listens.
///
/// # Errors
/// When a frame can't be written.
pub(crate) fn serve(frames: File) -> Result<()> {
    raw::heed_signals();
    raw::keep_freed_memory();
    raw::flush_denormals();
    tch::set_num_interop_threads(1);
    let mut pipe = Pipe::new(frames);
    pipe.send(Reply::Hello(describe()))?;
    // After the call into libtorch by `describe`, which sets a number of its own.
    raw::use_one_openmp_thread();

    let shared = Arc::new(RequestState::default());
    let (sender, orders) = mpsc::channel();
    let reader = Arc::clone(&shared);
    let requests = thread::Builder::new().stack_size(SMALL_STACK).spawn(move || read_requests(&reader, &sender));
    requests.context("no thread could be started that reads requests")?;
    for order in orders {
        let last = answer(&order, &mut pipe, &shared);
        // Before the reply is sent: whoever reads it finds a worker without work.
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

/// Serves one order; returns the last reply to it, [`Reply::Done`] or [`Reply::Failed`].
fn answer(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Reply {
    // tch panics where it has no fallible twin; the worker has nothing that such a panic could leave half done.
    let outcome = catch_unwind(AssertUnwindSafe(|| carry_out(order, pipe, shared)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(anyhow!("BUG: {}", text.unwrap_or("a panic without a message")))
    });
    match outcome {
        Ok(done) => Reply::Done(done),
        Err(error) => {
            // libtorch's messages go on with a stack trace.
            let whole = format!("{error:#}");
            let message = whole.lines().next().unwrap_or_default().to_owned();
            log(&format!("{}: failed: {whole}", order.stage));
            let system = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
            Reply::Failed { order: order.id, message, os_error: system.and_then(std::io::Error::raw_os_error) }
        }
    }
}

fn carry_out(order: &Order, pipe: &mut Pipe, shared: &RequestState) -> Result<Done> {
    ensure!((1..=MOST_THREADS).contains(&order.threads), "an order for {} threads", order.threads);
    // Not for the CPU, whose loops have threads of their own: this call starts a pool, and where no thread can be started
    // it waits for that pool forever.
    if order.params.get("device").is_some_and(|device| device == "cuda") {
        tch::set_num_threads(i32::try_from(order.threads)?);
    }
    match order.stage.as_str() {
        "train" => train(order, pipe, shared),
        "evaluate" => evaluate(order, pipe, shared),
        other => bail!("this worker runs train and evaluate, not {other}"),
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
    log(&format!("train: {steps} steps in {seconds:.1} s, {observing:.3} s of them recording{helped}{why}"));
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
    let input = |name: &str| order.inputs.get(name).with_context(|| format!("the order has no input `{name}`"));
    let split = order.params.get("split").and_then(|split| split.as_str()).context("the order names no split")?;
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
        log(&format!("evaluate: {split}: {loss:.4} nats a token, perplexity {:.2}, in {seconds:.1} s", loss.exp()));
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
    fn an_order_has_as_many_threads_as_it_names_or_is_allowed() {
        assert_eq!([granted(2, 0), granted(2, 1), granted(2, 3), granted(2, u32::MAX)], [2, 2, 3, MOST_THREADS]);
    }
}
