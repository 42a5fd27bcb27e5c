//! What keys hold in the place of something long: digests of files and folders, and of texts.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use napi::Env;
use napi_derive::napi;
use tierce::{Algorithm, Content, Hasher, Key, Result};
use tierce_napi::{Work, guard, job};

/// One for all threads of the process: what one has hashed, the others know.
static HASHER: LazyLock<Hasher> = LazyLock::new(Hasher::default);

/// What is stored of the text of a key: of a long one its digest.
#[napi]
pub fn stored_key_text(env: &Env, text: String) -> napi::Result<String> {
    guard(env, || {
        let key = Key::from_text(text.into_bytes());
        Ok(String::from_utf8_lossy(key.as_bytes()).into_owned())
    })
}

/// A file or a folder to be hashed.
#[napi(object, object_to_js = false)]
pub struct NativeContent {
    /// Absolute.
    pub path: String,
    /// Whether it is a folder.
    pub is_directory: bool,
    /// `xxh3` or `blake3`.
    pub hash: String,
}

/// The digest of a file that was hashed before and has not changed since, as hex digits.
#[napi]
pub fn known_content(env: &Env, path: String, hash: String) -> napi::Result<Option<String>> {
    guard(env, || {
        let known = HASHER.known(Path::new(&path), Algorithm::named(&hash)?);
        Ok(known.map(|digest| digest.to_hex()))
    })
}

/// The digests of files and folders as hex digits, on the thread pool.
#[napi(ts_return_type = "Promise<Array<string>>")]
pub fn hash_content(env: &Env, contents: Vec<NativeContent>) -> napi::Result<Work<Vec<String>, Vec<String>>> {
    let contents = guard(env, || parse(contents))?;
    Ok(job(move || digests(&contents), |_, digests| Ok(digests)))
}

/// As `hashContent`, on the calling thread.
#[napi]
pub fn hash_content_sync(env: &Env, contents: Vec<NativeContent>) -> napi::Result<Vec<String>> {
    guard(env, || digests(&parse(contents)?))
}

fn parse(contents: Vec<NativeContent>) -> Result<Vec<Content>> {
    let parse = |NativeContent { path, is_directory, hash }| {
        Ok(Content { path: PathBuf::from(path), is_directory, algorithm: Algorithm::named(&hash)? })
    };
    contents.into_iter().map(parse).collect()
}

fn digests(contents: &[Content]) -> Result<Vec<String>> {
    Ok(HASHER.hash(contents)?.iter().map(tierce::ContentDigest::to_hex).collect())
}
