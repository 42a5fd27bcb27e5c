//! What a head says, as JSON and back.

use super::super::extras::{Cell, Extras, MetaRow};
use super::super::row::Freshness;
use super::head::Head;
use super::json::Json;
use crate::frame::Header;
use crate::key::Digest;

impl Head {
    pub(super) fn to_json(&self) -> Json {
        let Header { kind, codec, raw_size, stored_size, write_id, checksum, .. } = self.header;
        let digest =
            Digest::of(&self.key).to_bytes().iter().rev().map(|byte| format!("{byte:02x}")).collect();
        let mut members = vec![
            ("key", key_to_json(&self.key)),
            ("digest", Json::Text(digest)),
            ("writeId", Json::hex(write_id)),
            ("kind", Json::whole(Some(kind.into()))),
            ("codec", Json::whole(Some(codec.into()))),
            ("size", Json::whole(Some(raw_size))),
            ("storedSize", Json::whole(Some(stored_size))),
            ("checksum", Json::hex(checksum)),
            ("createdAt", Json::whole(Some(self.created))),
            ("expiresAt", Json::whole(self.expires)),
        ];
        if self.freshness != Freshness::default() {
            members.push(("freshUntil", Json::whole(self.freshness.until)));
            members.push(("cost", Json::whole(Some(self.freshness.cost.into()))));
        }
        let Extras { tags, description, meta } = &self.extras;
        if !tags.is_empty() {
            members.push(("tags", Json::List(tags.iter().map(|tag| Json::Text(tag.to_string())).collect())));
        }
        if let Some(text) = description {
            members.push(("description", Json::Text(text.to_string())));
        }
        if !meta.is_empty() {
            let row = |row: &MetaRow<'_>| (row.table.to_string(), row_to_json(row));
            members.push(("meta", Json::Object(meta.iter().map(row).collect())));
        }
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub(super) fn from_json(json: &Json, encrypted: bool) -> Option<Self> {
        let number = |name: &str| json.get(name)?.u64();
        let time = |name: &str| match json.get(name) {
            None | Some(Json::Null) => Some(None),
            Some(known) => known.u64().map(Some),
        };
        let extras = Extras {
            tags: match json.get("tags") {
                None => Vec::new(),
                Some(Json::List(tags)) => {
                    tags.iter().map(|tag| Some(tag.text()?.to_owned().into())).collect::<Option<_>>()?
                }
                Some(_) => return None,
            },
            description: match json.get("description") {
                None => None,
                Some(text) => Some(text.text()?.to_owned().into()),
            },
            meta: match json.get("meta") {
                None => Vec::new(),
                Some(Json::Object(rows)) => rows.iter().map(row_from_json).collect::<Option<_>>()?,
                Some(_) => return None,
            },
        };
        let cost = json.get("cost").map_or(Some(0), Json::u64)?;
        Some(Self {
            key: key_from_json(json.get("key")?)?,
            header: Header {
                kind: number("kind")?.try_into().ok()?,
                codec: number("codec")?.try_into().ok()?,
                in_file: true,
                has_extras: !extras.is_empty(),
                encrypted,
                raw_size: number("size")?,
                stored_size: number("storedSize")?,
                write_id: json.get("writeId")?.as_hex()?,
                checksum: json.get("checksum")?.as_hex()?,
            },
            created: number("createdAt")?,
            expires: time("expiresAt")?,
            freshness: Freshness { until: time("freshUntil")?, cost: cost.try_into().ok()? },
            extras,
        })
    }
}

/// Keys of other hosts than JavaScript may be no text.
fn key_to_json(key: &[u8]) -> Json {
    match std::str::from_utf8(key) {
        Ok(text) => Json::Text(text.to_owned()),
        Err(_) => {
            let hex = key.iter().map(|byte| format!("{byte:02x}")).collect();
            Json::Object(vec![("hex".to_owned(), Json::Text(hex))])
        }
    }
}

fn key_from_json(json: &Json) -> Option<Vec<u8>> {
    if let Some(text) = json.text() {
        return Some(text.as_bytes().to_vec());
    }
    let hex = json.get("hex")?.text()?;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn row_to_json(row: &MetaRow<'_>) -> Json {
    let cells = row.cells.iter().filter_map(|(name, cell)| {
        let value = match cell {
            Cell::Null | Cell::Bytes(_) => return None, // the latter were refused
            Cell::Integer(number) => Json::Number(number.to_string()),
            Cell::Real(number) if number.is_finite() => Json::Number(format!("{number:?}")), // with a point or an exponent
            Cell::Real(number) => Json::Object(vec![("real".to_owned(), Json::Text(number.to_string()))]),
            Cell::Text(text) => Json::Text(text.to_string()),
        };
        Some((name.to_string(), value))
    });
    Json::Object(cells.collect())
}

fn row_from_json((table, row): &(String, Json)) -> Option<MetaRow<'static>> {
    let Json::Object(cells) = row else { return None };
    let cell = |(name, value): &(String, Json)| {
        let cell = match value {
            Json::Text(text) => Cell::Text(text.clone().into()),
            Json::Number(text) if text.contains(['.', 'e', 'E']) => Cell::Real(text.parse().ok()?),
            Json::Number(text) => Cell::Integer(text.parse().ok()?),
            other => Cell::Real(other.get("real")?.text()?.parse().ok()?),
        };
        Some((name.clone().into(), cell))
    };
    Some(MetaRow { table: table.clone().into(), cells: cells.iter().map(cell).collect::<Option<_>>()? })
}
