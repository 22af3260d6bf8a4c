//! How the keeper starts: without a C library, which would be five times as large as all the rest (docs/architecture.md),
//! so what a compiler expects of one is here.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr::{NonNull, null_mut};
use linked_list_allocator::Heap;

// The stack is as the kernel makes it: aligned, and without anybody to return to.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {}", sym start);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "bl {}", sym start);

extern "C" fn start() -> ! {
    lease_keeper::exit(lease_keeper::run())
}

/// sysexits.h EX_SOFTWARE.
#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    lease_keeper::exit(70)
}

/// Named by the parts of core and alloc that are compiled for unwinding, which a panic here never does.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    lease_keeper::exit(70)
}

/// More than a keeper of dozens of leases ever needs. Pages that are not touched cost nothing.
const HEAP: usize = 4 << 20;

struct OneThread<T>(UnsafeCell<T>);

// SAFETY: the keeper has one thread, and handles no signals.
unsafe impl<T> Sync for OneThread<T> {}

static PAGES: OneThread<[MaybeUninit<u8>; HEAP]> = OneThread(UnsafeCell::new([MaybeUninit::uninit(); HEAP]));

#[global_allocator]
static ALLOCATOR: OneThread<Heap> = OneThread(UnsafeCell::new(Heap::empty()));

// SAFETY: the heap hands out parts of PAGES, which nobody else uses, as its layout says; there is one thread.
unsafe impl GlobalAlloc for OneThread<Heap> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: nobody else has the heap while this runs, as there is one thread and no signal.
        let heap = unsafe { &mut *self.0.get() };
        if heap.size() == 0 {
            // SAFETY: done once, for pages that are here for ever.
            unsafe { heap.init(PAGES.0.get().cast(), HEAP) };
        }
        heap.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer is one that `alloc` gave for this layout.
        unsafe { NonNull::new(pointer).map(|pointer| (*self.0.get()).deallocate(pointer, layout)) };
    }
}

/// What the compiler calls by itself. Volatile, or it would see what these loops do, and call them for it.
mod memory {
    use core::ptr::{read_volatile, write_volatile};

    /// # Safety
    /// As memcpy(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        for at in 0..length {
            // SAFETY: within both, says the caller.
            unsafe { write_volatile(to.add(at), read_volatile(from.add(at))) };
        }
        to
    }

    /// # Safety
    /// As memmove(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        let backwards = to.addr() > from.addr();
        for at in 0..length {
            let at = if backwards { length - 1 - at } else { at };
            // SAFETY: within both, says the caller; in the direction in which nothing is lost.
            unsafe { write_volatile(to.add(at), read_volatile(from.add(at))) };
        }
        to
    }

    /// # Safety
    /// As memset(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
        for at in 0..length {
            // SAFETY: within it, says the caller.
            unsafe { write_volatile(to.add(at), byte as u8) };
        }
        to
    }

    /// # Safety
    /// As memcmp(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
        for at in 0..length {
            // SAFETY: within both, says the caller.
            let (left, right) = unsafe { (read_volatile(left.add(at)), read_volatile(right.add(at))) };
            if left != right {
                return i32::from(left) - i32::from(right);
            }
        }
        0
    }

    /// # Safety
    /// As strlen(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        // SAFETY: it ends in a NUL, says the caller.
        while unsafe { read_volatile(text.add(length)) } != 0 {
            length += 1;
        }
        length
    }

    /// # Safety
    /// As bcmp(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
        // SAFETY: the caller's word.
        unsafe { memcmp(left, right, length) }
    }
}
