//! Link flags of the addon.

fn main() {
    napi_build::setup();
    // Threads and finalizers outlive a worker that loaded the addon: its code must stay mapped.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
