//! Memory of JavaScript's that the addon reads and writes in place: all unsafe code of the addon is here.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{Float64Array, Uint8Array, Uint32Array};
use tierce::{EPOCH_BITS, EpochTable, MappedValue};

use crate::wire::Reader;

/// A buffer that `src/tiers/disk.ts` makes, fills and reads, for arguments and results without an allocation.
pub struct Scratch(RefCell<Uint8Array>);

impl Scratch {
    /// Keeps the buffer alive until this is dropped.
    pub fn new(buffer: Uint8Array) -> Self {
        Self(RefCell::new(buffer))
    }

    /// Hands the buffer's bytes to `run`. Methods that use this take `&self`: while a task of theirs is on the thread
    /// pool, napi refuses every `&mut self`.
    pub fn with<T>(&self, run: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut buffer = self.0.borrow_mut();
        // SAFETY: the buffer belongs to one object on one JavaScript thread, which is inside this call, and the cell
        // keeps Rust from looking at it twice. JavaScript never detaches it (it is private to that object).
        run(unsafe { buffer.as_mut() })
    }

    /// A copy of the first bytes.
    pub fn head(&self, length: u32) -> tierce::Result<Vec<u8>> {
        self.with(|bytes| Reader(bytes).bytes(length as usize).map(<[u8]>::to_vec))
    }
}

/// Whether memory that is not JavaScript's is not handed to it. Run times that forbid it (Electron) answer each such hand-over with a
/// copy, as napi does then; tests have the same of any Node by this variable.
fn copies_only() -> bool {
    static COPIES_ONLY: OnceLock<bool> = OnceLock::new();
    *COPIES_ONLY.get_or_init(|| std::env::var_os("TIERCE_NO_EXTERNAL_MEMORY").is_some())
}

/// The epoch counters as a typed array: a hit in a memory tier looks at them without a call.
pub fn epochs_view(table: Arc<EpochTable>) -> Uint32Array {
    if copies_only() {
        return (0..1 << EPOCH_BITS).map(|slot| table.load(slot)).collect::<Vec<_>>().into();
    }
    let start = table.as_ptr();
    // SAFETY: `2^EPOCH_BITS` counters are mapped at `start` for as long as the table lives, and the array's finalizer
    // owns a share of it. JavaScript only reads them.
    unsafe { Uint32Array::with_external_data(start, 1 << EPOCH_BITS, move |_, _| drop(table)) }
}

/// Whether the array is the mapping itself: where external memory is forbidden it is a copy that never changes.
pub fn is_view_of(view: &Uint32Array, table: &EpochTable) -> bool {
    std::ptr::eq(view.as_ptr(), table.as_ptr())
}

/// The bytes of a value: those of a map are its memory, which goes when the array is collected.
pub fn value_view(value: MappedValue) -> Uint8Array {
    let mut map = match value {
        MappedValue::Read(bytes) => return bytes.into(),
        MappedValue::Map(map) if copies_only() => return map.to_vec().into(),
        MappedValue::Map(map) => map,
    };
    let (start, length) = (map.as_mut_ptr(), map.len());
    // SAFETY: `length` bytes are mapped at `start`, privately and writable, for as long as the map lives, which the
    // array's finalizer owns. Nothing else has it.
    unsafe { Uint8Array::with_external_data(start, length, move |_, _| drop(map)) }
}

/// An array of words that `src/memory/ledger.ts` makes, and both sides read and write.
pub struct Words(Uint32Array);

impl Words {
    /// Keeps the array alive until this is dropped.
    pub fn new(array: Uint32Array) -> Self {
        Self(array)
    }

    /// What is in it.
    pub fn words(&self) -> &[u32] {
        &self.0
    }

    /// To write into.
    pub fn words_mut(&mut self) -> &mut [u32] {
        // SAFETY: as for `Scratch::bytes`: one owner on one JavaScript thread, which is inside this call.
        unsafe { self.0.as_mut() }
    }
}

/// The clock's two numbers as a typed array; see [`is_clock_view`].
pub fn clock_view(page: &'static [AtomicU64; 2]) -> Float64Array {
    if copies_only() {
        return page
            .iter()
            .map(|word| f64::from_bits(word.load(Ordering::Relaxed)))
            .collect::<Vec<_>>()
            .into();
    }
    let start = page.as_ptr().cast::<f64>().cast_mut();
    // SAFETY: the numbers are there for as long as the process, and are atomic: JavaScript reads and writes each as one
    // aligned word.
    unsafe { Float64Array::with_external_data(start, page.len(), |_, _| ()) }
}

/// Whether the array is that memory itself, and not a copy that never changes.
pub fn is_clock_view(view: &Float64Array, page: &'static [AtomicU64; 2]) -> bool {
    std::ptr::eq(view.as_ptr(), page.as_ptr().cast())
}
