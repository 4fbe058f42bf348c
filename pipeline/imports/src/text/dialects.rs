//! The programs whose logs are known, and what their lines look like.
//!
//! A line is written as a template: a regular expression in which `<name>` stands for a number, and a space for any
//! number of spaces and tabs. `<step>`, `<epoch>`, `<batch>` and `<batches>` say where in the training the line is,
//! `<fraction>` how much of the epoch has passed, and `<_>` is a number that isn't imported. `<split>` and `<name>
//! <value>` are words of the line. A template that doesn't begin with `^` is found behind whatever a logger or a
//! launcher puts before it.
//!
//! Where a program prints other numbers from one version to the next, the template ends where that begins, and the
//! line's pairs of names and numbers are read ([`super::scan`]). What the numbers are means of is from the programs'
//! sources.

use crate::report::Span;

/// One kind of line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) text: &'static str,
    /// The split that the line speaks of.
    pub(crate) split: Option<&'static str>,
    /// A number of the line that is of a split of its own.
    split_of: Option<(&'static str, &'static str)>,
    span: Span,
    /// Numbers of one step among others that are means.
    of_step: &'static [&'static str],
    /// Whether pairs follow.
    pub(crate) pairs: bool,
    /// Whether it decides nothing: other programs print such lines, too, or it does not say where it is.
    pub(crate) weak: bool,
    /// Whether lines that count no epoch are of this line's, as below `Epoch 3/10`.
    pub(crate) heading: bool,
    /// Whether it says of the step that the next line reports, and not of the one before.
    pub(crate) of_next: bool,
    /// Whether it is no report: a summary of what was reported already.
    pub(crate) skipped: bool,
    /// What its names end with beyond their series' names.
    pub(crate) without: &'static str,
}

impl Line {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self {
            text,
            split: None,
            split_of: None,
            span: Span::Unknown,
            of_step: &[],
            pairs: false,
            weak: false,
            heading: false,
            of_next: false,
            skipped: false,
            without: "\0",
        }
    }

    /// The mean since the line before it, but for these numbers.
    const fn since_last(mut self, of_step: &'static [&'static str]) -> Self {
        (self.span, self.of_step) = (Span::SinceLast, of_step);
        self
    }

    /// The mean over the epoch so far, but for these numbers.
    const fn of_epoch(mut self, of_step: &'static [&'static str]) -> Self {
        (self.span, self.of_step) = (Span::Epoch, of_step);
        self
    }

    /// Numbers of one step, or of the model at one step.
    const fn of_step(mut self) -> Self {
        self.span = Span::Step;
        self
    }

    const fn split(mut self, split: &'static str) -> Self {
        self.split = Some(split);
        self
    }

    const fn split_of(mut self, name: &'static str, split: &'static str) -> Self {
        self.split_of = Some((name, split));
        self
    }

    pub(crate) const fn pairs(mut self) -> Self {
        self.pairs = true;
        self
    }

    const fn weak(mut self) -> Self {
        self.weak = true;
        self
    }

    pub(crate) const fn heading(mut self) -> Self {
        self.heading = true;
        self
    }

    const fn of_next(mut self) -> Self {
        self.of_next = true;
        self
    }

    const fn skipped(mut self) -> Self {
        self.skipped = true;
        self
    }

    const fn without(mut self, end: &'static str) -> Self {
        self.without = end;
        self
    }

    /// The split of a number of the line, which may have a word for it.
    pub(crate) fn split_for<'l>(&self, name: &str, word: Option<&'l str>) -> Option<&'l str> {
        self.split_of.filter(|(of, _)| *of == name).map(|(_, split)| split).or(word).or(self.split)
    }

    /// Over what a number of the line is taken.
    pub(crate) fn span_of(&self, name: &str) -> Span {
        let begins = |with: &&str| name.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
        let rate = RATES.iter().any(|rate| rate.eq_ignore_ascii_case(name));
        if self.of_step.contains(&name) || (self.span != Span::Unknown && (rate || HELD_OUT.iter().any(begins))) {
            return Span::Step;
        }
        self.span
    }
}

/// Never means, whatever else a line says.
const RATES: &[&str] = &["lr", "l.r.", "learning rate", "learning_rate", "loss scale", "loss_scale"];

/// How names of what was measured on held-out text begin: by one model, not by those of an epoch.
const HELD_OUT: &[&str] = &["val_", "val ", "val/", "valid", "eval_", "eval/", "test_", "test ", "dev_", "dev "];

/// A program, or several that print alike.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// A short name of it.
    pub(crate) name: &'static str,
    pub(crate) lines: &'static [Line],
}

const fn line(text: &'static str) -> Line {
    Line::new(text)
}

/// All that are known. A log is taken for one of the program most of its lines are of; of two, for that named first.
pub(crate) const DIALECTS: &[Dialect] = &[
    // github.com/salesforce/awd-lstm-lm main.py: word_language_model's lines with bits per character.
    Dialect {
        name: "awd-lstm-lm",
        lines: &[
            line(concat!(
                r"\| epoch <epoch> \| <batch>/ ?<batches> batches \| lr <lr> \| ms/batch <ms/batch> \| loss <loss>",
                r" \| ppl <ppl> \| bpc <bpc>"
            ))
            .since_last(&[]),
            line(concat!(
                r"\| end of epoch <epoch> \| time: <_>s \| valid loss <valid loss> \| valid ppl <valid ppl>",
                r" \| valid bpc <valid bpc>"
            ))
            .of_step(),
            line(r"\| End of training \| test loss <test loss> \| test ppl <test ppl> \| test bpc <test bpc>")
                .of_step()
                .weak(),
        ],
    },
    // github.com/pytorch/examples word_language_model/main.py.
    Dialect {
        name: "word_language_model",
        lines: &[
            line(concat!(
                r"\| epoch <epoch> \| <batch>/ ?<batches> batches \| lr <lr> \| ms/batch <ms/batch> \| loss <loss>",
                r"(?: \| ppl <ppl>)?"
            ))
            .since_last(&[]),
            line(r"\| end of epoch <epoch> \| time: <_>s \| valid loss <valid loss>(?: \| valid ppl <valid ppl>)?")
                .of_step(),
            line(r"\| End of training \| test loss <test loss>(?: \| test ppl <test ppl>)?").of_step().weak(),
        ],
    },
    // github.com/tensorflow/models tutorials/rnn/ptb/ptb_word_lm.py; the perplexity is that of the epoch so far.
    Dialect {
        name: "TensorFlow ptb_word_lm",
        lines: &[
            line(r"Epoch: <epoch> Learning rate: <lr>").of_step().heading(),
            line(r"^ *<fraction> perplexity: <perplexity> speed: <speed> wps").of_epoch(&[]),
            line(r"Epoch: <epoch>(?:/<_>)? Train Perplexity: <Train Perplexity>").of_epoch(&[]),
            line(r"Epoch: <epoch>(?:/<_>)? Valid Perplexity: <Valid Perplexity>").of_step(),
            line(r"^ *Test Perplexity: <Test Perplexity>").of_step().weak(),
        ],
    },
    // github.com/karpathy/nanoGPT train.py: both losses of `step` are estimates over some batches of that split, the
    // loss of
    // `iter` is that of the last micro-batch.
    Dialect {
        name: "nanoGPT",
        lines: &[
            line(r"iter <step>: loss <loss>, time <time>ms(?:, mfu <mfu>%)?").of_step(),
            line(r"step <step>: train loss <train loss>, val loss <val loss>$")
                .of_step()
                .split_of("train loss", "train_estimate"),
        ],
    },
    // github.com/karpathy/llm.c: llmc/logger.h, and the standard output of train_gpt2.cu and train_gpt2.c.
    Dialect {
        name: "llm.c",
        lines: &[
            line(r"^s:<step> trl:<trl>(?: lr:<lr>)?(?: norm:<norm>)?").of_step(),
            line(r"^s:<step> tel:<tel>").of_step(),
            line(r"^s:<step> eval:<eval>").of_step(),
            line(concat!(
                r"step <step>/<_> \| (?:train )?loss <loss>(?: \([^)]*\))?(?: ?\| norm <norm>(?: \([^)]*\))?)?",
                r"(?: ?\| lr <lr>)?(?: ?\| <ms> ms)?"
            ))
            .of_step(),
            line(r"step <step>: train loss <train loss> \(took <_> ms\)").of_step(),
            line(r"^val loss <val loss>$").of_step().weak(),
            line(r"^HellaSwag: <_>/<_> = <HellaSwag>").of_step().weak(),
        ],
    },
    // github.com/KellerJordan/modded-nanogpt; the program's source stands before.
    Dialect {
        name: "modded-nanogpt",
        lines: &[line(r"step:<step>/<_> (?:\| )?(?:train_loss|val_loss|train_time|loss)").of_step().pairs()],
    },
    // github.com/karpathy/build-nanogpt train_gpt2.py: standard output, where evaluations stand before their step, and
    // log/log.txt.
    Dialect {
        name: "build-nanogpt",
        lines: &[
            line(r"step <step> \| loss: <loss>(?: \| lr <lr>)? \| norm: <norm>").of_step().pairs(),
            line(r"^<step> train <loss>$").of_step().split("train"),
            line(r"^<step> val <loss>$").of_step().split("val"),
            line(r"^<step> hella <hella>$").of_step(),
            line(r"^validation loss: <validation loss>$").of_step().weak().of_next(),
            line(r"^HellaSwag accuracy: <_>/<_>=<HellaSwag accuracy>").of_step().weak().of_next(),
        ],
    },
    // github.com/karpathy/nanochat scripts/*.py. The loss is a moving mean with weights that fall by a tenth a step.
    Dialect {
        name: "nanochat",
        lines: &[
            line(r"step <step>(?:/<_>)? \(<_>%\) ?\|").pairs(),
            line(r"Step <step>(?:/<_>)? ?\| (?:Validation|CORE metric|ChatCORE|mmlu_acc|Training loss|Average reward)")
                .of_step()
                .pairs(),
        ],
    },
    // github.com/NVIDIA/Megatron-LM training.py, and its forks. The losses are means over the interval.
    Dialect {
        name: "Megatron-LM",
        lines: &[
            line(r"iteration <step>/ ?<_> \|").since_last(MEGATRON).pairs(),
            line(r"validation loss at iteration <step> on <split> set \|").of_step().pairs().without(" value"),
            line(r"<split> loss at iteration <step> \|").of_step().pairs().without(" value"),
            line(r"validation loss at the end of training for <split> data \|")
                .of_step()
                .pairs()
                .weak()
                .without(" value"),
        ],
    },
    // github.com/facebookresearch/fairseq progress_bar.py. Up to 0.5 the loss of a batch with the epoch's running mean
    // in brackets, up to 0.9 means over the epoch so far, then means over the interval.
    Dialect {
        name: "fairseq",
        lines: &[
            line(r"\| train_inner \| epoch <epoch>: <batch> / <batches>").since_last(FAIRSEQ).pairs(),
            line(r"\| train_inner \| \{").since_last(FAIRSEQ).pairs(),
            line(r"\| train \| epoch <epoch> \|").of_epoch(FAIRSEQ).split("train").pairs(),
            line(r"\| (?:train|valid) \| \{").of_epoch(FAIRSEQ).pairs(),
            line(r"\| epoch <epoch> \| valid on '<split>' subset \|").of_step().pairs(),
            line(r"\| epoch <epoch> \| valid on '<split>' subset:? <_>(?: /|%)").skipped(),
            line(r"\| epoch <epoch>: <batch> / <batches> ").of_epoch(FAIRSEQ).pairs(),
            line(r"\| epoch <epoch> <batch> / <batches> ").of_step().pairs(),
            line(r"\| epoch <epoch> \| (?:train |valid )?(?:loss|nll_loss) ").of_epoch(FAIRSEQ).pairs(),
        ],
    },
    // github.com/OpenNMT/OpenNMT-py onmt/utils/statistics.py, before and since steps replaced epochs; and the Lua
    // program before it, which prints the mean over the epoch so far.
    Dialect {
        name: "OpenNMT",
        lines: &[
            line(r"Epoch <epoch> ; Iteration <batch>/<batches> ;").of_epoch(&[]).pairs(),
            line(r"Epoch <epoch>, <batch>/ ?<batches>; acc: <acc>;").since_last(&[]).pairs(),
            line(r"Step <step>(?:/ ?<_>)?; (?:acc|sents)").since_last(&[]).pairs(),
            line(r"Validation perplexity: <Validation perplexity>").of_step().weak(),
            line(r"Validation accuracy: <Validation accuracy>").of_step().weak(),
            line(r"Train perplexity: <Train perplexity>").weak(),
            line(r"Train accuracy: <Train accuracy>").weak(),
        ],
    },
    // github.com/marian-nmt/marian-dev src/training/scheduler.h.
    Dialect {
        name: "Marian",
        lines: &[
            line(concat!(
                r"Ep\. <epoch> : Up\. <step> : Sen\. <_> : Cost <Cost>(?: \* <_>)?(?: @ <_>)?(?: after <_>)?",
                r" : Time <Time>s : <words/s> words/s(?: : gNorm <gNorm>)?(?: : L\.r\. <L.r.>)?"
            ))
            .since_last(&[]),
            line(r"\[valid\] Ep\. <epoch> : Up\. <step> : <name> : <value> :").of_step().split("valid"),
        ],
    },
    // github.com/joeynmt/joeynmt training.py: the loss of one batch.
    Dialect {
        name: "JoeyNMT",
        lines: &[
            line(r"Epoch <epoch>,? Step: <step>,? Batch Loss: <Batch Loss>").of_step().pairs(),
            line(r"Validation result (?:\([a-z\x20]+\) )?at epoch <epoch>, step <step>:")
                .of_step()
                .split("validation")
                .pairs(),
            line(r"Evaluation result \([a-z\x20]+\):").of_step().split("evaluation").pairs().weak(),
            line(r"Epoch <epoch>: total training loss <total training loss>").of_epoch(&[]).weak(),
        ],
    },
    // tensorflow/python/training/basic_session_run_hooks.py and estimator.py: the loss of one batch.
    Dialect {
        name: "TensorFlow Estimator",
        lines: &[
            line(r"loss = <loss>, step = <step>").of_step().pairs(),
            line(r"step = <step>, loss = <loss>").of_step(),
            line(r"Saving dict for global step <step>:").of_step().split("eval").pairs(),
            line(r"global_step/sec: <global_step/sec>").weak(),
        ],
    },
    // github.com/tensorflow/nmt nmt/train.py.
    Dialect {
        name: "TensorFlow NMT",
        lines: &[
            line(concat!(
                r"^ *(?:global )?step <step> lr <lr> step-time <step-time>s? wps <_>K ppl <ppl>",
                r"(?: gN <gN>)?(?: bleu <bleu>)?"
            ))
            .since_last(&["bleu"]),
            line(r"^# (?:Final|Best [a-z0-9_]+), step <_> ").skipped(),
            line(r"^ *eval <split>: perplexity <perplexity>").of_step().weak(),
            line(r"^ *bleu <split>: <bleu>").of_step().weak(),
        ],
    },
    // keras/src/utils/progbar.py, of all versions: means over the epoch so far, below a heading.
    Dialect {
        name: "Keras",
        lines: &[
            line(r"^Epoch <epoch>/<_> *$").heading().weak(),
            line(r"^ *<batch>/<batches> \[[=>.]+\] - ").of_epoch(&[]).pairs(),
            line(r"^ *<batch>/<batches> (?:\xE2\x94[\x80\x81])+ ").of_epoch(&[]).pairs(),
            line(r"^ *<batch>/<batches> - <_>s - ").of_epoch(&[]).pairs(),
            line(r"^ *- <_>s(?: <_>[mu]?s/[a-z]+)? - ").of_epoch(&[]).pairs().weak(),
        ],
    },
    // transformers/trainer_callback.py PrinterCallback: a Python dict. The loss is the mean since the last one; the
    // dict with the run time at the end holds means over the run.
    Dialect {
        name: "Hugging Face Trainer",
        lines: &[
            line(r"^(?:[^{]*[\]>] ?)?\{'train_runtime': ").skipped(),
            line(r"^(?:[^{]*[\]>] ?)?\{'(?:loss|grad_norm|learning_rate|(?:eval|test)_[A-Za-z0-9_]+)': ")
                .since_last(&["grad_norm", "epoch"])
                .pairs(),
        ],
    },
    // tqdm's bar with what Lightning puts behind it.
    Dialect {
        name: "PyTorch Lightning",
        lines: &[line(r"Epoch <epoch>: [^|]{0,8}\|[^|]*\| <batch>/<batches> \[[^\]]*=").pairs()],
    },
];

/// Of Megatron's numbers, those that are not means.
const MEGATRON: &[&str] = &["global batch size", "grad norm", "num zeros", "params norm"];

/// Of fairseq's numbers, those that are not means.
const FAIRSEQ: &[&str] = &["num_updates", "wall", "train_wall", "loss_scale", "best_loss", "lr"];

#[cfg(test)]
mod tests {
    use super::super::pattern::{self, Pattern};
    use super::*;

    #[test]
    fn every_template_is_a_pattern_and_every_program_has_a_line_that_tells_it() {
        for dialect in DIALECTS {
            assert!(dialect.lines.iter().any(|line| !line.weak), "{}", dialect.name);
            for line in dialect.lines {
                let pattern = Pattern::of_line(*line).unwrap();
                let captures = line.text.matches('<').count() - line.text.matches("<_>").count();
                assert_eq!(pattern.locations().len(), captures + 1, "{}", line.text);
            }
        }
        pattern::set(DIALECTS.iter().flat_map(|dialect| dialect.lines)).unwrap();
        // The dialects of a line are the bits of a number.
        assert!(DIALECTS.len() <= 64);
    }
}
