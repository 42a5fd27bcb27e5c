//! The options of a cache directory, and the builder that they make.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use tierce::policy::UnknownPolicy;
use tierce::{
    Cache, Code, CodecChoice, ColumnType, Durability, EncryptionKey, Error, ManualClock, MetaColumn,
    MetaTable, Metadata, Result,
};

/// Options of the disk tier, checked by the TypeScript layer.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// Bytes; `undefined` for no bound.
    pub max_size: Option<f64>,
    /// Entries; `undefined` for no bound.
    pub max: Option<f64>,
    /// A name of a policy; `lru` where it is left out.
    pub policy: Option<String>,
    /// `auto`, `fast`, `none`, `lz4`, `zstd` or `pco`.
    pub codec: Option<String>,
    /// The codec's level.
    pub level: Option<i32>,
    /// `process` or `power`.
    pub durability: Option<String>,
    /// Milliseconds.
    pub lock_timeout: Option<f64>,
    /// Tables of custom metadata.
    pub meta: Option<Vec<NativeMetaTable>>,
    /// `sqlite`, `json` or `auto`; as the directory is where it is left out.
    pub metadata: Option<String>,
    /// 32 bytes of a key; `undefined` for no encryption.
    pub encryption: Option<Uint8Array>,
    /// True where it is left out.
    pub store_keys: Option<bool>,
    /// True where it is left out.
    pub integrity: Option<bool>,
    /// True where it is left out.
    pub journal: Option<bool>,
}

/// A declared table.
#[napi(object, object_to_js = false)]
pub struct NativeMetaTable {
    pub name: String,
    pub columns: Vec<NativeMetaColumn>,
}

/// A column of a declared table.
#[napi(object, object_to_js = false)]
pub struct NativeMetaColumn {
    pub name: String,
    /// The name of a type: `text`, `integer` and so on.
    #[napi(js_name = "type")]
    pub column_type: String,
    pub is_not_null: bool,
    pub is_unique: bool,
    pub is_indexed: bool,
}

/// Opens the directory as the options say.
pub fn open(dir: String, options: &NativeOptions, clock: Arc<ManualClock>) -> Result<tierce::Tier> {
    let metadata = match options.metadata.as_deref() {
        Some("sqlite") => Some(Metadata::Sqlite),
        Some("json") => Some(Metadata::Json),
        Some("auto") => Some(Metadata::Auto),
        _ => None,
    };
    builder(options, clock)?.open_as(PathBuf::from(dir), metadata)
}

fn builder(options: &NativeOptions, clock: Arc<ManualClock>) -> Result<tierce::Builder> {
    let codec = CodecChoice::named(options.codec.as_deref().unwrap_or("auto"), options.level)?;
    let durability = match options.durability.as_deref() {
        Some("power") => Durability::Power,
        _ => Durability::Process,
    };
    let mut builder = Cache::builder().codec(codec).durability(durability).clock(clock);
    if let Some(bytes) = options.max_size {
        builder = builder.max_size(bytes as u64);
    }
    if let Some(entries) = options.max {
        builder = builder.max(entries as u64);
    }
    if let Some(name) = &options.policy {
        let policy =
            name.parse().map_err(|why: UnknownPolicy| Error::new(Code::InvalidOption, why.to_string()))?;
        builder = builder.policy(policy);
    }
    if let Some(ms) = options.lock_timeout {
        builder = builder.lock_timeout(Duration::from_millis(ms as u64));
    }
    if let Some(key) = encryption_key(options.encryption.as_ref())? {
        builder = builder.encryption(key);
    }
    builder =
        builder.store_keys(options.store_keys.unwrap_or(true)).integrity(options.integrity.unwrap_or(true));
    builder = builder.journal(options.journal.unwrap_or(true));
    let tables = options.meta.iter().flatten().map(meta_table).collect::<Result<Vec<_>>>()?;
    Ok(builder.meta(tables))
}

fn meta_table(table: &NativeMetaTable) -> Result<MetaTable> {
    let column = |column: &NativeMetaColumn| {
        let unknown = || Error::new(Code::Internal, format!("no column type {:?}", column.column_type));
        Ok(MetaColumn {
            name: column.name.clone(),
            column_type: ColumnType::named(&column.column_type).ok_or_else(unknown)?,
            is_not_null: column.is_not_null,
            is_unique: column.is_unique,
            is_indexed: column.is_indexed,
        })
    };
    let columns = table.columns.iter().map(column).collect::<Result<_>>()?;
    Ok(MetaTable { name: table.name.clone(), columns })
}

/// A key from its bytes.
pub(crate) fn encryption_key(bytes: Option<&Uint8Array>) -> Result<Option<EncryptionKey>> {
    bytes.map(|bytes| EncryptionKey::try_from(&bytes[..])).transpose()
}
