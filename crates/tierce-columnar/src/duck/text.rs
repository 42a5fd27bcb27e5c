//! Text to and from C.

use std::ffi::{CStr, CString, c_char};

use libduckdb_sys as ffi;

use crate::{Error, Kind, Result};

/// Text that C can read.
pub(super) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|error| {
        Error::new(Kind::Invalid, "Text with a NUL character is not accepted here: take it out.")
            .because(error)
    })
}

/// A copy of text that C owns; empty for null.
///
/// # Safety
/// `text` is null or ends with a NUL.
pub(super) unsafe fn copied(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The same, of text that DuckDB allocated for the caller.
///
/// # Safety
/// `text` is null, or DuckDB allocated it and nobody else frees it.
pub(super) unsafe fn taken(text: *mut c_char) -> String {
    let owned = unsafe { copied(text) };
    if !text.is_null() {
        unsafe { ffi::duckdb_free(text.cast()) };
    }
    owned
}
