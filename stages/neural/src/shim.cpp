// The one thing that tch's surface does not reach: in which precision oneDNN multiplies matrices of single floats.

#include <ATen/Context.h>

// Whether products of f32 matrices may round their factors to bf16; sums stay in f32. Says whether that could be set.
extern "C" bool neural_round_factors(bool round) noexcept {
  try {
    at::globalContext().setFloat32Precision(
        at::Float32Backend::MKLDNN,
        at::Float32Op::MATMUL,
        round ? at::Float32Precision::BF16 : at::Float32Precision::NONE);
    return true;
  } catch (...) {
    return false;
  }
}
