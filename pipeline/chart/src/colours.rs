//! Colours of curves: distinguishable by colour-blind readers, with a contrast of more than 4 against the background.

/// The colours of a theme.
#[derive(Debug)]
pub struct Palette {
    /// The background.
    pub ground: &'static str,
    /// Titles.
    pub text: &'static str,
    /// Labels of axes, and baselines.
    pub faint: &'static str,
    /// Grid lines behind the curves.
    pub grid: &'static str,
    /// Errors and warnings.
    pub bad: &'static str,
    /// The opacity of a band.
    pub band: f64,
    /// Colours of curves, by index.
    pub curves: [&'static str; CURVES],
}

/// The number of colours. Curves beyond it reuse the colours, with dashes.
pub const CURVES: usize = 8;

/// The theme with a white background.
// Based on Okabe and Ito, whose yellow and sky blue are too faint on white.
pub const LIGHT: Palette = Palette {
    ground: "#ffffff",
    text: "#1f2328",
    faint: "#59636e",
    grid: "#dfe3e8",
    bad: "#b3261e",
    band: 0.18,
    curves: ["#c44e00", "#0072b2", "#00805a", "#a8467f", "#946200", "#1584b8", "#6a6a6a", "#7a3fd0"],
};

/// The theme with a black background.
pub const DARK: Palette = Palette {
    ground: "#0d1117",
    text: "#e6edf3",
    faint: "#9aa4af",
    grid: "#2b313a",
    bad: "#ff8f85",
    band: 0.26,
    curves: ["#ff9147", "#58b0f0", "#35cfa0", "#ea9bd0", "#efc24a", "#9bdcff", "#b8b8b8", "#b79bff"],
};

/// The index of a curve's colour, from its position among the runs.
pub fn class(place: usize) -> usize {
    place % CURVES
}

/// The dashes of a curve whose colour is a repeat; none for the first eight curves.
pub fn dashes(place: usize) -> Option<&'static str> {
    [None, Some("7 3"), Some("2 3"), Some("9 3 2 3")][place / CURVES % 4]
}

impl Palette {
    /// CSS rules for the classes of a chart.
    pub fn rules(&self) -> String {
        let mut css = format!(
            ".ground{{fill:{}}}.ink{{fill:{}}}.faint{{fill:{}}}.grid{{stroke:{}}}.base{{stroke:{}}}.bad{{stroke:{}}}\
             .band{{opacity:{}}}",
            self.ground, self.text, self.faint, self.grid, self.faint, self.bad, self.band
        );
        for (place, colour) in self.curves.iter().enumerate() {
            css.push_str(&format!(".s{place}{{stroke:{colour}}}.f{place}{{fill:{colour}}}"));
        }
        css
    }

    /// The same colours as CSS variables.
    pub fn variables(&self) -> String {
        let named = [
            ("ground", self.ground),
            ("text", self.text),
            ("faint", self.faint),
            ("grid", self.grid),
            ("bad", self.bad),
        ];
        let mut css: String = named.iter().map(|(name, colour)| format!("--{name}:{colour};")).collect();
        css.push_str(&format!("--band:{};", self.band));
        let curves = self.curves.iter().enumerate();
        css.extend(curves.map(|(place, colour)| format!("--c{place}:{colour};")));
        css
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let x = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if x <= 0.03928 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn curves_and_labels_have_enough_contrast() {
        for theme in [LIGHT, DARK] {
            for colour in theme.curves {
                // The labels of the curves have the same colours.
                assert!(contrast(colour, theme.ground) > 4.0, "{colour} {}", contrast(colour, theme.ground));
            }
            for colour in [theme.text, theme.faint, theme.bad] {
                assert!(contrast(colour, theme.ground) > 4.5, "{colour}");
            }
        }
    }
}
