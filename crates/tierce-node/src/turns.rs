//! Whose turn it is to load a key, among all processes on a directory.

use std::path::Path;

use napi::Env;
use napi_derive::napi;
use tierce::{Key, Turns};
use tierce_napi::guard;

/// The turns of a cache directory.
#[napi]
pub struct NativeTurns {
    turns: Option<Turns>,
}

#[napi]
impl NativeTurns {
    /// Opens the file of locks in the directory, which must exist.
    #[napi(constructor)]
    pub fn new(env: &Env, dir: String) -> napi::Result<Self> {
        guard(env, || Ok(Self { turns: Some(Turns::open(Path::new(&dir))?) }))
    }

    /// Takes the turn of a key, if nobody has it.
    #[napi]
    pub fn try_take(&self, env: &Env, key: String) -> napi::Result<bool> {
        let Some(turns) = &self.turns else { return Ok(false) };
        guard(env, || turns.try_take(&Key::from_text(key.as_bytes())))
    }

    /// Ends a turn that was taken.
    #[napi]
    pub fn give_back(&self, env: &Env, key: String) -> napi::Result<()> {
        let Some(turns) = &self.turns else { return Ok(()) };
        guard(env, || turns.give_back(&Key::from_text(key.as_bytes())))
    }

    /// Ends all turns and closes the file: else a directory could not be removed on Windows before the collector comes.
    #[napi]
    pub fn close(&mut self, env: &Env) -> napi::Result<()> {
        guard(env, || {
            self.turns = None;
            Ok(())
        })
    }
}
