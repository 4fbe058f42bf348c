//! The words of the commands that draw: `plot`, `report`, `dag`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use chart::Quantity;
use chart::svg::Shade;

/// Draw curves of runs as SVG or PNG, for papers
///
/// A line a run over a band from the least to the greatest value of neighbouring steps, so that no spike is averaged away;
/// dashed lines for what counting comes to on the same corpus; a triangle where a verdict says that it began, crosses where
/// there was no number. Without --log-y a loss that rises far above where all began leaves the picture, which its label says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline plot run42 run57 -o loss.svg
  pipeline plot study:lr_study --log-y -o loss.png
  pipeline plot study:lr_study --what grad_norm --width 640 --height 320 -o norms.svg")]
pub struct PlotArgs {
    /// Runs: run42, 42, latest, study:NAME or an earlier study:NAME@NUMBER
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// The file, .svg or .png; - writes SVG to standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// What is drawn
    #[arg(long, value_enum, default_value_t = What::Loss)]
    pub what: What,
    /// A logarithmic axis
    #[arg(long)]
    pub log_y: bool,
    /// Width; PNG has two pixels for each unit
    #[arg(long, value_name = "N", default_value_t = 860, value_parser = clap::value_parser!(u32).range(240..=8000))]
    pub width: u32,
    /// Height
    #[arg(long, value_name = "N", default_value_t = 440, value_parser = clap::value_parser!(u32).range(160..=8000))]
    pub height: u32,
    /// The ground
    #[arg(long, value_enum, default_value_t = Theme::Light)]
    pub theme: Theme,
}

/// What can be drawn, named as its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum What {
    /// Training loss
    Loss,
    /// Loss on valid, by checkpoint
    Valid,
    /// Gradient norm before clipping
    GradNorm,
    /// Size of the update over that of the weights
    UpdateRatio,
    /// Overshoot ratio: below 0 a step raised its own loss
    Overshoot,
    /// Largest logit
    LogitMax,
    /// Mean entropy of the predictions
    Entropy,
    /// Estimate of the largest curvature
    Sharpness,
    /// Learning rate
    LearningRate,
}

impl From<What> for Quantity {
    fn from(what: What) -> Self {
        match what {
            What::Loss => Self::Loss,
            What::Valid => Self::Valid,
            What::GradNorm => Self::GradNorm,
            What::UpdateRatio => Self::UpdateRatio,
            What::Overshoot => Self::Overshoot,
            What::LogitMax => Self::LogitMax,
            What::Entropy => Self::Entropy,
            What::Sharpness => Self::Sharpness,
            What::LearningRate => Self::LearningRate,
        }
    }
}

/// The theme of a file; a part of a page has the page's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// On white
    Light,
    /// On black
    Dark,
    /// As the reader has it: SVG that follows the page it is shown on
    Auto,
}

impl From<Theme> for Shade {
    fn from(theme: Theme) -> Self {
        match theme {
            Theme::Light => Self::Light,
            Theme::Dark => Self::Dark,
            Theme::Auto => Self::Auto,
        }
    }
}

/// Write a study, or any runs, as one page that needs no network: curves, verdicts, samples, lineage
///
/// The page can be zoomed and filtered, read on a phone and printed; its tables and texts need no JavaScript.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline report study:lr_study
  pipeline report run42 run57 -o two.html
  pipeline report latest -o - | ssh elsewhere 'cat > report.html'")]
pub struct ReportArgs {
    /// Runs: run42, 42, latest, study:NAME or an earlier study:NAME@NUMBER
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// The file, .html; - writes to standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

/// Draw the graph of an experiment's stages
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline dag experiments/lr_study.toml
  pipeline dag experiments/lr_study.toml --format mermaid
  pipeline dag experiments/lr_study.toml --format dot | dot -Tsvg > dag.svg")]
pub struct DagArgs {
    /// The experiment, a TOML file
    #[arg(value_name = "EXPERIMENT", value_hint = clap::ValueHint::FilePath)]
    pub experiment: PathBuf,
    /// Override a key, as in `run`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The language it is drawn in
    #[arg(long, value_enum, default_value_t = Drawing::Text)]
    pub format: Drawing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    Text,
    Mermaid,
    Dot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_typed_as_its_column() {
        for what in What::value_variants() {
            let typed = what.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), Quantity::from(*what).column());
        }
    }
}
