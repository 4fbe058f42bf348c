// What tch's surface does not reach: libtorch's settings of precision and of determinism.

#include <ATen/Context.h>

// Makes a GPU compute the same bits every time, and in single floats where tensors hold them: by default cuDNN rounds
// the factors of a recurrent layer to TF32. Says whether that could be set.
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
