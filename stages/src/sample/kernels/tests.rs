//! Tests of the kernels, with every instruction set that this processor has.

use super::*;
use crate::random::Stream;

fn levels() -> Vec<Kernels> {
    let mut levels = vec![Kernels { level: Level::Portable }];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Kernels { level: Level::Avx2 });
        }
        if is_x86_feature_detected!("avx512f") {
            levels.push(Kernels { level: Level::Avx512 });
        }
    }
    levels
}

fn numbers(purpose: &str, n: usize, scale: f64) -> Vec<f32> {
    let stream = Stream::new(7, purpose);
    (0..n as u64).map(|i| (stream.normal(i) * scale) as f32).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for (rows, columns) in [(1, 1), (31, 2), (32, 7), (33, 64), (200, 129), (1000, 200)] {
        let w = numbers("w", rows * columns, 1.0);
        let matrix = Matrix::new(rows, columns, |r, out| out.copy_from_slice(&w[r * columns..][..columns]));
        let (x, bias) = (numbers("x", columns, 1.0), numbers("bias", rows.next_multiple_of(LANES), 1.0));
        let all = levels().into_iter().map(|kernels| {
            let mut y = vec![0.0; rows.next_multiple_of(LANES)];
            kernels.multiply(&matrix, 0, &bias, &x, &mut y);
            y
        });
        let all: Vec<_> = all.collect();
        for other in &all[1..] {
            assert_eq!(bits(&all[0]), bits(other), "{rows} × {columns}");
        }
        for r in 0..rows {
            let terms = (0..columns).map(|j| f64::from(w[r * columns + j]) * f64::from(x[j]));
            let terms: Vec<f64> = terms.chain([f64::from(bias[r])]).collect();
            let scale: f64 = terms.iter().map(|term| term.abs()).sum();
            let off = (f64::from(all[0][r]) - terms.iter().sum::<f64>()).abs();
            assert!(off <= 1e-6 * scale, "row {r} of {rows} × {columns} is off by {off}");
        }
    }
    let n = 133;
    let gates = numbers("gates", 4 * n, 4.0);
    let all = levels().into_iter().map(|kernels| {
        let (mut c, mut h, mut weights) = (numbers("c", n, 1.0), vec![0.0; n], vec![0; 4 * n]);
        kernels.cell(&gates, &mut c, &mut h);
        let max = kernels.greatest(&gates);
        kernels.weigh(&gates, max, 1.7, &mut weights);
        assert!(gates.iter().all(|x| *x <= max) && gates.contains(&max));
        assert_eq!(kernels.sum(&weights), weights.iter().sum::<u64>());
        (bits(&[c, h].concat()), weights)
    });
    let all: Vec<_> = all.collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

/// The greatest relative error of `f`, in units of 2⁻²⁴, over x from −20 to 20 and tiny x.
fn error(f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
    let near = (-200_000..=200_000).map(|i| i as f32 * 1e-4);
    let tiny = (0..1000).map(|i| 1e-6 * (i as f32 - 500.5));
    let errors = near.chain(tiny).filter(|x| *x != 0.0).map(|x| {
        let exact = exact(f64::from(x));
        ((f64::from(f(x)) - exact) / exact).abs() * f64::from(1 << 24)
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn functions_are_accurate_to_a_few_units_in_the_last_place() {
    assert!(error(|x| exponential(-x.abs()), |x| libm::exp(-x.abs())) < 3.0);
    assert!(error(sigmoid, |x| 1.0 / (1.0 + libm::exp(-x))) < 5.0);
    assert!(error(tanh, libm::tanh) < 5.0);
}

#[test]
fn extreme_inputs_stay_in_range_and_nan_stays_nan() {
    assert_eq!((sigmoid(f32::INFINITY), tanh(f32::INFINITY)), (1.0, 1.0));
    assert!(sigmoid(f32::NEG_INFINITY) < 1e-37 && tanh(f32::NEG_INFINITY) == -1.0);
    assert_eq!((sigmoid(0.0), tanh(0.0)), (0.5, 0.0));
    assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    let one = 1 << 38;
    let mut weights = [0; 2];
    weigh_any(&[f32::MIN, f32::MAX], f32::MAX, 0.0, &mut weights);
    assert_eq!(weights, [one, one]);
    weigh_any(&[f32::MIN, f32::MAX], f32::MAX, 1e30, &mut weights);
    assert_eq!(weights, [0, one]);
}

#[test]
fn a_weight_is_the_exponential_rounded_down() {
    for i in 0..100_000 {
        let x = i as f32 * -1e-3;
        let mut weight = [0];
        weigh_any(&[x], 0.0, 1.0, &mut weight);
        assert_eq!(weight[0], (exponential(x) * (1u64 << 38) as f32) as u64, "{x}");
    }
}
