//! Arguments of the commands that draw: `plot`, `report`, `dag`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use chart::Quantity;
use chart::svg::Shade;

/// Plot curves of runs as SVG or PNG
#[derive(Debug, Args)]
#[command(after_help = "\
Each run is a line of means over a band from the minimum to the maximum of neighbouring steps, so that spikes stay \
visible. Dashed lines are n-gram baselines on the same corpus, a triangle marks the onset (the step at which the \
trouble in a run's verdict began), and crosses mark NaN or Inf. Without --log-y, losses far above all initial losses \
are cut off, and the label of the curve gives its peak.

Quantities for --what:
  loss           training loss
  valid          validation loss, by checkpoint
  grad_norm      gradient norm before clipping
  update_ratio   norm of the update divided by the norm of the weights
  overshoot      actual over predicted decrease of the loss; below 0, the step raised its own loss
  logit_max      largest logit
  entropy        mean entropy of the predictions
  sharpness      estimate of the largest curvature
  learning_rate  learning rate

Examples:
  pipeline plot run42 run57 -o loss.svg
  pipeline plot study:lr_study --log-y -o loss.png
  pipeline plot study:lr_study --what grad_norm --width 640 --height 320 -o norms.svg")]
pub struct PlotArgs {
    /// Runs to plot: run42, 42, latest, study:NAME, or study:NAME@N for an earlier version
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// File to write (.svg or .png); - writes SVG to standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Quantity to plot
    #[arg(long, value_enum, default_value_t = What::Loss, hide_possible_values = true)]
    pub what: What,
    /// Use a logarithmic y axis
    #[arg(long)]
    pub log_y: bool,
    /// Width of the picture in SVG units (a PNG has two pixels per unit)
    #[arg(long, value_name = "N", default_value_t = 860, value_parser = clap::value_parser!(u32).range(240..=8000))]
    pub width: u32,
    /// Height of the picture in SVG units
    #[arg(long, value_name = "N", default_value_t = 440, value_parser = clap::value_parser!(u32).range(160..=8000))]
    pub height: u32,
    /// Colour theme; with auto, an SVG follows the theme of the page that contains it
    #[arg(long, value_enum, default_value_t = Theme::Light)]
    pub theme: Theme,
}

/// A quantity to plot, with the name of its column in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum What {
    /// Training loss
    Loss,
    /// Validation loss, by checkpoint
    Valid,
    /// Gradient norm before clipping
    GradNorm,
    /// Norm of the update divided by the norm of the weights
    UpdateRatio,
    /// Actual over predicted decrease of the loss (overshoot ratio); below 0, the step raised its own loss
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

/// The theme of a plot in a file. Plots in a report follow the report's theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    Light,
    Dark,
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

/// Write a study or any runs as one self-contained HTML page
#[derive(Debug, Args)]
#[command(after_help = "\
The page shows curves, verdicts, samples and lineage. It loads nothing from the network, can be read on a phone and \
printed, and needs JavaScript only to zoom and filter curves.

Examples:
  pipeline report study:lr_study
  pipeline report run42 run57 -o two.html
  pipeline report latest -o - | ssh elsewhere 'cat > report.html'")]
pub struct ReportArgs {
    /// Runs to report: run42, 42, latest, study:NAME, or study:NAME@N for an earlier version
    #[arg(value_name = "RUN", required = true)]
    pub selectors: Vec<String>,
    /// File to write (.html); - writes to standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}

/// Draw the stage graph of an experiment
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pipeline dag experiments/lr_study.toml
  pipeline dag experiments/lr_study.toml --format mermaid
  pipeline dag experiments/lr_study.toml --format dot | dot -Tsvg > dag.svg")]
pub struct DagArgs {
    /// Experiment to draw (a TOML file)
    #[arg(value_name = "EXPERIMENT", value_hint = clap::ValueHint::FilePath)]
    pub experiment: PathBuf,
    /// Override a key of the experiment; a list of values sweeps it (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Output format
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
    fn quantities_are_named_like_their_columns() {
        for what in What::value_variants() {
            let typed = what.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), Quantity::from(*what).column());
        }
    }
}
