//! Everything that the compiler can't check: system calls, and tensors' memory as slices. The only other unsafe code of
//! this package is in [`crate::tiles`].
#![expect(
    unsafe_code,
    reason = "system calls, tensors' memory and vector instructions; each block says why it is sound"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use tch::{Device, Tensor};

use crate::cpu::{Capability, capability};
#[cfg(target_arch = "x86_64")]
use crate::failure::{Result, ensure};
use crate::real::Real;

/// Reserves standard output for frames: returns it under a private descriptor, and redirects descriptor 1 to standard
/// error, so that nothing a library prints can get between two frames.
///
/// # Errors
/// If the process was started without standard output.
pub(crate) fn private_stdout() -> io::Result<File> {
    // SAFETY: plain system calls on descriptors; the new one is owned by the returned file alone.
    unsafe {
        let frames = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3);
        if frames < 0 || libc::dup2(2, 1) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(frames))
    }
}

/// How many seconds a worker that was told to end gives its parent to stop it in good order.
const GRACE: u32 = 20;

/// Sets up signals so that a worker has time to save its state. Schedulers send theirs to every process of a job: the
/// parent then asks for a stop after the current step, which a dead worker could not answer.
///
/// A warning (`SIGUSR1`, `SIGUSR2`, `SIGXCPU`) is for the parent alone. A demand (`SIGTERM`, `SIGINT`, `SIGHUP`) ends
/// the worker after [`GRACE`] seconds, and a second one at once. The kernel's own `SIGXCPU`, which says that this
/// process has used up its time, ends it, as does any other signal.
///
/// A worker that was started with `SIGHUP` ignored, as under `nohup`, keeps ignoring it.
///
/// A write past the limit on file sizes (`ulimit -f`) fails like one to a full disk.
pub(crate) fn heed_signals() {
    extern "C" fn demanded(signal: c_int) {
        // SAFETY: both functions are async-signal-safe.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::alarm(GRACE);
        }
    }
    extern "C" fn grace_is_over(_: c_int) {
        die_of(libc::SIGTERM);
    }
    extern "C" fn used_up(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: to a handler with SA_SIGINFO the kernel passes a valid record. Codes above 0 mean that the kernel
        // itself sent the signal.
        if unsafe { (*info).si_code } > 0 {
            die_of(signal);
        }
    }
    fn die_of(signal: c_int) {
        // SAFETY: both functions are async-signal-safe; the signal is delivered when the handler returns.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    let handle = |signals: &[c_int], handler: libc::sighandler_t, flags: c_int| {
        for signal in signals {
            // SAFETY: zero is a valid value of each field, and the handlers call only async-signal-safe functions. If a
            // handler can't be set, the default stays.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler;
                action.sa_flags = flags | libc::SA_RESTART;
                let mut before: libc::sigaction = std::mem::zeroed();
                libc::sigaction(*signal, &raw const action, &raw mut before);
                if *signal == libc::SIGHUP && before.sa_sigaction == libc::SIG_IGN {
                    libc::sigaction(*signal, &raw const before, std::ptr::null_mut());
                }
            }
        }
    };
    let plain = |handler: extern "C" fn(c_int)| handler as *const () as libc::sighandler_t;
    handle(&[libc::SIGUSR1, libc::SIGUSR2, libc::SIGXFSZ], libc::SIG_IGN, 0);
    handle(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP], plain(demanded), 0);
    handle(&[libc::SIGALRM], plain(grace_is_over), 0);
    handle(&[libc::SIGXCPU], used_up as *const () as libc::sighandler_t, libc::SA_SIGINFO);
}

/// Keeps freed memory in the process. By default, the memory of a step's activations goes back to the system and its
/// pages are faulted in again at the next step, which costs an eighth of a training step (measured). Call this before
/// creating the first tensor.
pub(crate) fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: these calls set options of the allocator, before any other thread exists.
    unsafe {
        // Older versions of glibc reject values above 32 MB for this setting.
        if libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30) == 0 {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        }
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

/// Flushes denormal floats to 0, on this thread and on every thread that it starts from now on, including libtorch's.
/// Saturated gates and decayed moments are full of denormals, on which some processors take fifty times as long. Call
/// this before creating the first tensor.
pub(crate) fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        // Flush to zero, and denormals are zero.
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        let mut control = 0u32;
        // SAFETY: reads and writes the control register of vector arithmetic. The compiler assumes the default rounding
        // and exception masks, which this keeps.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags));
            control |= FLUSH;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags));
        }
    }
}

/// Makes libtorch's OpenMP loops on this thread run without helper threads. No large work is left for them, and libgomp
/// ends the process if it can't start a thread. `at::set_num_threads` would do the same, but also start a pool of
/// threads.
pub(crate) fn use_one_openmp_thread() {
    type Set = unsafe extern "C" fn(c_int);
    // SAFETY: looks up a name among the loaded libraries. The function has this type in every OpenMP, and it only sets
    // a number for the calling thread. If no OpenMP is loaded, there are no such loops.
    unsafe {
        let set = libc::dlsym(libc::RTLD_DEFAULT, c"omp_set_num_threads".as_ptr());
        if !set.is_null() {
            std::mem::transmute::<*mut c_void, Set>(set)(1);
        }
    }
}

unsafe extern "C" {
    fn neural_settle_cuda() -> bool;
}

/// Loads the GPU half of libtorch, and makes it compute the same bits every time. It is not linked, since loading it
/// takes a second and half a gigabyte, which training on the CPU should not cost. Call this before asking libtorch for
/// a GPU.
///
/// # Errors
/// If the file can't be loaded.
pub(crate) fn load_cuda(library: &Path) -> Result<()> {
    let path = CString::new(library.as_os_str().as_bytes()).map_err(std::io::Error::from)?;
    // SAFETY: the library is part of the libtorch that this process uses; its constructors only register kernels.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        // SAFETY: after a failure dlerror returns a string, which is valid until this thread calls it again.
        let words = unsafe { CStr::from_ptr(libc::dlerror()) };
        return Err(format!("{}", words.to_string_lossy()).into());
    }
    // SAFETY: the function catches every exception, and changes only libtorch's settings.
    ensure!(unsafe { neural_settle_cuda() }, "can't make libtorch compute the same bits every time on a GPU");
    Ok(())
}

/// The name of the first GPU that NVIDIA's driver lists; `None` without a driver or a GPU.
pub(crate) fn gpu() -> Option<String> {
    type CuInit = unsafe extern "C" fn(u32) -> c_int;
    type CuDeviceGet = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type CuDeviceGetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let mut name = [0 as c_char; 256];
    // SAFETY: the three functions have the types from the driver's header, and the library stays loaded. They return 0
    // on success, and the name then ends with a zero within the 256 bytes.
    unsafe {
        let driver = libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW);
        let find =
            |name: &CStr| (!driver.is_null()).then(|| libc::dlsym(driver, name.as_ptr())).filter(|f| !f.is_null());
        let init = std::mem::transmute::<*mut c_void, CuInit>(find(c"cuInit")?);
        let get = std::mem::transmute::<*mut c_void, CuDeviceGet>(find(c"cuDeviceGet")?);
        let ask = std::mem::transmute::<*mut c_void, CuDeviceGetName>(find(c"cuDeviceGetName")?);
        let mut device = 0;
        let found = init(0) == 0 && get(&raw mut device, 0) == 0 && ask(name.as_mut_ptr(), 256, device) == 0;
        found.then(|| CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
    }
}

/// Ends the process at once, without running the destructors of libraries that other threads are still using.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: the call does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

fn check<T: Real>(tensor: &Tensor) -> Result<()> {
    let plain = tensor.kind() == T::KIND && tensor.device() == Device::Cpu && tensor.is_contiguous();
    ensure!(plain, "BUG: not a contiguous {:?} tensor on the CPU", T::KIND);
    Ok(())
}

/// The elements of a contiguous tensor on the CPU.
///
/// # Errors
/// If the tensor is of any other kind.
pub(crate) fn floats<T: Real>(tensor: &Tensor) -> Result<&[T]> {
    check::<T>(tensor)?;
    // An empty tensor may have no memory at all.
    if tensor.numel() == 0 {
        return Ok(&[]);
    }
    // SAFETY: the elements are contiguous and of this type (checked above), and live as long as `tensor`. libtorch
    // writes to them only inside calls on it, and none is made while the slice lives, since one thread makes all calls.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// The elements of a contiguous tensor on the CPU, mutable. No other tensor that shares this memory may be read while
/// the slice lives; everywhere in this package, views are local to the expressions that make them.
///
/// # Errors
/// If the tensor is of any other kind.
pub(crate) fn floats_mut<T: Real>(tensor: &mut Tensor) -> Result<&mut [T]> {
    check::<T>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as above; the tensor is also borrowed exclusively.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// The bytes of floats in little-endian order, which x86-64 and all file formats here use.
pub(crate) fn bytes<T: Real>(floats: &[T]) -> &[u8] {
    const { assert!(cfg!(target_endian = "little")) };
    // SAFETY: every byte of a float is initialised, and a byte needs no alignment.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast::<u8>(), size_of_val(floats)) }
}

/// A loop over slices that is to be compiled for wide vectors. Its `run` must be `#[inline(always)]`: only code that is
/// inlined into [`widest`]'s functions is compiled for their instructions, and a closure might not be.
pub(crate) trait Kernel {
    /// The result of the loop.
    type Output;
    /// Runs the loop.
    fn run(self) -> Self::Output;
}

/// Runs `kernel` compiled for the widest vectors of this CPU.
///
/// Kernels fix the order of every sum and write out each fused multiply-add, so the width changes their speed but not
/// their bits.
pub(crate) fn widest<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        match capability() {
            // SAFETY: the capability says that these instructions exist.
            Capability::Avx512 => return unsafe { avx512(kernel) },
            Capability::Avx2 => return unsafe { avx2(kernel) },
            Capability::Default => {}
        }
    }
    kernel.run()
}
