//! Initial weights, drawn in Rust so that they depend neither on libtorch nor on the number of threads.

use stages::params::Init;
use stages::random::Stream;

/// The elements of the tensor `name`, row by row. Element i depends on number i of the stream `init <name>`, or, for
/// normal weights, on numbers 2i and 2i + 1.
pub(crate) fn draw(init: Init, seed: u64, name: &str, sizes: &[usize]) -> Vec<f32> {
    let stream = Stream::new(seed, &format!("init {name}"));
    let elements = 0..sizes.iter().product::<usize>() as u64;
    let uniform = |bound: f64| elements.clone().map(|i| ((2.0 * stream.uniform(i) - 1.0) * bound) as f32).collect();
    match (init, sizes) {
        (Init::Uniform(bound), _) => uniform(bound),
        // PyTorch's convention for a matrix [out, in], and for the four gates of an LSTM taken as one matrix.
        (Init::Xavier, [fan_out, fan_in]) => uniform((6.0 / (fan_in + fan_out) as f64).sqrt()),
        (Init::Normal(deviation), [_, _]) => elements.map(|i| (deviation * stream.normal(i)) as f32).collect(),
        (Init::Xavier | Init::Normal(_), _) => elements.map(|_| 0.0).collect(),
    }
}
