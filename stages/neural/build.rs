//! What cargo does not carry from torch-sys to the programs and tests that link it: libtorch's folder in the run-time
//! library path, and the CUDA half of libtorch.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") else { return };
    let lib = Path::new(&lib);
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    // libtorch_cuda registers its kernels as it loads, and no symbol of it is referred to: the linker would drop it.
    if lib.join("libtorch_cuda.so").exists() {
        println!("cargo::rustc-link-arg=-Wl,--push-state,--no-as-needed,-ltorch_cuda,--pop-state");
    }
}
