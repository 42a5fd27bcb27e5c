//! A cache in a directory: values, structured keys, time to live, loading once, and what is stored.
//!
//! `cargo run --release -p tierce --example basic`

use std::time::Duration;

use tierce::{Cache, Key};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("tierce-example-{}", std::process::id()));
    let cache = Cache::builder().max_size(64 << 20).open(&dir)?;

    cache.set("user:1", br#"{"name":"Ada"}"#)?;
    println!("user:1 = {}", String::from_utf8_lossy(&cache.get("user:1")?.unwrap_or_default()));

    let thumbnail = Key::of(&("thumbnail", 640, 480));
    for _ in 0..2 {
        let pixels = cache.get_or_set(thumbnail.clone(), || {
            println!("making the thumbnail");
            Ok::<_, tierce::Error>(vec![7; 640 * 480])
        })?;
        println!("a thumbnail of {} bytes", pixels.len());
    }

    cache.set_for("token", b"secret", Duration::from_millis(20))?;
    std::thread::sleep(Duration::from_millis(30));
    println!("the token is {}", if cache.has("token")? { "alive" } else { "gone" });

    let stats = cache.stats()?;
    println!("{} entries, {} bytes, {} stored", stats.entries, stats.size, stats.stored_size);
    cache.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
