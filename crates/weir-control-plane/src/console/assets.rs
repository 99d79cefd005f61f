//! Files that pages refer to, embedded, each under an address that holds its hash.

use std::sync::LazyLock;

/// An embedded file.
#[derive(Debug)]
pub struct Asset {
    /// Name in the sources.
    name: &'static str,
    /// Media type.
    pub media_type: &'static str,
    /// Content.
    pub content: &'static [u8],
    /// Address, with the hash of the content.
    pub url: String,
}

/// Characters of the hash in an address: 64 bits of SHA-256, enough to tell contents apart.
const HASH_DIGITS: usize = 16;

macro_rules! files {
    ($($name:literal => $media_type:literal,)*) => {
        static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| vec![
            $(asset($name, $media_type, include_bytes!(concat!("assets/", $name))),)*
        ]);
    };
}

files! {
    "console.css" => "text/css; charset=utf-8",
    "console.js" => "text/javascript; charset=utf-8",
    "icons.svg" => "image/svg+xml",
    "favicon.svg" => "image/svg+xml",
}

fn asset(name: &'static str, media_type: &'static str, content: &'static [u8]) -> Asset {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    let hex = weir_runtime::hex::encode(digest.as_ref());
    let (stem, extension) = name.rsplit_once('.').expect("assets have an extension");
    let url = format!("/assets/{stem}.{}.{extension}", &hex[..HASH_DIGITS]);
    Asset { name, media_type, content, url }
}

/// The address of the file `name` of the sources.
pub fn url(name: &str) -> &'static str {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    &found.expect("named in an embedded template, and each template is rendered by a test").url
}

/// The file at this address.
pub fn at(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.url == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_hashed_address_only() {
        let css = at(url("console.css")).expect("there");
        assert!(css.media_type.starts_with("text/css"));
        assert!(at("/assets/console.css").is_none());
    }
}
