//! All that the compiler can't check: system calls, and tensors' memory seen as slices. Beside it only [`crate::tiles`]
//! is unsafe in this package.
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

use anyhow::{Result, bail, ensure};
use tch::{Device, Tensor};

#[cfg(target_arch = "x86_64")]
use crate::cpu::{Capability, capability};
use crate::real::Real;

/// Takes standard output for frames: returns it under a private number, and makes number 1 mean standard error, so
/// that nothing a library prints can get between two frames.
///
/// # Errors
/// When the process was started without standard output.
pub(crate) fn private_stdout() -> io::Result<File> {
    // SAFETY: plain system calls on numbers; the new number is owned by the returned file alone.
    unsafe {
        let frames = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3);
        if frames < 0 || libc::dup2(2, 1) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(frames))
    }
}

/// Seconds that a worker that is told to end leaves the program above it to end it in good order.
const GRACE: u32 = 20;

/// Has signals leave a worker the time to save its state. Schedulers send theirs to every process of a job: the program
/// above then asks for a stop after the step at hand, which a worker that is dead by then can't answer.
///
/// A warning (`SIGUSR1`, `SIGUSR2`, `SIGXCPU`) is for the program above alone. A demand (`SIGTERM`, `SIGINT`, `SIGHUP`)
/// ends the worker after [`GRACE`] seconds, and a second one at once. The kernel's own `SIGXCPU`, which says that this
/// process has used its time up, ends it, as does any other signal.
///
/// One that was started with `SIGHUP` ignored, as under `nohup`, keeps ignoring it.
///
/// A write past the limit on the size of a file (`ulimit -f`) fails like one to a full disk.
pub(crate) fn heed_signals() {
    extern "C" fn demanded(signal: c_int) {
        // SAFETY: both functions may be called from a handler.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::alarm(GRACE);
        }
    }
    extern "C" fn grace_is_over(_: c_int) {
        die_of(libc::SIGTERM);
    }
    extern "C" fn used_up(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: the kernel hands a handler with SA_SIGINFO a valid record. Codes above 0 are its own.
        if unsafe { (*info).si_code } > 0 {
            die_of(signal);
        }
    }
    fn die_of(signal: c_int) {
        // SAFETY: both functions may be called from a handler, at whose end the signal is delivered.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    let handle = |signals: &[c_int], handler: libc::sighandler_t, flags: c_int| {
        for signal in signals {
            // SAFETY: zero is a valid value of each field, and the handlers call nothing that a handler may not. One that
            // can't be set leaves the default.
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

/// Keeps freed memory in the process. The default gives each activation of a step back to the system, and pays for
/// its pages again at the next step: an eighth of a training step (measured). To be called before the first tensor.
pub(crate) fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator's own switches, set before any other thread exists.
    unsafe {
        // Older versions of glibc take no more than 32 MB.
        if libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30) == 0 {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        }
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

/// Makes floats below the least normal number 0, on this thread and on every thread that it starts from now on: libtorch's
/// too. Saturated gates and faded moments are full of such floats, over which some processors take fifty times as long.
/// To be called before the first tensor.
pub(crate) fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        // Flush to zero, and denormals are zero.
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        let mut control = 0u32;
        // SAFETY: reads and writes the control register of vector arithmetic. The compiler takes for granted that rounding
        // and exceptions are as at the start, and so they stay.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags));
            control |= FLUSH;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags));
        }
    }
}

/// Has libtorch's OpenMP loops on this thread run without helpers. Nothing large is left to them, and where libgomp can't
/// start a thread it ends the process. `at::set_num_threads` would do the same, and start a pool of threads besides.
pub(crate) fn use_one_openmp_thread() {
    type Set = unsafe extern "C" fn(c_int);
    // SAFETY: looks a name up among the loaded libraries; the function has this type in every OpenMP, and it only sets a
    // number of the calling thread. Where no OpenMP is loaded there are no such loops.
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

/// Loads the half of libtorch that computes on GPUs, and has it compute the same bits every time. Not linked: it takes a
/// second and half a gigabyte, which no training on the CPU should pay. To be called before libtorch is asked for any
/// GPU.
///
/// # Errors
/// When the file can't be loaded.
pub(crate) fn load_cuda(library: &Path) -> Result<()> {
    let path = CString::new(library.as_os_str().as_bytes())?;
    // SAFETY: the library is a part of the libtorch that this process runs with; its constructors register kernels.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        // SAFETY: after a failure this is a text, good until this thread's next such call.
        let words = unsafe { CStr::from_ptr(libc::dlerror()) };
        bail!("{}", words.to_string_lossy());
    }
    // SAFETY: catches every exception, and touches libtorch's settings alone.
    ensure!(unsafe { neural_settle_cuda() }, "libtorch can't be told to compute the same bits every time on a GPU");
    Ok(())
}

/// The name of the first GPU that NVIDIA's driver shows; `None` where there is no driver or no GPU.
pub(crate) fn gpu() -> Option<String> {
    type CuInit = unsafe extern "C" fn(u32) -> c_int;
    type CuDeviceGet = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type CuDeviceGetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let mut name = [0 as c_char; 256];
    // SAFETY: three functions of the driver with the types that its header gives them; the library stays loaded. 0 is
    // success, and the name then ends with a zero within the 256 bytes.
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

/// Ends the process at once, without the destructors of libraries that other threads are still inside of.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

fn check<T: Real>(tensor: &Tensor) -> Result<()> {
    let plain = tensor.kind() == T::KIND && tensor.device() == Device::Cpu && tensor.is_contiguous();
    ensure!(plain, "BUG: the memory of a tensor that is no contiguous {:?} tensor of the CPU was asked for", T::KIND);
    Ok(())
}

/// The elements of a contiguous tensor on the CPU.
///
/// # Errors
/// When it is any other kind of tensor.
pub(crate) fn floats<T: Real>(tensor: &Tensor) -> Result<&[T]> {
    check::<T>(tensor)?;
    // An empty tensor may have no memory at all.
    if tensor.numel() == 0 {
        return Ok(&[]);
    }
    // SAFETY: contiguous and of this type (checked), alive as long as `tensor`; libtorch writes only inside calls on it,
    // and none is made while the slice lives, since a single thread makes all calls.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// The same, to write to. Of the tensors that share this memory no other may be looked at meanwhile; views are local
/// to the expressions that make them everywhere in this package.
///
/// # Errors
/// When it is any other kind of tensor.
pub(crate) fn floats_mut<T: Real>(tensor: &mut Tensor) -> Result<&mut [T]> {
    check::<T>(tensor)?;
    if tensor.numel() == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as above, and borrowed exclusively.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// The bytes of floats, as x86-64 and every file format here orders them.
pub(crate) fn bytes<T: Real>(floats: &[T]) -> &[u8] {
    const { assert!(cfg!(target_endian = "little")) };
    // SAFETY: every byte of a float is initialised, and a byte needs no alignment.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast::<u8>(), size_of_val(floats)) }
}

/// A loop over slices that wants wide vectors. Its `run` must be `#[inline(always)]`: only what is inlined into
/// [`widest`]'s functions is compiled for their instructions (a closure is not sure to be).
pub(crate) trait Kernel {
    /// What it yields.
    type Output;
    /// The loop.
    fn run(self) -> Self::Output;
}

/// Runs `kernel` compiled for the widest vectors of this CPU.
///
/// Kernels say the order of every sum themselves and name each fused multiply-add, so the width changes their speed
/// and not their bits.
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
