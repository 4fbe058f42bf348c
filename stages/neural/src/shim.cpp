// The settings of precision and determinism in libtorch, which tch does not expose.

#include <ATen/Context.h>

// Makes a GPU compute the same bits every time, and in full single precision where tensors hold single floats: by
// default cuDNN rounds the factors of a recurrent layer to TF32. Returns whether the settings could be made.
extern "C" bool neural_settle_cuda() noexcept {
  try {
    auto& context = at::globalContext();
    for (const auto op : {at::Float32Op::MATMUL, at::Float32Op::CONV, at::Float32Op::RNN}) {
      context.setFloat32Precision(at::Float32Backend::CUDA, op, at::Float32Precision::IEEE);
    }
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicAlgorithms(true, false);
    context.setDeterministicFillUninitializedMemory(false);
    return true;
  } catch (...) {
    return false;
  }
}
