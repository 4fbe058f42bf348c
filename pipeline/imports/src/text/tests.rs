//! Logs as programs print them, made up; and what a log can do to a reader.

use super::*;
use crate::report::{At, Oddity, Remark, Report, Span};

/// What a log's reader hands on, as text.
#[derive(Debug, Default, PartialEq)]
struct Told {
    reports: Vec<String>,
    remarks: Vec<String>,
}

impl Sink for Told {
    fn report(&mut self, names: &Names, report: &Report<'_>) {
        let At { step, epoch, batch } = report.at;
        let mut text = format!("{}", report.place);
        let mut add =
            |what: &str, number: Option<String>| text += &number.map_or(String::new(), |it| format!(" {what}{it}"));
        add("s", step.map(|it| it.to_string()));
        add("e", epoch.map(|it| it.to_string()));
        add("b", batch.map(|it| it.0.to_string()));
        add("of", batch.and_then(|it| it.1).map(|it| it.to_string()));
        for (series, number) in report.numbers {
            let name = names.name(*series);
            let span = match name.span {
                Span::Step => "",
                Span::SinceLast => "~",
                Span::Epoch => "*",
                Span::Steps(_) | Span::Unknown => "?",
            };
            let split = name.split.as_deref().map_or(String::new(), |split| format!("{split}|"));
            text += &format!(", {split}{}{span} {number}", name.name);
        }
        assert!(!report.voids_later);
        self.reports.push(text);
    }

    fn setting(&mut self, _name: &str, _value: serde_json::Value) {}

    fn run_name(&mut self, _name: &str) {}

    fn remark(&mut self, remark: Remark) {
        self.remarks.push(format!("{}: {}", remark.place, remark.what));
    }
}

fn tell(log: &[u8], patterns: &[&str]) -> (Result<Found, ReadError>, Told) {
    let patterns = (!patterns.is_empty()).then(|| Patterns::new(patterns).unwrap());
    let (mut names, mut told) = (Names::default(), Told::default());
    // A buffer that is shorter than a line.
    let mut input = std::io::BufReader::with_capacity(16, log);
    (read(&mut input, patterns.as_ref(), &mut names, &mut told), told)
}

/// The program that a log is of, and its reports; nothing about it is odd.
fn known(log: &str) -> (&'static str, Vec<String>) {
    let (found, told) = tell(log.as_bytes(), &[]);
    let found = found.unwrap();
    assert_eq!((told.remarks, found.unread), (Vec::<String>::new(), 0), "{log}");
    (found.program, told.reports)
}

#[test]
fn language_models_in_epochs_and_batches() {
    let log = "\
| epoch   1 |   200/  500 batches | lr 20.00 | ms/batch 12.50 | loss  7.25 | ppl  1408.10\n\
-----------------------------------------------------------\n\
| end of epoch   1 | time: 36.93s | valid loss  nan | valid ppl   nan\n\
| epoch   2 |   200/  500 batches | lr 5.00 | ms/batch 12.50 | loss  5.50 | ppl   244.69\n\
| End of training | test loss  4.50 | test ppl    90.02\n";
    let (program, reports) = known(log);
    assert_eq!(program, "word_language_model");
    assert_eq!(
        reports,
        [
            "1 e1 b200 of500, lr 20, ms/batch~ 12.5, loss~ 7.25, ppl~ 1408.1",
            "3 e1, valid loss NaN, valid ppl NaN",
            "4 e2 b200 of500, lr 5, ms/batch~ 12.5, loss~ 5.5, ppl~ 244.69",
            "5 e2 b200 of500, test loss 4.5, test ppl 90.02",
        ]
    );
    let log = log
        .replace(".10\n", ".10 | bpc 10.46\n")
        .replace(".69\n", ".69 | bpc 7.93\n")
        .replace("nan\n", "nan | valid bpc nan\n");
    assert_eq!(known(&log).0, "awd-lstm-lm");
}

#[test]
fn the_perplexity_of_the_epoch_so_far() {
    let log = "Epoch: 1 Learning rate: 1.000\n0.004 perplexity: 5775.234 speed: 1823 wps\n\
               0.104 perplexity: 841.5 speed: 2010 wps\n\
               Epoch: 1 Train Perplexity: 268.750\nEpoch: 1 Valid Perplexity: 178.125\nEpoch: 2 Learning rate: 0.500\n\
               0.004 perplexity: 210.5 speed: 1900 wps\nTest Perplexity: 115.000\n";
    let (program, reports) = known(log);
    assert_eq!(program, "TensorFlow ptb_word_lm");
    assert_eq!(
        reports,
        [
            "1 e1, lr 1",
            "2 e0.004, perplexity* 5775.234, speed* 1823",
            "3 e0.104, perplexity* 841.5, speed* 2010",
            "4 e1, Train Perplexity* 268.75",
            "5 e1, Valid Perplexity 178.125",
            "6 e2, lr 0.5",
            "7 e1.004, perplexity* 210.5, speed* 1900",
            "8 e1.004, Test Perplexity 115",
        ]
    );
}

#[test]
fn small_gpts() {
    let (program, reports) = known(
        "tokens per iteration will be: 491,520\nstep 0: train loss 10.9, val loss 10.8\n\
         iter 0: loss 10.95, time 306.5ms, mfu -100.00%\n\
         iter 10: loss nan, time 8.5ms, mfu 0.14%\n",
    );
    assert_eq!(program, "nanoGPT");
    assert_eq!(
        reports,
        [
            "2 s0, train_estimate|train loss 10.9, val loss 10.8",
            "3 s0, loss 10.95, time 306.5, mfu -100",
            "4 s10, loss NaN, time 8.5, mfu 0.14",
        ]
    );

    let (program, reports) = known("s:0 tel:11.25\ns:0 trl:11.5 lr:1.0e-06 norm:nan\ns:250 eval:0.25\n");
    assert_eq!(program, "llm.c");
    assert_eq!(reports, ["1 s0, tel 11.25", "2 s0, trl 11.5, lr 0.000001, norm NaN", "3 s250, eval 0.25"]);
    let (program, reports) = known(
        "val loss 11.03\n\
         step    1/10 | loss 11.25 (+nanz)| norm 22.5 (+nanz)| lr 8.5e-07 | 2495.5 ms | 40.3% bf16 MFU | 210102 \
         tok/s\n\
         val loss 10.5\nHellaSwag: 2504/10042 = 0.25\n",
    );
    assert_eq!(program, "llm.c");
    assert_eq!(
        reports,
        [
            "1, val loss 11.03",
            "2 s1, loss 11.25, norm 22.5, lr 0.00000085, ms 2495.5",
            "3 s1, val loss 10.5",
            "4 s1, HellaSwag 0.25",
        ]
    );

    let source = "import torch\nfor step in range(10): # step:3/10 is a comment\n\
                  \x20   print(f'step:{step}/{n} val_loss:{loss}')\n";
    let log = "step:0/620 val_loss:10.5 train_time:285ms step_avg:nanms\n\
               step:1/620 train_loss:10.25 train_time:75ms step_avg:75.5ms\n";
    let (program, reports) = known(&format!("{source}====\n{log}"));
    assert_eq!(program, "modded-nanogpt");
    assert_eq!(
        reports,
        ["5 s0, val_loss 10.5, train_time 285", "6 s1, train_loss 10.25, train_time 75, step_avg 75.5"]
    );

    let (program, reports) = known(
        "validation loss: 10.9\nHellaSwag accuracy: 250/1000=0.25\nrank 0 sample 0: Hello, I'm at step 3 of 7\n\
         step     0 | loss: 10.95 | lr 8.5e-07 | norm: 15.5 | dt: 200.5ms | tok/sec: 2,600.50\n\
         validation loss: 8.5\nstep   250 | loss: 8.25 | lr 6e-04 | norm: inf | dt: 200.5ms | tok/sec: 2600.5\n",
    );
    assert_eq!(program, "build-nanogpt");
    assert_eq!(
        reports,
        [
            "1 s0, validation loss 10.9",
            "2 s0, HellaSwag accuracy 0.25",
            "4 s0, loss 10.95, lr 0.00000085, norm 15.5, dt 200.5, tok/sec 2600.5",
            "5 s250, validation loss 8.5",
            "6 s250, loss 8.25, lr 0.0006, norm inf, dt 200.5, tok/sec 2600.5",
        ]
    );
    let (program, reports) = known("0 val 10.5\n0 hella 0.25\n0 train 10.75\n1 train 10.5\n");
    assert_eq!(program, "build-nanogpt");
    assert_eq!(reports, ["1 s0, val|loss 10.5", "2 s0, hella 0.25", "3 s0, train|loss 10.75", "4 s1, train|loss 10.5"]);

    let (program, reports) = known(
        "Step 00000 | Validation bpb: 3.25\n\
         step 00001/00020 (5.00%) | loss: nan | lrm: 1.00 | tok/sec: 22,429 | epoch: 1 pq: 0 rg: 2 | total time: \
         0.5m | eta: 3.5m\n\
         step 00002 (0.10%) | loss: 7.5 | lrm: 1.00 | tok/sec: 111 | epoch: 1 | total time: 0.5m\n\
         Minimum validation bpb: 3.25\n",
    );
    assert_eq!(program, "nanochat");
    assert_eq!(
        reports,
        [
            "1 s0, Validation bpb 3.25",
            "2 s1 e1, loss? NaN, lrm? 1, tok/sec? 22429, pq? 0, rg? 2, total time? 0.5",
            "3 s2 e1, loss? 7.5, lrm? 1, tok/sec? 111, total time? 0.5",
        ]
    );
}

#[test]
fn large_ones_with_colours_and_ranks() {
    let line = |step: u32, loss: &str| {
        format!(
            "\x1b[32m[default7]:\x1b[0m [2024-05-01 10:51:07] iteration {step:8}/  500000 | consumed \
             samples: {step}024 | learning \
             rate: 1.5E-04 | lm loss: {loss} | loss scale: 1.0 | grad norm: 0.000 | number of nan iterations:   1 |\r\n"
        )
    };
    let log = line(10, "2.5E+00")
        + &line(20, "nan")
        + " validation loss at iteration 20 | lm loss value: 2.25E+00 | lm loss PPL: 9.5E+00 |\n"
        + " validation loss at iteration 20 on test set | lm loss value: 2.0 |\n";
    let (program, reports) = known(&log);
    assert_eq!(program, "Megatron-LM");
    assert_eq!(
        reports,
        [
            "1 s10, consumed samples~ 10024, learning rate 0.00015, lm loss~ 2.5, loss scale 1, grad norm 0, \
             number of nan iterations~ 1",
            "2 s20, consumed samples~ 20024, learning rate 0.00015, lm loss~ NaN, loss scale 1, grad norm 0, \
             number of nan iterations~ 1",
            "3 s20, validation|lm loss 2.25, validation|lm loss PPL 9.5",
            "4 s20, test|lm loss 2",
        ]
    );
}

#[test]
fn translators() {
    for (log, program, expected) in [
        (
            "| epoch 001  1000 / 9000 loss=9.5 (10.75), wps=18515, lr=1.25, clip=100%, gnorm=inf\n\
             | epoch 001 | train loss 8.5 | train ppl 362 | lr 1.25\n\
             | epoch 001 | valid on 'valid' subset  10 / 20 loss=1.5\n\
             | epoch 001 | valid on 'valid' subset | valid loss 8 | valid ppl 256\n",
            "fairseq",
            &[
                "1 e1 b1000 of9000, loss 9.5, loss* 10.75, wps 18515, lr 1.25, clip 100, gnorm inf",
                "2 e1, train loss* 8.5, train ppl* 362, lr 1.25",
                "4 e1, valid|valid loss 8, valid|valid ppl 256",
            ][..],
        ),
        (
            "| epoch 001:   450 / 1891 loss=11.5, nll_loss=10.5, ppl=1886.5, num_updates=445, lr=8.5e-05, \
             gnorm=1.5, clip=0%\n\
             | epoch 001 | valid on 'valid' subset | valid_loss 8.25 | valid_ppl 118 | num_updates 600\n",
            "fairseq",
            &[
                "1 s445 e1 b450 of1891, loss* 11.5, nll_loss* 10.5, ppl* 1886.5, lr 0.000085, gnorm* 1.5, clip* 0",
                "2 s600 e1, valid|valid_loss 8.25, valid|valid_ppl 118",
            ],
        ),
        (
            "2020-10-18 02:34:53 | INFO | train_inner | epoch 001:    100 / 1975 loss=12.5, ppl=5496, \
             num_updates=100, lr=1.5, wall=54\n\
             2020-10-18 02:34:54 | INFO | train_inner | {\"epoch\": 1, \"update\": 0.25, \"loss\": \"12.25\", \
             \"num_updates\": \"200\"}\n\
             2020-10-18 02:34:55 | INFO | train | epoch 001 | loss 12 | num_updates 200 | lr 1.5\n\
             2020-10-18 02:34:56 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 11 | num_updates 200 \
             | best_loss 11\n",
            "fairseq",
            &[
                "1 s100 e1 b100 of1975, loss~ 12.5, ppl~ 5496, lr 1.5, wall 54",
                "2 s200 e1, update~ 0.25, loss~ 12.25",
                "3 s200 e1, train|loss* 12, train|lr 1.5",
                "4 s200 e1, valid|loss 11, valid|best_loss 11",
            ],
        ),
        (
            "Epoch  1,    50/  725; acc:   0.50; ppl: 128.25; xent:   4.75; 5187 src tok/s; 5634 tgt \
             tok/s;     55 s elapsed\n\
             Train perplexity: 14.5\nValidation perplexity: 11.5\nValidation accuracy: 0.5\n",
            "OpenNMT",
            &[
                "1 e1 b50 of725, acc~ 0.5, ppl~ 128.25, xent~ 4.75",
                "2 e1 b50 of725, Train perplexity? 14.5",
                "3 e1 b50 of725, Validation perplexity 11.5",
                "4 e1 b50 of725, Validation accuracy 0.5",
            ],
        ),
        (
            "[2018-09-20 15:18:39,264 INFO] Step 3800/10000; acc:  42.50; ppl: 55.25; xent: 4.0; lr: 0.0005; \
             2214/2168 tok/s;    950 sec\n\
             [2018-09-20 15:18:47,173 INFO] Validation perplexity: 56.5\n",
            "OpenNMT",
            &["1 s3800, acc~ 42.5, ppl~ 55.25, xent~ 4, lr 0.0005", "2 s3800, Validation perplexity 56.5"],
        ),
        (
            "Epoch 1 ; Iteration 10/183 ; Learning rate 1.0000 ; Source tokens/s 196 ; Perplexity 157766.75\n",
            "OpenNMT",
            &["1 e1 b10 of183, Learning rate 1, Source tokens/s* 196, Perplexity* 157766.75"],
        ),
        (
            "[2019-03-01 16:20:29] [config] clip-norm: 5\n\
             [2019-03-01 17:01:34] Ep. 2 : Up. 1,000 : Sen. 376,277 : Cost 645.5 : Time 229.5s : 11249.5 words/s \
             : L.r. 1.5e-04\n\
             [2019-03-01 17:01:34] Ep. 2 : Up. 2000 : Sen. 21,587 : Cost 0.5 * 898,943 @ 2,380 after 35,885,885 : \
             Time 111s : 8082 words/s : gNorm 0.75\n\
             [2019-03-01 17:01:42] [valid] Ep. 2 : Up. 2000 : ce-mean-words : inf : stalled 2 times (last best: 2.5)\n",
            "Marian",
            &[
                "2 s1000 e2, Cost~ 645.5, Time~ 229.5, words/s~ 11249.5, L.r. 0.00015",
                "3 s2000 e2, Cost~ 0.5, Time~ 111, words/s~ 8082, gNorm~ 0.75",
                "4 s2000 e2, valid|ce-mean-words inf",
            ],
        ),
        (
            "2021-11-23 15:19:55,585 - INFO - joeynmt.training - Epoch   1, Step:      360, Batch Loss:     4.5, \
             Batch Acc: 0.5, Lr: 0.0001\n\
             2021-11-23 15:19:55,585 - INFO - joeynmt.training - Example #0\n\
             2021-11-23 15:32:06,608 - INFO - joeynmt.training - Validation result (greedy) at epoch   1, \
             step  3600: bleu: 0.5, loss: 128.5, duration: 3.5s\n\
             2021-11-23 15:32:06,970 - INFO - joeynmt.training - Epoch   1: total training loss 14856.5\n\
             2021-11-23 15:32:06,970 - INFO - joeynmt.prediction - Evaluation result (greedy): loss: 3.5, ppl: \
             33, 2.5[sec]\n",
            "JoeyNMT",
            &[
                "1 s360 e1, Batch Loss 4.5, Batch Acc 0.5, Lr 0.0001",
                "3 s3600 e1, validation|bleu 0.5, validation|loss 128.5, validation|duration 3.5",
                "4 s3600 e1, total training loss* 14856.5",
                "5 s3600 e1, evaluation|loss 3.5, evaluation|ppl 33",
            ],
        ),
        (
            "# First evaluation, global step 0\n\
             \x20 eval dev: perplexity 17193.5, time 2s, Tue Apr 25 23:17:41 2017.\n# Start epoch 0, step 0, lr 1\n\
             \x20 global step 100 lr 1 step-time 0.5s wps 7.34K ppl nan gN 5.5 bleu 0.00, Tue Apr 25\n\
             \x20 eval dev: perplexity 12.5\n  bleu dev: 3.5\n\
             # Final, step 100 lr 1 step-time 0.5s wps 7.34K ppl 8.5 gN 5.5 dev ppl 10\n",
            "TensorFlow NMT",
            &[
                "2, dev|perplexity 17193.5",
                "4 s100, lr 1, step-time~ 0.5, ppl~ NaN, gN~ 5.5, bleu 0",
                "5 s100, dev|perplexity 12.5",
                "6 s100, dev|bleu 3.5",
            ],
        ),
    ] {
        assert_eq!(known(log), (program, expected.iter().map(|it| (*it).to_owned()).collect()));
    }
}

#[test]
fn estimators_bars_and_dicts() {
    for (log, program, expected) in [
        (
            "INFO:tensorflow:loss = 1.5, step = 54901 (116.492 sec)\nINFO:tensorflow:global_step/sec: 0.875\n\
             I0501 10:51:07.123456 140 hooks.py:260] loss = nan, step = 55001\n\
             INFO:tensorflow:Saving dict for global step 55001: accuracy = 0.5, global_step = 55001, loss = 2.5\n",
            "TensorFlow Estimator",
            &[
                "1 s54901, loss 1.5",
                "2 s54901, global_step/sec? 0.875",
                "3 s55001, loss NaN",
                "4 s55001, eval|accuracy 0.5, eval|loss 2.5",
            ][..],
        ),
        (
            "Epoch 1/2\n\
             \x20 32/895 [>......] - ETA: 1:20 - loss: 6.5 - acc: 0.5\x08\x08\r\x20895/895 [=====] - 9s 10ms/step \
             - loss: 5.5 - acc: 0.75 - val_loss: 5.0\n\
             Epoch 2/2\n895/895 [=====] - 9s 10ms/step - loss: nan - acc: 0.75 - val_loss: 5.25\n",
            "Keras",
            &[
                "2 e1 b32 of895, loss* 6.5, acc* 0.5",
                "2 e1 b895 of895, loss* 5.5, acc* 0.75, val_loss 5",
                "4 e2 b895 of895, loss* NaN, acc* 0.75, val_loss 5.25",
            ],
        ),
        (
            "Epoch 1/5\n\
             \x1b[1m469/469\x1b[0m \x1b[32m━━━━━━\x1b[0m\x1b[37m━━\x1b[0m \x1b[1m2s\x1b[0m 4ms/step - accuracy: \
             0.5 - loss: 0.25\n",
            "Keras",
            &["2 e1 b469 of469, accuracy* 0.5, loss* 0.25"],
        ),
        (
            "{'loss': 1.5, 'grad_norm': nan, 'learning_rate': 9.5e-06, 'epoch': 0.5}\n\
             \x2010%|█         | 50/500 [00:30<04:00,  1.2it/s]{'loss': '1.25', 'grad_norm': '2', \
             'learning_rate': 9e-06, 'epoch': 1.0}\n\
             {'eval_loss': 1.75, 'eval_runtime': 12.5, 'epoch': 1.0}\n\
             {'train_runtime': 100.5, 'train_loss': 1.5, 'epoch': 1.0}\n",
            "Hugging Face Trainer",
            &[
                "1 e0.5, loss~ 1.5, grad_norm NaN, learning_rate 0.0000095",
                "2 e1, loss~ 1.25, grad_norm 2, learning_rate 0.000009",
                "3 e1, eval_loss 1.75, eval_runtime 12.5",
            ],
        ),
        (
            "Epoch 0:  10%|█         | 10/100 [00:01<00:09, 10.0it/s, v_num=3, train_loss=2.5]\r\
             Epoch 0:  20%|██        | 20/100 [00:02<00:08, 10.0it/s, v_num=3, train_loss=nan]\n",
            "PyTorch Lightning",
            &["1 e0 b10 of100, train_loss? 2.5", "1 e0 b20 of100, train_loss? NaN"],
        ),
    ] {
        assert_eq!(known(log), (program, expected.iter().map(|it| (*it).to_owned()).collect()));
    }
}

#[test]
fn programs_that_are_not_known() {
    let log = "epochs: 3\nlr: 0.5\n[ Epoch 0 ]\n  - (Training)   ppl:  69.5, accuracy: 48.25 %\n\
               \x20 - (Validation) ppl:  86.5, accuracy: 20.5 %\n\
               ROMEO: 3 is a crowd\n[ Epoch 1 ]\n  - (Training)   ppl:  60.5, accuracy: 49 %\n\
               \x20 - (Validation) ppl:  nan, accuracy: 20.5 %\n\
               [ Epoch 2 ]\n  - (Training)   ppl:  50.5, accuracy: 50 %\n\
               \x20 - (Validation) ppl:  96.5, accuracy: 20.5 %\n";
    let (program, reports) = known(log);
    assert_eq!(program, PAIRS);
    assert_eq!(
        reports,
        [
            "4 e0, Training|ppl? 69.5, Training|accuracy? 48.25",
            "5 e0, Validation|ppl? 86.5, Validation|accuracy? 20.5",
            "8 e1, Training|ppl? 60.5, Training|accuracy? 49",
            "9 e1, Validation|ppl? NaN, Validation|accuracy? 20.5",
            "11 e2, Training|ppl? 50.5, Training|accuracy? 50",
            "12 e2, Validation|ppl? 96.5, Validation|accuracy? 20.5",
        ]
    );
    // Steps that are those of an epoch, the running mean in brackets, a full stop, an evaluation of the epoch.
    let log = "Epoch [1/2], Step [100/200], Loss: 2.5 (2.75).\nEpoch [1/2], Step [200/200], Loss: 2.25 (2.5).\n\
               Epoch [1/2] val loss: 3.5\n\
               Epoch [2/2], Step [100/200], Loss: inf (inf).\nEpoch [2/2], Step [200/200], Loss: 2 (2).\n\
               Epoch [2/2] val loss: 4.5\n";
    assert_eq!(
        known(log).1,
        [
            "1 e1 b100 of200, Loss 2.5, Loss* 2.75",
            "2 e1 b200 of200, Loss 2.25, Loss* 2.5",
            "3 e1, val loss? 3.5",
            "4 e2 b100 of200, Loss inf, Loss* inf",
            "5 e2 b200 of200, Loss 2, Loss* 2",
            "6 e2, val loss? 4.5",
        ]
    );
    // What is said of an epoch is said at the step that it has come to.
    let log = "epoch 1 step 10: loss=3\nepoch 1 step 20: loss=2\nepoch 2 step 30: loss=1\nepoch 2: val_loss=4\n";
    assert_eq!(known(log).1.last().unwrap(), "4 s30 e2, val_loss? 4");
}

#[test]
fn what_is_no_log_is_told_so() {
    for text in [
        "",
        "Friends, Romans, countrymen, lend me your ears\nact 3, scene 2\n",
        "step 1: do this\nstep 2: do that 3 times\nstep 3: lose 5 pounds\n",
        "lr: 0.1\nepochs: 10\nloss: 0.5\nbatch_size: 20\naccuracy: 3\n",
        "for epoch in range(10):\n    loss = 0.5\n    print(f'epoch {epoch} loss {loss}')\n",
        "python train.py --epochs 1 --loss 3\npython train.py --epochs 2 --loss 3\n\
         python train.py --epochs 3 --loss 3\n",
        "epoch 1 loss 2.5\n",
    ] {
        let (found, told) = tell(text.as_bytes(), &[]);
        assert!(matches!(found, Err(ReadError::Format(_))), "{text}");
        assert_eq!(told, Told::default(), "{text}");
    }
    // A dict at the end makes no log of another program's.
    let own: String = (0..20).map(|step| format!("step {step} loss {}.5\n", 30 - step)).collect();
    let (program, reports) = known(&(own + "{'eval_loss': 2.5}\n"));
    assert_eq!((program, reports.len()), (PAIRS, 20));
    // And a training's log stays one behind any amount of other text.
    let long = "the loss of 3 steps\n".repeat(100_000) + "iter 7: loss 2.5, time 3ms, mfu 1.00%\n";
    assert_eq!(known(&long), ("nanoGPT", vec!["100001 s7, loss 2.5, time 3, mfu 1".to_owned()]));
}

#[test]
fn a_second_run_is_told_of() {
    let line = |step: u32| format!("iter {step}: loss 2.5, time 3ms, mfu 1.00%\n");
    let log: String = [0, 10, 20, 20, 10, 20, 30].map(line).concat();
    let (found, told) = tell(log.as_bytes(), &[]);
    assert_eq!(found.unwrap(), Found { program: "nanoGPT", lines: 7, unread: 0 });
    assert_eq!(told.remarks, ["5: goes back from step 20 to step 10: another run begins here, or the same one again"]);
    assert_eq!(told.reports.len(), 7);
}

#[test]
fn lines_that_look_like_reports_are_counted() {
    let mut log = "iter 0: loss 2.5, time 3ms, mfu 1.00%\n".to_owned();
    log += &"[step 7] a loss of: 2.5, acc 3\nstep 7 test loss 2.5\nsome text with loss 2.5\n".repeat(4);
    let (found, told) = tell(log.as_bytes(), &[]);
    assert_eq!(found.unwrap(), Found { program: "nanoGPT", lines: 1, unread: 8 });
    assert_eq!(told.remarks.len(), 5);
    assert_eq!(told.remarks[1], "3: looks like a report, but was not understood: step 7 test loss 2.5");
}

#[test]
fn a_users_patterns_are_all_that_is_read() {
    let patterns = [r"^Epoch (?<epoch>\d+)", r"it (?<step>\S+) L=(?<loss>\S+)", r"dev (?<dev_loss>\S+)"];
    let log = "iter 0: loss 2.5, time 3ms, mfu 1.00%\nEpoch 3\nit 1,000 L=2.5.\nit 1.5 L=2\nit 1001 L=many\ndev NaN\n";
    let (found, told) = tell(log.as_bytes(), &patterns);
    assert_eq!(found.unwrap(), Found { program: PATTERN, lines: 3, unread: 1 });
    assert_eq!(told.reports, ["3 s1000 e3, loss? 2.5", "4 s1000 e3, loss? 2", "6 s1001 e3, dev_loss? NaN"]);
    assert_eq!(told.remarks, ["4: \"1.5\" is no step that can be counted", "5: \"many\" is no number for \"loss\"",]);
    let (found, _) = tell(b"it 1\n", &patterns[1..2]);
    assert_eq!(found.unwrap_err().to_string(), "no line matches the pattern and has a number in its groups");
}

#[test]
fn counters_may_be_too_large_or_odd() {
    for (step, told_at) in [
        ("9223372036854775807", " s9223372036854775807"),
        ("99999999999999999999", ""),
        ("-1", " s-1"),
        ("7.0", " s7"),
        ("7.5", ""),
    ] {
        let (_, told) = tell(format!("it {step} L=2\n").as_bytes(), &[r"it (?<step>\S+) L=(?<loss>\S+)"]);
        assert_eq!(told.reports, [format!("1{told_at}, loss? 2")], "{step}");
        assert_eq!(told.remarks.len(), usize::from(told_at.is_empty()), "{step}");
    }
}

/// Logs of several sorts, for what may happen to any.
fn logs() -> [String; 5] {
    [
        "validation loss: 10.9\nstep 0 | loss: 10.95 | lr 8.5e-07 | norm: 15.5 | dt: 200.5ms\n\
         step 1 | loss: nan | lr 8.5e-07 | norm: inf | dt: 9ms\n",
        "noise\n| epoch   1 |   200/  500 batches | lr 20.00 | ms/batch 12.50 | loss  7.25 | ppl  1408.10\n\
         | epoch   1 |   400/  500 batches | lr 20.00 | ms/batch 12.50 | loss  6.25 | ppl   518.01\n\
         | end of epoch   1 | time: 36.93s | valid loss  5.53\n",
        "{'loss': 1.5, 'grad_norm': nan, 'epoch': 0.5}\n{'loss': 1.25, 'grad_norm': 1.5, 'epoch': 1.0}\n\
         {'eval_loss': 1.75, 'epoch': 1.0}\n",
        "epoch 1: loss 2.50\nepoch 2: loss 2.25\nepoch 3: loss inf\nepoch 4: loss 2.25\n",
        "Epoch 1/2\n895/895 [=====] - 9s - loss: 5.5 - acc: 0.75\nEpoch 2/2\n\
         895/895 [=====] - 9s - loss: 5.5 - acc: 0.75\n",
    ]
    .map(str::to_owned)
}

#[test]
fn a_log_that_is_cut_off_anywhere_says_no_number_that_it_did_not_say() {
    for log in logs() {
        let (_, whole) = tell(log.as_bytes(), &[]);
        for length in 0..log.len() {
            let (_, cut) = tell(&log.as_bytes()[..length], &[]);
            let same = cut.reports.iter().zip(&whole.reports).all(|(cut, whole)| cut == whole);
            // What waits for a step that never comes has none.
            let waits = cut.reports == ["1, validation loss 10.9"];
            assert!((same && cut.reports.len() <= whole.reports.len()) || waits, "{:?}\n{:?}", &log[..length], cut);
        }
    }
    // A line without a newline is read where it has all that the one before it had.
    let log = "iter 1: loss 2.5125, time 3ms, mfu 1.00%\niter 2: loss 2.5125, time 3ms, mfu 1.00%";
    assert_eq!(tell(log.as_bytes(), &[]).1.reports.len(), 2);
    let (found, told) = tell(&log.as_bytes()[..log.len() - 1], &[]);
    assert_eq!((found.unwrap().lines, told.reports.len()), (1, 1));
    assert_eq!(told.remarks, [format!("2: {}", Oddity::Truncated)]);
}

#[test]
fn no_damage_makes_it_panic() {
    for log in logs() {
        for at in 0..log.len() {
            for byte in [0, b'\n', b'9', b'.', b',', b'-', b'\x1b', 0x80, 0xff] {
                let mut damaged = log.clone().into_bytes();
                damaged[at] = byte;
                let _ = tell(&damaged, &[]);
                let _ = tell(&damaged, &[r"(?<loss>\S+)", r"(?<step>.)(?<epoch>.)?"]);
            }
        }
    }
}
