//! Which numbers of a training repeat to the last digit, and how near the others come.

use std::sync::LazyLock;

use regex::Regex;

/// Whether a training here has the numbers that are written down: where the CPU has fused multiply-add it has one order of
/// every sum, so numbers are the same to the bit whatever the processor. Without it the last bits differ from the first
/// step on, and what may be compared is [`near`].
pub fn exact() -> bool {
    let lowered = std::env::var("ATEN_CPU_CAPABILITY").is_ok_and(|wished| wished == "default");
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") && !lowered
}

/// How far apart two numbers of one kind of CPU and of another may be, as a share of the larger. Rounding errors of f32,
/// some 1e-8 after the first step, grow while a model trains; over the few hundred steps here they stay far below this,
/// and a number that is out of date is rarely so near.
const FAR: f64 = 0.02;

/// Whether two lines are the same but for rounding: the same words, whole numbers and keys, and numbers with a decimal
/// point or thousands no further apart than [`FAR`], or than one in their last place. Digests of weights are masked.
pub fn near(shown: &str, said: &str) -> bool {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"-?\d[\d,]*[.,]\d+(e-?\d+)?"));
    static WEIGHTS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9a-f]{12} -> [0-9a-f]{12}"));
    let words = |line: &str| NUMBER.replace_all(&WEIGHTS.replace_all(line, "WEIGHTS"), "NUMBER").into_owned();
    let numbers = |line: &str| -> Vec<(f64, f64)> {
        let parsed = |text: &str| {
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            (text.replace(',', "").parse().unwrap_or(f64::NAN), 0.1f64.powi(decimals as i32))
        };
        NUMBER.find_iter(line).map(|found| parsed(found.as_str())).collect()
    };
    let close = |((a, place), (b, _)): (&(f64, f64), &(f64, f64))| {
        (a - b).abs() <= (FAR * a.abs().max(b.abs())).max(1.01 * place)
    };
    words(shown) == words(said) && numbers(shown).iter().zip(&numbers(said)).all(close)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}
