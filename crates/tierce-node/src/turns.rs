//! Whose turn it is to load a key, among all processes on a directory.

use std::path::Path;

use napi::Env;
use napi_derive::napi;
use tierce::{Key, Turns};
use tierce_napi::guard;

/// The turns of a cache directory.
#[napi]
pub struct NativeTurns {
    turns: Turns,
}

#[napi]
impl NativeTurns {
    /// Opens the file of locks in the directory, which must exist.
    #[napi(constructor)]
    pub fn new(env: &Env, dir: String) -> napi::Result<Self> {
        guard(env, || Ok(Self { turns: Turns::open(Path::new(&dir))? }))
    }

    /// Takes the turn of a key, if nobody has it.
    #[napi]
    pub fn try_take(&self, env: &Env, key: String) -> napi::Result<bool> {
        guard(env, || self.turns.try_take(&Key::from_text(key.as_bytes())))
    }

    /// Ends a turn that was taken.
    #[napi]
    pub fn give_back(&self, env: &Env, key: String) -> napi::Result<()> {
        guard(env, || self.turns.give_back(&Key::from_text(key.as_bytes())))
    }
}
