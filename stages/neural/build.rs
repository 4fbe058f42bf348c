//! Adds libtorch's folder to the run-time library path of the programs and tests here, which cargo does not do for a
//! dependency's library. Also compiles the C++ function for what tch does not bind.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") else { return };
    let lib = Path::new(&lib);
    shim(lib);
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
}

/// Compiles `src/shim.cpp` with libtorch's headers, which are beside its libraries unless `LIBTORCH_INCLUDE` names
/// another folder.
fn shim(lib: &Path) {
    println!("cargo::rerun-if-changed=src/shim.cpp");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    let given = std::env::var_os("LIBTORCH_INCLUDE").map(std::path::PathBuf::from);
    let beside = || lib.parent().unwrap_or(lib).to_owned();
    let include = given.unwrap_or_else(beside).join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(include)
        .file("src/shim.cpp")
        .compile("neural_shim");
    // After the shim, which uses its symbols.
    println!("cargo::rustc-link-search=native={}", lib.display());
    println!("cargo::rustc-link-lib=dylib=torch_cpu");
}
