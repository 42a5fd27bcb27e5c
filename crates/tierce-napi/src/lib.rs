//! Glue that the addons share: the guard around every export, the shape of errors, and the one async task.
//!
//! Neither a panic nor an error code may be lost between Rust and JavaScript: a panic becomes an `Error` with code
//! `E_INTERNAL`, and each [`tierce::Error`] an `Error` with `code` and `context`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::{AsyncTask, JsObjectValue as _, Object, ToNapiValue, TypeName};
use napi::{Env, Error, JsValue as _, Status, Task};
use tierce::{Code, Result};

/// Set by [`force_panic`]: the next guarded call panics.
static PANIC_NEXT: AtomicBool = AtomicBool::new(false);

/// Makes the next guarded call panic, wherever it runs: how tests prove that each export has its guard.
pub fn force_panic() {
    PANIC_NEXT.store(true, Ordering::SeqCst);
}

/// Runs the body of an export. Every export goes through here, or through [`job`].
///
/// # Errors
/// A JavaScript `Error` with `code` and `context`.
pub fn guard<T>(env: &Env, run: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    caught(run).map_err(|error| to_js(env, &error))
}

/// Runs `run` on the thread pool; `convert` makes the JavaScript value of what it gives, on the JavaScript thread.
pub fn job<T, J>(
    run: impl FnOnce() -> Result<T> + Send + 'static,
    convert: fn(&Env, T) -> napi::Result<J>,
) -> Work<T, J>
where
    T: Send + 'static,
    J: ToNapiValue + TypeName + 'static,
{
    AsyncTask::new(Job { run: Some(Box::new(run)), convert })
}

/// What an export that runs on the thread pool returns.
pub type Work<T, J> = AsyncTask<Job<T, J>>;

/// The one async task: catches panics, keeps codes.
pub struct Job<T, J> {
    run: Option<Box<dyn FnOnce() -> Result<T> + Send>>,
    convert: fn(&Env, T) -> napi::Result<J>,
}

impl<T, J> Task for Job<T, J>
where
    T: Send + 'static,
    J: ToNapiValue + TypeName + 'static,
{
    // The error is part of the output: what `compute` itself returns loses its code on the way.
    type Output = Result<T>;
    type JsValue = J;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let run = self.run.take();
        Ok(caught(|| match run {
            Some(run) => run(),
            None => Err(tierce::Error::new(Code::Internal, "a task ran twice")),
        }))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<J> {
        output.map_err(|error| to_js(&env, &error)).and_then(|value| (self.convert)(&env, value))
    }
}

fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic may leave half done is behind mutexes whose users know that (see `tierce`'s disk tier).
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        assert!(!PANIC_NEXT.swap(false, Ordering::SeqCst), "a panic was asked for");
        run()
    }));
    outcome.unwrap_or_else(|panic| {
        let why = message_of(&*panic);
        Err(tierce::Error::new(Code::Internal, format!("a defect of tierce, please report it: {why}")))
    })
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown panic")
}

/// The JavaScript error: thrown or rejected as the very object that is built here.
pub fn to_js(env: &Env, error: &tierce::Error) -> Error {
    match error_object(env, error) {
        Ok(object) => Error::from(object.to_unknown()),
        Err(_) => Error::new(Status::GenericFailure, error.to_string()), // the engine is going down
    }
}

/// An `Error` object with `code` and `context`.
///
/// # Errors
/// When the JavaScript engine cannot make objects any more.
pub fn error_object<'env>(env: &'env Env, error: &tierce::Error) -> napi::Result<Object<'env>> {
    let mut object = env.create_error(Error::new(Status::GenericFailure, error.to_string()))?;
    object.set_named_property("code", error.code().as_str())?;
    let mut context = Object::new(env)?;
    for (name, value) in error.context() {
        context.set_named_property(name, value.as_str())?;
    }
    object.set_named_property("context", context)?;
    Ok(object)
}
