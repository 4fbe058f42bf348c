//! Colours of curves: told apart by colour-blind eyes, and three times as bright or dark as the ground.

/// The colours of a theme: its ground and its inks.
#[derive(Debug)]
pub struct Palette {
    /// What all is drawn on.
    pub ground: &'static str,
    /// Titles.
    pub text: &'static str,
    /// Labels of axes, baselines.
    pub faint: &'static str,
    /// Lines behind the curves.
    pub grid: &'static str,
    /// What went wrong.
    pub bad: &'static str,
    /// The opacity of a band.
    pub band: f64,
    /// Colours of curves, by class.
    pub curves: [&'static str; CURVES],
}

/// Colours before they come again, dashed.
pub const CURVES: usize = 8;

/// On white.
// After Okabe and Ito, whose own yellow and sky blue are too faint on white.
pub const LIGHT: Palette = Palette {
    ground: "#ffffff",
    text: "#1f2328",
    faint: "#59636e",
    grid: "#dfe3e8",
    bad: "#b3261e",
    band: 0.18,
    curves: ["#c44e00", "#0072b2", "#00805a", "#a8467f", "#946200", "#1584b8", "#6a6a6a", "#7a3fd0"],
};

/// On black.
pub const DARK: Palette = Palette {
    ground: "#0d1117",
    text: "#e6edf3",
    faint: "#9aa4af",
    grid: "#2b313a",
    bad: "#ff8f85",
    band: 0.26,
    curves: ["#ff9147", "#58b0f0", "#35cfa0", "#ea9bd0", "#efc24a", "#9bdcff", "#b8b8b8", "#b79bff"],
};

/// The class of a curve's colour, by its place.
pub fn class(place: usize) -> usize {
    place % CURVES
}

/// The dashes of a curve whose colour was there before; none for the first eight.
pub fn dashes(place: usize) -> Option<&'static str> {
    [None, Some("7 3"), Some("2 3"), Some("9 3 2 3")][place / CURVES % 4]
}

impl Palette {
    /// Rules for the classes of a picture.
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

    /// Relative luminance, by WCAG.
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
    fn what_is_drawn_can_be_seen_and_what_is_written_can_be_read() {
        for theme in [LIGHT, DARK] {
            for colour in theme.curves {
                // Labels are written in these too.
                assert!(contrast(colour, theme.ground) > 4.0, "{colour} {}", contrast(colour, theme.ground));
            }
            for colour in [theme.text, theme.faint, theme.bad] {
                assert!(contrast(colour, theme.ground) > 4.5, "{colour}");
            }
        }
    }
}
