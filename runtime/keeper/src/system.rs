//! System calls that rustix has no name for, or none without a C library.

use core::arch::asm;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{Errno, Result};

#[cfg(target_arch = "x86_64")]
mod number {
    pub const SETSOCKOPT: usize = 54;
    pub const EXIT_GROUP: usize = 231;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub const SETSOCKOPT: usize = 208;
    pub const EXIT_GROUP: usize = 94;
}

/// The kernel's answer: an errno where it is negative.
///
/// # Safety
///
/// What the arguments point to is as the system call wants it (syscalls(2)).
unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    let answer: isize;
    // SAFETY: syscall(2) says which registers there are and which are lost; the arguments are the caller's to answer for.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => answer, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack));
    }
    answer
}

pub fn set_option<T: Copy>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> Result<()> {
    let value = [core::ptr::from_ref(value).addr(), size_of::<T>()];
    let [socket, level, name] = [socket.as_raw_fd(), level, name].map(|number| number as usize);
    // SAFETY: the pointer and the length describe `value`, which outlives the call; the kernel only reads it.
    match unsafe { call(number::SETSOCKOPT, [socket, level, name, value[0], value[1]]) } {
        0 => Ok(()),
        errno => Err(Errno::from_raw_os_error(-errno as i32)),
    }
}

pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: it takes a number.
        unsafe { call(number::EXIT_GROUP, [usize::from(status), 0, 0, 0, 0]) };
    }
}
