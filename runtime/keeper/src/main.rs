//! The lease keeper's program: what it does is the library's, how it starts without a C library is in start.rs.

#![cfg_attr(not(test), no_std, no_main)]

// A test program, if only a linter's, has the standard library, and these things from it.
#[cfg(not(test))]
mod start;
